"""``aae sample --where``: rows of a table under conditions."""

import pytest


@pytest.fixture(scope="module")
def penguins(trained):
    return trained(
        "whereguins", "-p", "clustering", "--data", "penguins", "-k", "3", "--epochs", "30", "--restarts", "1"
    )


def test_conditions_in_the_columns_of_the_training_file(run, penguins, tmp_path):
    args = ["sample", "-c", penguins, "-n", "40", "--where", "sex=female", "--where", "body_mass_g<=4500"]
    done = run([*args, "-o", "-", "--format", "csv"], tmp_path).ok()
    assert done.header[:3] == ["species", "island", "bill_length_mm"], "the label column has its own name"
    assert len(done.rows) == 40
    assert {row["sex"] for row in done.rows} == {"female"}
    assert max(float(row["body_mass_g"]) for row in done.rows) <= 4500
    assert "found 40 of 40 rows in 1,024 draws" in done.err
    assert run([*args, "-o", "-", "--format", "csv", "-q"], tmp_path).ok().err == ""


def test_the_label_column(run, penguins, tmp_path):
    rows = run(["sample", "-c", penguins, "-n", "200", "-o", "-", "--format", "csv"], tmp_path).ok().rows
    species = next(row["species"] for row in rows if row["species"])
    args = ["sample", "-c", penguins, "-n", "9", "--where", f"species={species}", "-o", "-", "--format", "csv"]
    assert {row["species"] for row in run(args, tmp_path).ok().rows} == {species}
    run([*args, "--label", species], tmp_path).refused(2, "species", "--label")


def test_refusals(run, penguins, quick, tmp_path):
    def sample(*args, of=penguins):
        return run(["sample", "-c", of, "-o", "x.csv", *args], tmp_path)

    sample("--where", "sxe=female").refused(2, "--where sxe=female", "did you mean sex?")
    sample("--where", "sex=femal").refused(2, "no level 'femal'", "did you mean female?")
    sample("--where", "body_mass_g>99999").refused(1, "no sample can meet it", "in the training rows")
    sample("--where", "sex=male", "--style-grid").refused(2, "--where", "style")
    run(["sample", "-c", quick, "--where", "x0>1"], tmp_path).refused(2, "--where", "tables")
    wheres = ("island=Torgersen", "flipper_length_mm>=231", "body_mass_g<=2701")
    none = sample(*(word for each in wheres for word in ("--where", each))).refused(1, "none of", "draws", "wider")
    assert "Traceback" not in none.err
    assert list(tmp_path.iterdir()) == [], "nothing is written"


def test_a_run_with_these_columns_is_chosen(run, penguins, iris, tmp_path):
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "penguins").symlink_to(penguins)
    (tmp_path / "runs" / "iris").symlink_to(iris)
    for name, where in (("penguins", "sex=male"), ("iris", "petal length (cm)>2")):
        done = run(["sample", "-n", "3", "--where", where, "-o", "-", "--format", "csv"], tmp_path).ok()
        assert len(done.rows) == 3
        assert f"using runs/{name}, the newest run that can sample rows where {where}" in done.err
    run(["sample", "--where", "petal lenth (cm)>2"], tmp_path).refused(2, "petal lenth")
    (tmp_path / "empty").mkdir()
    run(["sample", "--where", "sex=male"], tmp_path / "empty").refused(1, "rows where sex=male", "--data")


def test_fewer_rows_than_wanted_are_written(run, penguins, tmp_path):
    code = "from aae_cli.model import steering; steering.DRAWS = 1024; steering.DRAWS_PER_ROW = 0\n"
    args = ["sample", "-c", penguins, "-n", "3000", "--where", "sex=male", "-o", "few.csv"]
    done = run(args, tmp_path, code=code + "from aae_cli.cli import main\nmain()").ok()
    rows = len((tmp_path / "few.csv").read_text().splitlines()) - 1
    assert 0 < rows <= 1024 and f"found {rows:,} of 3,000 rows in 1,024 draws" in done.err
