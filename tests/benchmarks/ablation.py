"""What each term is worth: K = 10 clusters without labels, one term taken away at a time.

python tests/benchmarks/ablation.py [--data mnist-mini] [--seeds 2] [--width 400] [--steps 1500] [--json FILE]

Hungarian error on the data's test rows, and how well q(z) fits p(z) (two-sample accuracy, 0.5 is perfect) and how well a
probe reads the digit from z (style leakage, chance is about 11 %): an adversary that matters shows in these.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

import numpy as np

from aae_cli import train_seeds

VARIANTS = {
    "everything": [],
    "no code before": ["phases.pretraining=null"],
    "no code before and no merging": ["phases.pretraining=null", "code.y.overcluster=1"],
    "no elastic views": ["augment.elastic=0"],
    "no consistency": ["phases.consistency.weight=0"],
    "no information": ["phases.information.weight=0"],
    "no adversary on y": ["adversaries.y=null"],
    "no adversary on z": ["adversaries.z=null"],
    "z's adversary blind to y": ["adversaries.z.apart=false"],
    "no reconstruction": ["phases.reconstruction.weight=0"],
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default="mnist-mini")
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--width", type=int, default=400)
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--variants", default=",".join(VARIANTS))
    parser.add_argument("--device", default="auto")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    hidden = f"[{arguments.width},{arguments.width}]"
    common = [f"{part}.hidden={hidden}" for part in ("encoder", "decoder", "adversaries.y", "adversaries.z")]
    common += ["code.y.classes=10", "train.epochs=1", f"train.min_steps={arguments.steps}"]
    results: dict[str, list[dict[str, float]]] = {}
    print("| | Hungarian error % | prior fit | style leakage % |\n|---|---|---|---|")
    for name in arguments.variants.split(","):
        changes = VARIANTS[name]
        gone = [change.removesuffix("=null") for change in changes if change.endswith("=null")]
        settings = [one for one in common if not any(one.startswith(part) for part in gone)] + changes
        with tempfile.TemporaryDirectory() as folder:
            runs = train_seeds(
                "clustering",
                range(arguments.seeds),
                arguments.data,
                folder,
                settings,
                device=arguments.device,
                force=True,
                metrics=["agreement", "prior-fit", "style-leakage"],
            )
        results[name] = [run.metrics for run in runs]
        error = [100 - run["hungarian-accuracy"] for run in results[name]]
        fit = [run["prior-fit"] for run in results[name]]
        leakage = [run["style-leakage"] for run in results[name]]
        spread = f"{np.mean(error):.1f} ± {np.std(error, ddof=1):.1f}" if len(runs) > 1 else f"{error[0]:.1f}"
        print(f"| {name} | {spread} | {np.mean(fit):.2f} | {np.mean(leakage):.0f} |", flush=True)
        if arguments.json:
            arguments.json.write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
