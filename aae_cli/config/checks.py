"""What contradicts itself in a config."""

from __future__ import annotations

from collections.abc import Iterator

from .sections import Config


def map_without_labels(c: Config) -> bool:
    """Whether a config makes a map (section 7) with learned cluster heads and no labels."""
    return c.decoder.input == "heads" and c.decoder.heads.learned and not c.uses_labels


def contradictions(c: Config) -> Iterator[str]:
    """Why parts of a config do not fit each other, a line each with its keys."""
    y, z, phases = c.code.y, c.code.z, c.phases
    if y is None and z is None:
        yield "code needs y, z or both"
    if z is not None and z.std is not None and z.posterior != "gaussian":
        yield "code.z.std goes with code.z.posterior=gaussian"
    if z is None and (c.decoder.input != "concat"):
        yield f"decoder.input={c.decoder.input} needs code.z"
    if c.decoder.input == "heads":
        if y is None:
            yield f"decoder.input={c.decoder.input} needs code.y: heads are one point a class of y"
        elif (
            z is not None
            and not c.decoder.heads.learned
            and "auto" not in (y.classes, z.dims)
            and int(y.classes) > int(z.dims)
        ):
            yield f"decoder.heads.learned=false (W_C = scale·I) needs code.y.classes ({y.classes}) ≤ code.z.dims ({z.dims})"
    if c.decoder.input == "label" and y is not None:
        yield "decoder.input=label (section 4) goes with code.y=null: the label takes the place of y"
    if c.decoder.input == "label" and not c.uses_labels:
        yield "decoder.input=label needs data.labels"
    for part, adversary in (("y", c.adversaries.y), ("z", c.adversaries.z)):
        if adversary is None:
            continue
        here = f"adversaries.{part}"
        if getattr(c.code, part) is None:
            yield f"{here} needs code.{part}"
        if (adversary.prior.name == "categorical") != (part == "y"):
            yield f"{here}.prior.name={adversary.prior.name}: y takes categorical, z takes the others"
        if adversary.prior.name in ("mixture", "swiss-roll") and z is not None and z.dims != 2:
            yield f"{here}.prior.name={adversary.prior.name} is 2-D and needs code.z.dims=2, not {z.dims}"
        if adversary.labels and part == "y":
            yield "adversaries.y.labels: label-informed regularisation (section 2.3) is for z"
        if adversary.apart and (part == "y" or (y is None and c.decoder.input != "label")):
            yield f"{here}.apart=true is for z, and needs code.y or decoder.input=label"
        if adversary.labels and not c.uses_labels:
            yield f"{here}.labels=true needs data.labels"
        if adversary.labels and adversary.prior.name == "gaussian":
            yield f"{here}.labels=true needs a prior with parts: mixture or swiss-roll"
    if phases.style not in (None, "auto"):
        yield from _of_style(c)
    if phases.semi_supervised is not None:
        if y is None:
            yield "phases.semi_supervised needs code.y"
        if phases.semi_supervised.linear not in ("auto", 0) and phases.consistency is None:
            yield "phases.semi_supervised.linear needs phases.consistency: it is a share of the consistency target"
        if not c.uses_labels:
            yield "phases.semi_supervised needs data.labels"
        if phases.schedule == "joint" and phases.semi_supervised.optimizer is not None:
            yield "phases.semi_supervised.optimizer is for phases.schedule=alternating; joint has one for all"
    if y is not None and not (c.adversaries.y or phases.semi_supervised or phases.information):
        if phases.neighbour_embedding is not None:
            yield "code.y: this map is z alone, without clusters; the preset dim-reduction-heads has them (-k N)"
        else:
            yield "code.y needs adversaries.y, phases.semi_supervised or phases.information: nothing else shapes it"
    informed = c.adversaries.z is not None and c.adversaries.z.labels
    if c.uses_labels and not (phases.semi_supervised or informed or c.decoder.input == "label"):
        yield f"data.labels={c.data.labels} is not used by this preset; labels are for presets such as semi-supervised"
    for name in ("consistency", "information"):
        if getattr(phases, name) is not None and y is None:
            yield f"phases.{name} needs code.y"
    if y is not None and y.overcluster > 1 and (phases.consistency is None or phases.information is None):
        yield "code.y.overcluster needs phases.consistency (views show which clusters to merge) and phases.information"
    if y is not None and y.classes == "auto" and not c.uses_labels and not map_without_labels(c):
        yield "code.y.classes=auto needs data.labels; give the number of clusters (-k N)"


def _of_style(c: Config) -> Iterator[str]:
    """What contradicts a stage of style."""
    if c.code.y is None or c.code.z is None:
        yield "phases.style needs code.y and code.z: it learns z beside y"
    if c.decoder.input != "concat":
        yield f"phases.style needs decoder.input=concat, not {c.decoder.input}"
