"""The scikit-learn estimator, cell by cell: clusters, labels that are missing, samples, a pipeline and a search.

python examples/estimator.py    # or open it as a notebook: jupyter, VS Code and Spyder know the marks # %%
"""

# %%
import numpy as np
import pandas as pd
from sklearn.datasets import load_iris
from sklearn.metrics import adjusted_rand_score
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from aae_cli import AdversarialAutoencoder

flowers, species = load_iris(return_X_y=True, as_frame=True)

# %% Clusters without labels. labels_ are those of the rows of fit; predict gives those of others.
found = AdversarialAutoencoder("clustering", n_clusters=3, random_state=0).fit(flowers)
print(f"clusters: ARI {adjusted_rand_score(species, found.labels_):.2f} with the species")

# %% A classifier of which only 15 rows have a label: -1, None and NaN mean unlabelled.
hidden = species.to_numpy().copy()
hidden[np.random.default_rng(0).permutation(150)[15:]] = -1
classifier = AdversarialAutoencoder("semi-supervised", random_state=0).fit(flowers, hidden)
print(f"15 labels: accuracy {classifier.score(flowers, species):.2f} on all rows")
print(classifier.predict_proba(flowers.head(2)).round(2))

# %% Frames with categories and holes go in, and frames come out.
table = flowers.assign(colour=np.where(species == 0, "white", "blue"))
table.iloc[::7, 0] = np.nan
model = AdversarialAutoencoder("table", random_state=0).fit(table)
print(model.sample(3))
print(model.sample(2, where=["colour=white"]))
unusual = pd.Series(model.score_samples(table), table.index).nsmallest(3)
print(f"least usual rows: {unusual.index.tolist()}")

# %% It is a step of pipelines and searches. Codes have names, and decode to rows.
steps = make_pipeline(
    FunctionTransformer(np.log1p, feature_names_out="one-to-one"), AdversarialAutoencoder(random_state=0)
)
codes = steps.set_output(transform="pandas").fit_transform(flowers)
print(codes.head(2))
search = GridSearchCV(
    AdversarialAutoencoder("table", random_state=0, epochs=20), {"n_components": [2, 4]}, cv=2, n_jobs=2
)
print(f"best number of dimensions: {search.fit(flowers).best_params_}")
