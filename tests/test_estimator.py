"""The scikit-learn estimator: its contract, what it takes and gives, and what it keeps."""

import io
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from sklearn.base import clone, is_classifier, is_clusterer
from sklearn.datasets import load_digits, load_iris
from sklearn.exceptions import NotFittedError
from sklearn.metrics import adjusted_rand_score
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from aae_cli import AdversarialAutoencoder, load

SHORT = {"epochs": 2, "random_state": 0}
FEW_STEPS = ("train.min_steps=400",)
IRIS = load_iris()
FLOWERS = load_iris(as_frame=True).data

EXPECTED = {
    "check_methods_subset_invariance": "sums in float32 depend on the number of rows, by 4e-7 of a score",
}
ONE_CLUSTER = "sets n_clusters=1, and a clustering has at least two"
OF_CLUSTERS = (
    "check_dont_overwrite_parameters",
    "check_fit2d_predict1d",
    "check_fit2d_1sample",
    "check_fit2d_1feature",
)
EXPECTED_OF_CLASSES = EXPECTED | {"check_classifiers_classes": "takes −1 for a class, which means unlabelled here"}
EXPECTED_OF_CLUSTERS = EXPECTED | dict.fromkeys(OF_CLUSTERS, ONE_CLUSTER)


@parametrize_with_checks(
    [
        AdversarialAutoencoder(epochs=1, random_state=0),
        AdversarialAutoencoder("clustering", n_clusters=2, epochs=1, random_state=0),
        AdversarialAutoencoder("semi-supervised", epochs=1, random_state=0),
    ],
    expected_failed_checks=lambda estimator: {
        "clustering": EXPECTED_OF_CLUSTERS,
        "semi-supervised": EXPECTED_OF_CLASSES,
    }.get(estimator.preset, EXPECTED),
)
def test_contract_of_scikit_learn(estimator, check):
    check(estimator)


def mixed_cells(rows: int = 120) -> dict[str, list]:
    random = np.random.default_rng(0)
    size = [None if i % 7 == 0 else value for i, value in enumerate(random.normal(size=rows).tolist())]
    colour = random.choice(np.array(["red", "green", None], object), rows).tolist()
    return {"size": size, "label": colour, "id": random.integers(0, 5, rows).tolist()}


def test_parameters_are_kept_as_they_are_and_cloned():
    given = {"preset": "clustering", "n_clusters": 3, "settings": ("train.batch_size=50",), "random_state": 3}
    estimator = AdversarialAutoencoder(**given)
    assert clone(estimator).get_params() == estimator.get_params() == {**AdversarialAutoencoder().get_params(), **given}


def test_clusters_and_codes_of_a_table():
    options = {"n_clusters": 3, "n_components": 4, "random_state": 0, "settings": FEW_STEPS}
    estimator = AdversarialAutoencoder("clustering", **options).fit(IRIS.data)
    assert adjusted_rand_score(IRIS.target, estimator.labels_) > 0.5
    assert (estimator.predict(IRIS.data) == estimator.labels_).all()
    assert np.allclose(estimator.predict_proba(IRIS.data).sum(1), 1, atol=1e-5)
    assert estimator.transform(IRIS.data).shape == (150, 3 + 4)
    again = AdversarialAutoencoder("clustering", **options).fit(IRIS.data)
    assert (again.predict_proba(IRIS.data) == estimator.predict_proba(IRIS.data)).all(), "a seed fixes the result"


def test_labels_may_be_missing_and_keep_their_type():
    names = np.array(IRIS.target_names, dtype=object)[IRIS.target]
    for hidden, y in ((None, names.copy()), (np.nan, names.copy()), (-1, IRIS.target.copy())):
        y[np.random.default_rng(0).permutation(150)[30:]] = hidden
        estimator = AdversarialAutoencoder("semi-supervised", random_state=0, settings=FEW_STEPS).fit(IRIS.data, y)
        truth = IRIS.target if hidden == -1 else names
        assert set(estimator.classes_) == set(truth.tolist())
        assert estimator.score(IRIS.data, truth) > 0.85
        assert estimator.predict(IRIS.data).dtype == estimator.classes_.dtype
    with pytest.raises(ValueError, match="y"):
        AdversarialAutoencoder("semi-supervised", epochs=1).fit(IRIS.data)


def test_classes_are_sampled_and_unknown_ones_refused():
    settings = (*FEW_STEPS, "train.epochs=auto")
    estimator = AdversarialAutoencoder("supervised", random_state=0, settings=settings).fit(FLOWERS, IRIS.target * 10)
    small, large = (estimator.sample(40, y=y)["petal length (cm)"].mean() for y in (0, 20))
    assert small < 2.5 < 4.5 < large, "of setosa 1.5, of virginica 5.6"
    with pytest.raises(ValueError, match="y=7"):
        estimator.sample(1, y=7)


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_frames_with_categories_and_holes(library):
    frame = (pd if library == "pandas" else pl).DataFrame(mixed_cells())
    estimator = AdversarialAutoencoder("table", **SHORT).fit(frame)
    assert estimator.feature_names_in_.tolist() == ["size", "label", "id"], "neither is a label or an id here"
    drawn = estimator.sample(30)
    assert type(drawn) is type(frame) and list(drawn.columns) == ["size", "label", "id"]
    assert {str(cell) for cell in drawn["label"] if isinstance(cell, str)} == {"red", "green"}
    back = estimator.inverse_transform(estimator.transform(frame))
    assert len(back) == 120 and list(back.columns) == list(frame.columns)
    assert estimator.score_samples(frame).shape == (120,)
    shuffled = frame[["id", "size", "label"]]
    with pytest.raises(ValueError, match="feature names"):
        estimator.transform(shuffled)


def test_settings_say_how_columns_are_read():
    settings = ["data.categorical=[id]", "data.ignore=[size]"]
    estimator = AdversarialAutoencoder("table", **SHORT, settings=settings).fit(pd.DataFrame(mixed_cells()))
    columns = {column.name: column.kind for column in estimator._model().schema.mixed}
    assert columns == {"label": "category", "id": "category"}
    bright = np.full((50, 64), 255.0) - load_digits().data[:50]
    kind = ["data.kind=table"]
    assert AdversarialAutoencoder("gaussian", **SHORT, settings=kind).fit(bright)._model().schema.kind == "table"


def test_arrays_with_holes_are_tables():
    x = IRIS.data.copy()
    x[::5, 0] = np.nan
    estimator = AdversarialAutoencoder("table", **SHORT).fit(x)
    assert estimator.transform(IRIS.data).shape[0] == 150
    back = estimator.inverse_transform(estimator.transform(x))
    assert isinstance(back, np.ndarray) and back.shape == x.shape


@pytest.mark.parametrize("form", [(8, 8), (8, 8, 3), (64,)])
def test_images_keep_their_form(form):
    images = load_digits().images[:200].astype("uint8") * 15
    x = np.repeat(images[..., None], 3, -1) if len(form) == 3 else images.reshape(200, *form)
    estimator = AdversarialAutoencoder("gaussian", **SHORT).fit(x)
    back = estimator.inverse_transform(estimator.transform(x))
    assert back.shape == x.shape == (200, *form)
    assert estimator.sample(5).shape == (5, *form)
    if len(form) == 3:  # channels last in, channels last out: the channels of a grey picture are alike
        model = estimator._model()
        assert np.allclose(back.transpose(0, 3, 1, 2).reshape(200, -1), model.reconstruct(x.transpose(0, 3, 1, 2)))


def test_another_fit_forgets_the_classes_of_the_first():
    estimator = AdversarialAutoencoder("semi-supervised", **SHORT).fit(IRIS.data, IRIS.target)
    estimator.set_params(preset="clustering", n_clusters=2).fit(IRIS.data)
    assert not hasattr(estimator, "classes_") and set(estimator.predict(IRIS.data)) <= {0, 1}


def test_decoding_inverts_the_representation():
    estimator = AdversarialAutoencoder("gaussian", random_state=0, settings=["train.min_steps=600"]).fit(FLOWERS)
    back = estimator.inverse_transform(estimator.transform(FLOWERS)).to_numpy()
    assert ((back - IRIS.data) ** 2).mean() < 0.3 * IRIS.data.var(0).mean()
    with pytest.raises(ValueError, match="dimensions"):
        estimator.inverse_transform(np.zeros((3, 5)))


def test_nothing_is_written_and_nothing_printed(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    AdversarialAutoencoder(**SHORT).fit(IRIS.data)
    assert not os.listdir(tmp_path)
    assert capfd.readouterr() == ("", "")
    AdversarialAutoencoder(**SHORT, verbose=1, folder="kept").fit(IRIS.data)
    assert "150 rows" in capfd.readouterr().err
    assert load(Path("kept")).header.finished


def test_a_fitted_estimator_is_dumped_with_its_weights():
    estimator = AdversarialAutoencoder(**SHORT).fit(FLOWERS)
    expected = estimator.transform(FLOWERS)
    file = io.BytesIO()
    joblib.dump(estimator, file)
    file.seek(0)
    loaded = joblib.load(file)
    assert "_loaded" not in loaded.__dict__ and (loaded.transform(FLOWERS) == expected).all()


def test_pipeline_search_and_output_frames():
    steps = make_pipeline(StandardScaler(), AdversarialAutoencoder(**SHORT))
    steps.set_output(transform="pandas")
    codes = steps.fit(FLOWERS).transform(FLOWERS)
    assert list(codes.columns) == ["adversarialautoencoder0", "adversarialautoencoder1"]
    search = GridSearchCV(AdversarialAutoencoder(**SHORT), {"n_components": [1, 2]}, n_jobs=2, cv=2).fit(IRIS.data)
    assert search.best_params_["n_components"] in (1, 2) and np.isfinite(search.best_score_)


def test_interruption_is_one_of_python(monkeypatch):
    from aae_cli import estimator as module
    from aae_cli.errors import Interrupted

    def interrupted(*args, **kwargs):
        raise Interrupted("stopped")

    monkeypatch.setattr(module, "train", interrupted)
    with pytest.raises(KeyboardInterrupt):
        AdversarialAutoencoder(**SHORT).fit(IRIS.data)


def test_a_notebook_shows_progress_in_place_and_interrupts_a_fit():
    manager = pytest.importorskip("jupyter_client.manager", reason="needs ipykernel")
    pytest.importorskip("ipykernel", reason="needs ipykernel")
    fit = (
        "from sklearn.datasets import load_iris\n"
        "from aae_cli import AdversarialAutoencoder\n"
        "AdversarialAutoencoder(random_state=0, epochs=100_000, verbose=1).fit(load_iris().data)\n"
    )
    kernel, client = manager.start_new_kernel(kernel_name="python3")
    try:
        sent, shown, errors, notes = client.execute(fit), [], [], ""
        while True:
            message = client.get_iopub_msg(timeout=120)
            kind, content = message["msg_type"], message["content"]
            if message["parent_header"].get("msg_id") != sent:
                continue
            if kind == "display_data":
                shown.append(content["transient"]["display_id"])
            elif kind == "update_display_data":
                assert content["transient"]["display_id"] == shown[0]
                assert "left" in content["data"]["text/plain"] and "reconstruction" in content["data"]["text/plain"]
                shown.append("updated")
                if len(shown) == 3:
                    kernel.interrupt_kernel()
            elif kind == "stream":
                notes += content["text"]
            elif kind == "error":
                errors.append(content["ename"])
            elif kind == "status" and content["execution_state"] == "idle":
                break
    finally:
        client.stop_channels()
        kernel.shutdown_kernel(now=True)
    assert errors == ["KeyboardInterrupt"]
    assert "150 rows" in notes and "step " not in notes


def test_presets_say_whether_they_classify_or_cluster():
    assert is_classifier(AdversarialAutoencoder("semi-supervised")) and is_clusterer(
        AdversarialAutoencoder("clustering")
    )
    assert not is_classifier(AdversarialAutoencoder()) and not is_clusterer(AdversarialAutoencoder())
    folds = cross_val_score(AdversarialAutoencoder("semi-supervised", **SHORT), IRIS.data, IRIS.target, cv=3)
    assert len(folds) == 3, "sorted labels need stratified folds"
    found = AdversarialAutoencoder("clustering", n_clusters=3, **SHORT)
    assert (found.fit_predict(IRIS.data) == found.labels_).all()


def test_unlabelled_rows_do_not_count_in_a_score():
    estimator = AdversarialAutoencoder("semi-supervised", random_state=0, settings=FEW_STEPS)
    estimator.fit(IRIS.data, IRIS.target)
    hidden = [None if i % 3 else int(y) for i, y in enumerate(IRIS.target)]
    assert estimator.score(IRIS.data, hidden) == estimator.score(IRIS.data[::3], IRIS.target[::3]) > 0.8
    for wrong in (IRIS.target[:-3], [-1] * 150):
        with pytest.raises(ValueError, match="y"):
            estimator.score(IRIS.data, wrong)
    estimator.fit(IRIS.data, ["a" if y else -1 for y in IRIS.target[:75]] + ["b"] * 75)
    assert estimator.classes_.tolist() == ["a", "b"], "−1 beside text is no class"
    for wrong, words in (([*range(149), 0.5], "continuous"), ([0, "b"] * 75, "text and numbers"), ([-1, 1] * 75, "−1")):
        with pytest.raises(ValueError, match=words):
            estimator.fit(IRIS.data, wrong)


def test_a_fit_that_fails_leaves_no_model():
    estimator = AdversarialAutoencoder("semi-supervised", **SHORT).fit(IRIS.data, IRIS.target)
    with pytest.raises(ValueError, match="y"):
        estimator.fit(IRIS.data)
    with pytest.raises(NotFittedError):
        estimator.predict(IRIS.data)


def test_rows_come_back_as_they_were_given():
    frame = pd.DataFrame(mixed_cells()).assign(
        when=pd.date_range("2020-01-01", periods=120),
        grade=pd.Categorical(["a", "b", "a"] * 40),
        good=[True, False] * 60,
    )
    frame = frame.set_axis(range(500, 620))
    frame["took"] = pd.to_timedelta(range(120), unit="D")
    frame["seen"] = pd.date_range("2020-01-01", periods=120, tz="America/New_York")
    estimator = AdversarialAutoencoder("table", **SHORT).fit(frame)
    back = estimator.inverse_transform(estimator.set_output(transform="pandas").transform(frame))
    assert list(back.columns) == list(frame.columns) and (back.index == frame.index).all()
    given = frame.drop(columns="label").dtypes
    assert (back.drop(columns="label").dtypes == given).all()
    assert back["took"].max() > pd.Timedelta(days=20), "of 0 to 119 days"
    estimator.set_output(transform="default")
    assert estimator.transform(frame.to_numpy(dtype=object)).shape == (120, estimator._n_features_out)
    small = np.random.default_rng(0).integers(90, 127, (200, 3)).astype(np.int8)
    estimator = AdversarialAutoencoder("gaussian", **SHORT).fit(small)
    assert estimator.inverse_transform(50 * estimator.transform(small)).dtype == np.float32, "200 has no place in int8"
    table = np.array([[1.0, 20.0, np.nan, np.nan], [2.0, 10.0, 5.0, np.nan], [3.0, 10.0, 5.0, np.nan]] * 40)
    with pytest.warns(UserWarning, match="x3"):
        estimator = AdversarialAutoencoder("table", **SHORT).fit(table)
    drawn = estimator.sample(60)
    assert drawn.shape == (60, 4) and set(drawn[:, 1]) == {10.0, 20.0} and np.isnan(drawn[:, 3]).all()
    words = [["red" if i % 2 else "blue", i % 5] for i in range(100)]
    drawn = AdversarialAutoencoder("table", **SHORT).fit(words).sample(9)
    assert drawn.dtype == object and set(drawn[:, 0]) <= {"red", "blue"} and isinstance(drawn[0, 1], int | float)


def test_cells_that_are_not_understood_are_warned_of():
    frame = pd.DataFrame({**mixed_cells(), "good": [True, False] * 60})
    estimator = AdversarialAutoencoder("table", **SHORT).fit(frame)
    expected = estimator.transform(frame)
    assert (estimator.transform(frame.assign(good=frame["good"].astype(int))) == expected).all()
    with pytest.warns(UserWarning, match="label"):
        estimator.transform(frame.assign(label="purple"))


def test_threads_do_not_disturb_each_other():
    def codes(_):
        return AdversarialAutoencoder(**SHORT).fit(IRIS.data).transform(IRIS.data)

    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    first = codes(0)
    assert torch.rand(1) == expected, "random numbers of the caller are left alone"
    with ThreadPoolExecutor(3) as pool:
        assert all((each == first).all() for each in pool.map(codes, range(3)))


def test_a_folder_that_holds_no_run_is_not_written_to(tmp_path):
    (tmp_path / "README.md").write_text("mine")
    with pytest.raises(ValueError, match="holds no run"):
        AdversarialAutoencoder(**SHORT, folder=tmp_path).fit(IRIS.data)
    assert [path.name for path in tmp_path.iterdir()] == ["README.md"]
    for _ in range(2):  # an earlier run is replaced
        AdversarialAutoencoder(**SHORT, folder=tmp_path / "run").fit(IRIS.data)


def test_settings_that_cannot_be_used_are_value_errors():
    for wrong in ({"preset": "no-such"}, {"settings": ["train.epoch=3"]}, {"preset": "clustering", "n_clusters": 1}):
        with pytest.raises(ValueError):
            AdversarialAutoencoder(**wrong).fit(IRIS.data)
    with pytest.raises(ValueError, match="200 of 150"):
        AdversarialAutoencoder("clustering", n_clusters=200, epochs=1).fit(IRIS.data)
    assert AdversarialAutoencoder(settings="code.z.dims=3", **SHORT).fit_transform(IRIS.data).shape == (150, 3)
    assert not hasattr(AdversarialAutoencoder(), "predict"), "a map has no clusters"
    assert hasattr(AdversarialAutoencoder("clustering"), "predict")
