"""Small faults that the tests must notice.

A mutant is one changed snippet of the package. The runner puts each into a copy of the checkout and runs the tests named
for it, which must fail.

    python tests/mutants.py --random 5            # five of them, as .ci/run does
    python tests/mutants.py --all --jobs 2        # all of them
    python tests/mutants.py --only prior_fit      # those whose file, snippets or tests contain a text
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue

ROOT = Path(__file__).resolve().parent.parent
COPIED = ("aae_cli", "tests", "presets", "pyproject.toml")
SECONDS = 300
"""Longest run of a mutant's tests. A fault that makes them hang is killed by that."""


@dataclass(frozen=True)
class Mutant:
    """One fault.

    Attributes:
        file: path in the checkout.
        old: a snippet that occurs there exactly once.
        new: the fault in its place.
        tests: the tests that notice it, as pytest names them, separated by spaces.
    """

    file: str
    old: str
    new: str
    tests: str

    def __str__(self) -> str:
        return f"{self.file}: {' '.join(self.old.split())} → {' '.join(self.new.split())}"


ADVERSARY, PRIORS, HEADS, SCALING, CELLS = (
    f"aae_cli/nn/{name}.py" for name in ("adversary", "priors", "heads", "scaling", "cells")
)
CONTRASTIVE = "aae_cli/objective/contrastive.py"
TERMS, PHASES, OBJECTIVE = (f"aae_cli/objective/{name}.py" for name in ("terms", "phases", "build"))
METRICS, PARZEN = "aae_cli/model/metrics.py", "aae_cli/model/parzen.py"
AUTO, DRAFT, RULES, LENGTHS = (f"aae_cli/config/{name}.py" for name in ("auto", "draft", "rules", "lengths"))
SELECTION, PLAN, RUN, ENGINE, FOLDER, BATCHES, SPLITS = (
    f"aae_cli/training/{name}.py" for name in ("selection", "plan", "run", "engine", "folder", "batches", "splits")
)
ALBUMS = "aae_cli/data/albums.py"
VALUES, LABELS, TABLES, FRAMES, COLUMNS, KINDS, REFUSALS, ARRAYS, IMAGES = (
    f"aae_cli/data/{name}.py"
    for name in ("values", "labels", "tables", "frames", "columns", "kinds", "refusals", "arrays", "images")
)
NAMED, MEMORY, CHUNKS, READ, HOLDOUT, STREAMS = (
    f"aae_cli/data/{name}.py" for name in ("named", "memory", "chunks", "read", "holdout", "streams")
)

IN_PHASES, IN_BUILD = (f"tests/objective/test_{name}.py::test_" for name in ("phases", "build"))
IN_CLASSIFIERS, IN_BATCHES = (
    "tests/objective/test_linear_classifiers.py::test_",
    "tests/training/test_batches.py::test_",
)
IN_SPLITS, IN_SAMPLING = "tests/training/test_splits.py::test_", "tests/model/test_sampling.py::test_"
IN_ADVERSARY, IN_PRIORS = "tests/nn/test_adversary.py::test_", "tests/nn/test_priors.py::test_"
IN_METRICS, IN_PARZEN = "tests/model/test_metrics.py::test_", "tests/model/test_parzen.py::test_"
IN_AUTO, ADAPTED = "tests/config/test_auto.py::test_", "tests/config/test_adapted.py"
IN_SELECTION, IN_PLAN, IN_RUN, IN_ENGINE = (
    f"tests/training/test_{name}.py::test_" for name in ("selection", "plan", "run", "engine")
)
IN_COLUMNS, IN_KINDS, IN_CELLS, IN_VIEWS, IN_NEIGHBOURS, IN_SHARDS = (
    f"tests/{room}.py::test_"
    for room in (
        "data/test_columns",
        "data/test_kinds",
        "nn/test_cells",
        "objective/test_views",
        "objective/test_neighbours",
        "data/test_shards",
    )
)
VIEWS, NEIGHBOURS = "aae_cli/objective/views.py", "aae_cli/objective/neighbours.py"
IN_ARRAYS, IN_TABLES, IN_IMAGES, IN_NAMED, IN_MEMORY, IN_CHUNKS = (
    f"tests/data/test_{name}.py::test_" for name in ("arrays", "tables", "images", "named", "memory", "chunks")
)

MUTANTS = [
    # --- the adversary ------------------------------------------------------------------------------------------------
    Mutant(
        TERMS,
        "weight = self.weight * forward.ramp",
        "weight = 0.0 * forward.ramp",
        f"{IN_PHASES}the_generators_loss_and_gradient",
    ),
    Mutant(
        TERMS,
        "return weight * (code * gradient)",
        "return -weight * (code * gradient)",
        f"{IN_PHASES}the_generators_loss_and_gradient",
    ),
    Mutant(
        TERMS,
        "F.softplus(-fake_logits).mean(1)",
        "F.softplus(fake_logits).mean(1)",
        f"{IN_PHASES}the_generators_loss_and_gradient",
    ),
    Mutant(OBJECTIVE, "float(a.weight), a.ramp", "0.0, a.ramp", f"{IN_BUILD}weights_of_the_config_reach_their_losses"),
    Mutant(
        OBJECTIVE,
        'terms["generator"].append',
        'terms["discriminator"].append',
        f"{IN_BUILD}weights_of_the_config_reach_their_losses",
    ),
    Mutant(
        OBJECTIVE, "labels=classes if a.labels else 0", "labels=0", f"{IN_BUILD}adversaries_see_what_the_config_says"
    ),
    Mutant(OBJECTIVE, "if a.apart else 0", "if False else 0", f"{IN_BUILD}adversaries_see_what_the_config_says"),
    Mutant(OBJECTIVE, "noise=a.noise", "noise=0.0", f"{IN_BUILD}adversaries_see_what_the_config_says"),
    Mutant(
        TERMS,
        "fake, forward.batch.labels, forward.content",
        "fake, torch.full_like(forward.batch.labels, -1), forward.content",
        f"{IN_PHASES}labels_reach_the_discriminator_in_both_phases",
    ),
    Mutant(
        TERMS,
        "generator_loss(code, forward.batch.labels",
        "generator_loss(code, torch.full_like(forward.batch.labels, -1)",
        f"{IN_PHASES}labels_reach_the_discriminator_in_both_phases",
    ),
    Mutant(
        ADVERSARY,
        "torch.where(labels < 0, self.labels, labels)",
        "torch.full_like(labels, self.labels)",
        f"{IN_ADVERSARY}labels_reach_the_discriminator_with_an_extra_class",
    ),
    Mutant(
        ADVERSARY,
        "labels.repeat(1, 2) if self.labels",
        "torch.full_like(labels, -1).repeat(1, 2) if self.labels",
        f"{IN_ADVERSARY}the_discriminators_loss_sees_labels_and_content",
    ),
    Mutant(
        ADVERSARY,
        "content.repeat(1, 2, 1)",
        "torch.zeros_like(content).repeat(1, 2, 1)",
        f"{IN_ADVERSARY}the_discriminators_loss_sees_labels_and_content",
    ),
    Mutant(
        ADVERSARY,
        "labels if self.labels else torch.full_like(labels, -1)",
        "torch.full_like(labels, -1)",
        f"{IN_ADVERSARY}real_samples_come_from_the_labelled_component",
    ),
    Mutant(ADVERSARY, "if self.noise:", "if False:", f"{IN_ADVERSARY}noise_reaches_codes_and_samples"),
    Mutant(ADVERSARY, "[[-1.0], [1.0]]", "[[1.0], [-1.0]]", f"{IN_ADVERSARY}losses_of_a_known_discriminator"),
    Mutant(
        ADVERSARY,
        "losses.sum((1, 2)) / rows",
        "losses.sum((1, 2)) / rows / 2",
        f"{IN_ADVERSARY}losses_of_a_known_discriminator",
    ),
    Mutant(
        ADVERSARY,
        "F.softplus(-self.logits(",
        "F.softplus(self.logits(",
        f"{IN_ADVERSARY}losses_of_a_known_discriminator",
    ),
    Mutant(
        ADVERSARY,
        "(real - 1) / (real",
        "(1 - real) / (real",
        f"{IN_ADVERSARY}one_discriminator_pass_gives_the_generator_its_gradient",
    ),
    Mutant(
        ADVERSARY,
        "losses = losses + SLOPE_FLOOR * signed",
        "losses = losses + 0 * signed",
        f"{IN_ADVERSARY}the_gradient_survives_a_discriminator_that_is_sure",
    ),
    Mutant(PHASES, "losses |= phase.step(forward, self.autocast)", "pass", f"{IN_PHASES}phases_move_what_they_should"),
    Mutant(
        PHASES,
        "inputs=[*self.parameters, *fakes]",
        "inputs=self.parameters",
        f"{IN_PHASES}phases_move_what_they_should",
    ),
    Mutant(
        PHASES,
        "self._forward(batch, phase.streams, progress), self.autocast",
        "self._forward(batch, phase.streams, 0.0), self.autocast",
        f"{IN_PHASES}progress_reaches_the_losses",
    ),
    Mutant(
        TERMS,
        "if self.part in forward.fake_codes:",
        "if False:",
        f"{IN_PHASES}joint_takes_the_discriminator_before_its_update_and_alternating_after",
    ),
    Mutant(PHASES, "self.optimizer.step()", "pass", f"{IN_PHASES}phases_move_what_they_should"),
    Mutant(
        OBJECTIVE,
        "GeneratorLoss(part, adversary, float(a.weight)",
        "GeneratorLoss(part, adversary, 0.0 * float(a.weight)",
        f"{IN_PHASES}training_brings_the_codes_to_their_prior_and_only_by_the_adversary",
    ),
    # --- the other losses ---------------------------------------------------------------------------------------------
    Mutant(
        SCALING,
        "(0.5 / output.shape[1])",
        "(1.0 / output.shape[1])",
        f"{IN_PHASES}reconstruction_is_half_the_summed_square",
    ),
    Mutant(
        OBJECTIVE,
        "HeadSeparation(heads.weight,",
        "HeadSeparation(0.0,",
        f"{IN_BUILD}weights_of_the_config_reach_their_losses",
    ),
    Mutant(
        OBJECTIVE,
        "Reconstruction(float(c.reconstruction.weight))",
        "Reconstruction(1.0)",
        f"{IN_BUILD}weights_of_the_config_reach_their_losses",
    ),
    Mutant(
        OBJECTIVE,
        "NeighbourEmbedding(float(near.weight)",
        "NeighbourEmbedding(1.0",
        f"{IN_BUILD}weights_of_the_config_reach_their_losses",
    ),
    Mutant(
        OBJECTIVE,
        "SemiSupervised(float(semi.weight)",
        "SemiSupervised(1.0",
        f"{IN_BUILD}weights_of_the_config_reach_their_losses",
    ),
    Mutant(
        OBJECTIVE,
        "else Consistency(views.weight",
        "else Consistency(1.0",
        f"{IN_BUILD}weights_of_the_config_reach_their_losses",
    ),
    Mutant(
        OBJECTIVE,
        "Information(information.weight",
        "Information(1.0",
        f"{IN_BUILD}weights_of_the_config_reach_their_losses",
    ),
    Mutant(
        HEADS,
        "(eta - distance).clamp",
        "(distance - eta).clamp",
        f"{IN_PHASES}head_separation_is_linear_within_eta_and_nothing_beyond",
    ),
    Mutant(
        TERMS,
        'return self.weight * forward.ramp(self.ramp) * loss, {"semi_supervised"',
        'return 0.0 * loss, {"semi_supervised"',
        f"{IN_PHASES}cross_entropy_on_labelled_rows",
    ),
    Mutant(
        TERMS,
        "logits + forward.batch.logit_adjustment",
        "logits - forward.batch.logit_adjustment",
        f"{IN_CLASSIFIERS}labelled_rows_are_weighed_by_how_often_their_class_is_met",
    ),
    Mutant(TERMS, "own.lerp(forward.batch.guide, guide)", "own", f"{IN_CLASSIFIERS}consistency_teaches_a_share_of_it"),
    Mutant(
        TERMS,
        'own = forward.codes["x"].part("y").detach()',
        'own = forward.codes["x"].part("y")',
        f"{IN_PHASES}consistency_stops_the_gradient_of_its_target_and_ramps",
    ),
    Mutant(
        TERMS, "together.nanmean(1", "together.mean(1", f"{IN_PHASES}an_ensemble_teaches_the_mean_of_its_finite_models"
    ),
    Mutant(
        TERMS,
        "model.encode(batch.view + r)",
        "model.encode(batch.view)",
        f"{IN_PHASES}adversarial_views_are_harder_than_random_moves_of_the_same_length",
    ),
    Mutant(
        TERMS,
        "masked_fill(itself, torch.inf)",
        "masked_fill(itself, 0)",
        f"{IN_PHASES}nearest_distance_is_to_another_row",
    ),
    Mutant(
        TERMS,
        "conditional - self.balance * marginal",
        "conditional - marginal",
        f"{IN_PHASES}information_rewards_even_and_sure",
    ),
    Mutant(
        TERMS,
        "min(1.0, self.progress / share)",
        "1.0",
        f"{IN_PHASES}consistency_stops_the_gradient_of_its_target_and_ramps",
    ),
    Mutant(BATCHES, "hidden.scatter(0, own, labels[own])", "labels", f"{IN_BATCHES}labels_show_only_where_chosen"),
    Mutant(
        BATCHES,
        "self.all_labels[chosen]",
        "self.all_labels[chosen] * 0",
        f"{IN_BATCHES}labelled_rows_carry_their_targets",
    ),
    # --- priors -------------------------------------------------------------------------------------------------------
    Mutant(PRIORS, "return _normal(u) * self.std", "return _normal(u)", f"{IN_PRIORS}gaussian_moments"),
    Mutant(
        PRIORS, "self.tangential_std * _normal", "self.radial_std * _normal", f"{IN_PRIORS}mixture_lies_like_petals"
    ),
    Mutant(
        PRIORS,
        "component * (2 * math.pi / self.components)",
        "component * (math.pi / self.components)",
        f"{IN_PRIORS}mixture_lies_like_petals",
    ),
    Mutant(
        PRIORS,
        "(z @ radial.T - self.radius)",
        "(z @ radial.T + self.radius)",
        f"{IN_PRIORS}component_of_inverts_sampling",
    ),
    Mutant(PRIORS, "root = mass.sqrt()", "root = mass", f"{IN_PRIORS}swiss_roll_is_even_along_its_arc"),
    Mutant(
        PRIORS, "nearest * self.components // len(mass)", "nearest * 0", f"{IN_PRIORS}component_of_inverts_sampling"
    ),
    Mutant(
        PRIORS,
        "self.width * _normal(u[..., 1])",
        "0 * _normal(u[..., 1])",
        f"{IN_PRIORS}scale_is_the_root_mean_square_of_a_coordinate {IN_PRIORS}the_roll_has_its_width",
    ),
    Mutant(
        PRIORS,
        "self.share.cumsum(-1)",
        "torch.full_like(self.share, 1 / self.components).cumsum(-1)",
        f"{IN_PRIORS}categories_may_have_shares_of_their_own",
    ),
    Mutant(
        PRIORS,
        "torch.where(component < 0, anywhere, component % self.components)",
        "anywhere",
        f"{IN_PRIORS}categorical_is_one_hot_and_even",
    ),
    # --- metrics ------------------------------------------------------------------------------------------------------
    Mutant(SCALING, "return 0.5 * (self(a)", "return (self(a)", f"{IN_METRICS}reconstruction_error_of_a_known_offset"),
    Mutant(
        METRICS, "labels[start : start + 2048]", "labels[:2048]", f"{IN_METRICS}reconstruction_error_of_a_known_offset"
    ),
    Mutant(
        METRICS,
        "c.model.classify(c.rows.x[known]).argmax(1)",
        "c.model.classify(c.rows.x[known]).argmin(1)",
        f"{IN_METRICS}error_rates_of_known_answers",
    ),
    Mutant(
        METRICS,
        "names[c.model.cluster(c.rows.x[known])[0]]",
        "c.model.cluster(c.rows.x[known])[0]",
        f"{IN_METRICS}error_rates_of_known_answers",
    ),
    Mutant(METRICS, "y[known].argmax(0)", "y[known].argmin(0)", f"{IN_METRICS}the_surest_labelled_row_names_a_cluster"),
    Mutant(
        METRICS,
        "linear_sum_assignment(-table)",
        "linear_sum_assignment(table)",
        f"{IN_METRICS}agreement_of_known_clusters",
    ),
    Mutant(
        METRICS, "normalized_mutual_info_score(labels, clusters)", "1.0", f"{IN_METRICS}agreement_of_known_clusters"
    ),
    Mutant(METRICS, "adjusted_rand_score(labels, clusters)", "1.0", f"{IN_METRICS}agreement_of_known_clusters"),
    Mutant(
        METRICS,
        "float(len(np.unique(clusters)))",
        "float(c.model.model.classes)",
        f"{IN_METRICS}agreement_of_known_clusters",
    ),
    Mutant(
        METRICS, "(len(clusterings) - 1)", "len(clusterings)", f"{IN_METRICS}clusterings_that_others_share_agree_most"
    ),
    Mutant(
        METRICS,
        '"neighbour-accuracy": 100 * float(scores.mean())',
        '"neighbour-accuracy": 90.0',
        f"{IN_METRICS}neighbour_accuracy_is_that_of_the_representation",
    ),
    Mutant(METRICS, '"prior-fit": max(accuracies) / 100', '"prior-fit": 0.55', f"{IN_METRICS}prior_fit_of_known_codes"),
    Mutant(METRICS, '"prior-fit": max(', '"prior-fit": min(', f"{IN_METRICS}prior_fit_of_known_codes"),
    Mutant(
        METRICS,
        '"style-leakage": _probe(z, labels, c.seed)',
        '"style-leakage": chance',
        f"{IN_METRICS}style_leakage_of_known_codes",
    ),
    Mutant(
        METRICS, "np.bincount(labels).max()", "np.bincount(labels).min()", f"{IN_METRICS}style_leakage_of_known_codes"
    ),
    Mutant(
        METRICS,
        ".numpy() == labels).mean()",
        ".numpy() >= 0).mean()",
        f"{IN_METRICS}component_accuracy_of_known_codes",
    ),
    Mutant(
        METRICS,
        "held = validation.evenly_spaced",
        "held = rows.evenly_spaced",
        f"{IN_METRICS}log_likelihood_of_one_gaussian",
    ),
    Mutant(
        METRICS,
        "scores.std(ddof=1) / len(scores) ** 0.5",
        "scores.std(ddof=1)",
        f"{IN_METRICS}log_likelihood_of_one_gaussian",
    ),
    Mutant(
        METRICS,
        "rows[np.sort(order[some:])], rows[np.sort(order[:some])]",
        "rows, rows",
        f"{IN_METRICS}without_validation_rows_a_tenth_chooses_the_width",
    ),
    Mutant(PARZEN, "total - math.log(max(count, 1))", "total", f"{IN_PARZEN}parzen_is_the_log_of_a_mean_of_gaussians"),
    Mutant(
        PARZEN,
        "int(score(some, coarse).argmax())",
        "int(score(some, coarse).argmin())",
        f"{IN_PARZEN}parzen_width_is_the_best_of_a_dense_grid",
    ),
    # --- selection: restarts, names, and which rows are measured ------------------------------------------------------
    Mutant(
        SELECTION,
        "return max(range(len(scores))",
        "return min(range(len(scores))",
        f"{IN_SELECTION}the_best_finite_score_wins {IN_SELECTION}the_restart_of_the_best_score_is_kept",
    ),
    Mutant(SELECTION, "else -math.inf)", "else math.inf)", f"{IN_SELECTION}the_best_finite_score_wins"),
    Mutant(
        SELECTION,
        "candidates[best_index(scores)] if scores",
        "candidates[0] if scores",
        f"{IN_SELECTION}the_restart_of_the_best_score_is_kept",
    ),
    Mutant(
        SELECTION,
        "return -2 * float(model.model.scaling",
        "return 2 * float(model.model.scaling",
        f"{IN_SELECTION}scores_rank_better_models_higher",
    ),
    Mutant(SELECTION, "- cross)", "+ cross)", f"{IN_SELECTION}scores_rank_better_models_higher"),
    Mutant(
        SELECTION,
        "score / math.log(classes) + also",
        "score / math.log(classes) - also",
        f"{IN_SELECTION}agreement_with_other_restarts_counts",
    ),
    Mutant(
        SELECTION,
        "return self.splits.validation.evenly_spaced(",
        "return self.splits.test.evenly_spaced(",
        f"{IN_SELECTION}test_rows_are_for_measuring_only",
    ),
    Mutant(
        SELECTION,
        "validation = self.splits.validation if",
        "validation = self.splits.test if",
        f"{IN_SELECTION}test_rows_are_for_measuring_only",
    ),
    Mutant(
        HOLDOUT,
        "data[np.sort(order[count:])], data[np.sort(order[:count])]",
        "data, data[np.sort(order[:count])]",
        "tests/training/test_splits.py::test_splits_are_disjoint_and_whole",
    ),
    Mutant(
        HOLDOUT,
        "order = order[_stratified(data.labels[order])]",
        "pass",
        f"{IN_SPLITS}held_out_rows_have_the_classes_in_proportion",
    ),
    Mutant(
        "aae_cli/model/evaluation.py",
        "if not trained_on(header, train):",
        "if True:",
        f"{IN_SPLITS}held_out_rows_are_those_of_the_training",
    ),
    Mutant(
        SPLITS,
        "if splits.test is None and not trained_on",
        "if False and not trained_on",
        f"{IN_SPLITS}held_out_rows_are_those_of_the_training",
    ),
    Mutant(
        "aae_cli/model/sampling.py",
        "if p is None:",
        "if True:",
        f"{IN_SAMPLING}categories_are_drawn_as_often_as_training_found_them",
    ),
    Mutant(
        "aae_cli/model/units.py",
        "return x.clip(",
        "return x if True else x.clip(",
        f"{IN_SAMPLING}table_samples_stay_within_the_ranges_of_the_training_rows",
    ),
    Mutant(
        SELECTION,
        "if len(finite) < len(candidates):",
        "if False:",
        f"{IN_SELECTION}a_restart_that_diverged_is_left_out",
    ),
    Mutant(
        VALUES,
        "and not _named_like_pixels(columns)",
        "and False",
        f"{IN_TABLES}a_square_table_of_whole_numbers_is_a_table",
    ),
    Mutant(
        LABELS,
        'texts = ["" if text == unlabelled else text for text in texts]',
        "pass",
        f"{IN_TABLES}the_label_that_means_unlabelled_can_be_named",
    ),
    Mutant(
        "aae_cli/objective/merging.py",
        "torch.cat([mean @ from_y, from_z]",
        "torch.cat([from_y[:, : after.classes], from_z]",
        "tests/objective/test_merging.py::test_what_decodes_is_carried_through_the_merging",
    ),
    Mutant(
        BATCHES,
        "seed * 1_000_003 + self.first_epoch + epoch",
        "seed * 1_000_003 + epoch",
        "tests/training/test_batches.py::test_a_later_stage_goes_on_with_other_orders",
    ),
    Mutant(
        CONTRASTIVE,
        "others.masked_fill(itself, -torch.inf)",
        "others",
        f"{IN_PHASES}a_row_is_compared_with_its_own_view_once",
    ),
    Mutant(
        CONTRASTIVE,
        "float() / self.width for stream",
        "float() for stream",
        f"{IN_PHASES}neighbours_are_compared_in_units_of_the_kernel",
    ),
    Mutant(
        CONTRASTIVE,
        "(z * view).sum(-1) / self.temperature",
        "(z * view).sum(-1)",
        f"{IN_PHASES}codes_are_contrasted_by_their_cosines",
    ),
    Mutant(
        "aae_cli/objective/views.py",
        "torch.where(taken, near, x)",
        "x",
        "tests/objective/test_neighbours.py::test_views_of_images_are_views_of_neighbours",
    ),
    Mutant(
        "aae_cli/training/handover.py",
        "after.pretrained.load_state_dict(before.model.state_dict())",
        "pass",
        "tests/training/test_stages.py::test_a_map_searches_neighbours_in_the_code_before_it",
    ),
    Mutant(
        "aae_cli/nn/encoder.py",
        "            self.body.eval()\n",
        "            pass\n",
        "tests/training/test_stages.py::test_style_is_learned_beside_settled_categories",
    ),
    Mutant(RULES, 'Choice(0.1, "neighbours shape', 'Choice(1.0, "neighbours shape', ADAPTED),
    Mutant(RULES, 'Choice(0.01, "small layers', 'Choice(0.02, "small layers', ADAPTED),
    Mutant(LENGTHS, "tuple(c[key][:2])", "tuple(c[key][:3])", ADAPTED),
    Mutant(LENGTHS, 'Choice(1000, "a table', 'Choice(2000, "a table', ADAPTED),
    Mutant(LENGTHS, "else max(64, 2 * c.facts.features)", "else 10_000", ADAPTED),
    Mutant(PLAN, "models) < SMALL_STEP", "models) < 0", f"{IN_PLAN}small_layers_are_trained_on_one_thread"),
    # --- rules for what is auto ---------------------------------------------------------------------------------------
    # heads or z alone
    # categories, dimensions, components
    Mutant(RULES, "c.facts.rows // 30", "c.facts.rows // 3", ADAPTED),
    Mutant(RULES, 'Choice("found", "the classes', 'Choice("equal", "the classes', ADAPTED),
    Mutant(RULES, "c.facts.rows // 60", "c.facts.rows // 6", ADAPTED),
    Mutant(
        RULES,
        'max(c[key], c["code.y.classes"])',
        "c[key]",
        f"{IN_AUTO}a_representation_that_is_too_narrow_for_its_fixed_heads_is_refused",
    ),
    Mutant(RULES, 'Choice(10, "not used', 'Choice(9, "not used', ADAPTED),
    Mutant(RULES, 'Choice(c.facts.classes, "one component a class")', 'Choice(5, "one component a class")', ADAPTED),
    # units and losses
    Mutant(
        RULES,
        'Choice("unit", "pixels have',
        'Choice("standard", "pixels have',
        f"{IN_AUTO}a_table_is_standardised_and_an_image_is_not",
    ),
    Mutant(
        RULES,
        'no pixel range", told=True) if c.facts.table else None',
        'no pixel range", told=True) if False else None',
        f"{IN_AUTO}a_value_that_was_set_is_kept_or_its_cut_is_told",
    ),
    Mutant(RULES, "Choice(0.003,", "Choice(0.03,", ADAPTED),
    Mutant(RULES, "Choice(0.0, \"a table's few", "Choice(0.2, \"a table's few", ADAPTED),
    Mutant(RULES, "0.2 + 2 * share", "2 * share", ADAPTED),
    Mutant(
        RULES, 'c.facts.table and c["phases.consistency"] is not None', 'c["phases.consistency"] is not None', ADAPTED
    ),
    Mutant(RULES, "c.facts.labelled / 10_000", "c.facts.labelled / 1_000", ADAPTED),
    Mutant(RULES, 'Choice("sigmoid",', 'Choice("linear",', ADAPTED),
    Mutant(
        RULES,
        'Choice("linear", "standardised values have no bounds", told=True)',
        "None",
        f"{IN_AUTO}a_value_that_was_set_is_kept_or_its_cut_is_told",
    ),
    # sizes and lengths
    Mutant(LENGTHS, "c.facts.rows <= 10_000 and", "c.facts.rows <= 1_000 and", ADAPTED),
    Mutant(LENGTHS, 'Choice(0.2, "most rows', 'Choice(0.5, "most rows', ADAPTED),
    Mutant(LENGTHS, "max(2, c.facts.rows // 4)", "10_000", ADAPTED),
    Mutant(LENGTHS, "max(c[key], least)", "c[key]", ADAPTED),
    Mutant(
        LENGTHS,
        'restarts * c["code.y.classes"] * overcluster <= MERGED_TOGETHER',
        "True",
        f"{IN_AUTO}small_tables_are_clustered_several_times_over",
    ),
    # how rules are applied
    Mutant(
        DRAFT,
        "not self.firm and key in draft.given",
        "not self.firm and False",
        f"{IN_AUTO}a_value_that_was_set_is_kept_or_its_cut_is_told",
    ),
    Mutant(
        DRAFT, "self.limit and not self.firm", "self.limit", f"{IN_AUTO}a_value_that_was_set_is_kept_or_its_cut_is_told"
    ),
    Mutant(
        DRAFT,
        "told = choice.told or any(",
        "told = choice.told and any(",
        f"{IN_AUTO}what_is_told_is_what_a_rule_says_and_what_was_asked_for",
    ),
    Mutant(
        AUTO,
        "classes is not None and classes < facts.classes",
        "False",
        f"{IN_AUTO}data_that_cannot_be_trained_on_is_refused",
    ),
    Mutant(AUTO, "if facts.rows < 2:", "if False:", f"{IN_AUTO}data_that_cannot_be_trained_on_is_refused"),
    Mutant(AUTO, "if facts.classes == 1:", "if False:", f"{IN_AUTO}data_that_cannot_be_trained_on_is_refused"),
    Mutant(
        AUTO,
        "if not facts.classes or not facts.labelled:",
        "if False:",
        f"{IN_AUTO}data_that_cannot_be_trained_on_is_refused",
    ),
    # --- checks of the readers ----------------------------------------------------------------------------------------
    Mutant(VALUES, 'if values.dtype.kind not in "biuf":', "if False:", f"{IN_ARRAYS}refused_arrays"),
    Mutant(VALUES, "if not 2 <= values.ndim <= 4:", "if False:", f"{IN_ARRAYS}refused_arrays"),
    Mutant(VALUES, "if len(values) == 0 or values.size == 0:", "if False:", f"{IN_ARRAYS}refused_arrays"),
    Mutant(
        VALUES,
        "if place is not None:\n        row, column = place\n        word",
        "if False:\n        row, column = place\n        word",
        f"{IN_ARRAYS}refused_arrays",
    ),
    Mutant(
        VALUES,
        "~np.isfinite(v))) is not None:",
        "~np.isfinite(v))) is not None and False:",
        f"{IN_ARRAYS}refused_arrays",
    ),
    Mutant(
        VALUES,
        "least >= 0 and most <= 255 and _first_fraction(x) is None:",
        "least >= 0 and most <= 255:",
        f"{IN_ARRAYS}refused_arrays",
    ),
    Mutant(
        VALUES,
        "1.0 if most <= 1 else 16.0 if most <= 16 else 255.0",
        "1.0 if most <= 1 else 255.0",
        f"{IN_ARRAYS}pixel_ranges",
    ),
    Mutant(VALUES, "if not fits:", "if False:", f"{IN_ARRAYS}like_refuses"),
    Mutant(VALUES, "if least < low or most > high:", "if False:", f"{IN_ARRAYS}like_refuses"),
    Mutant(VALUES, "if fraction is not None and least >= 0 and most <= 1:", "if False:", f"{IN_ARRAYS}like_refuses"),
    Mutant(VALUES, "high > 1 and least == 0 and most == 1:", "False:", f"{IN_ARRAYS}like_refuses"),
    Mutant(
        VALUES,
        "raw.pixel_range is not None and raw.pixel_range != (low, high):",
        "False:",
        f"{IN_ARRAYS}like_refuses {IN_IMAGES}pixels_of_another_range_are_refused",
    ),
    Mutant(
        LABELS,
        "if array.ndim != 1 or len(array) != rows:",
        "if False:",
        f"{IN_ARRAYS}labels_that_cannot_be_used_are_refused",
    ),
    Mutant(
        LABELS,
        'if array.dtype.kind not in "iubfSUOT":',
        "if False:",
        f"{IN_ARRAYS}labels_that_cannot_be_used_are_refused",
    ),
    Mutant(
        LABELS,
        "or (array != np.floor(array)).any():",
        "or False:",
        f"{IN_ARRAYS}labels_that_cannot_be_used_are_refused",
    ),
    Mutant(
        LABELS,
        "if not minus_one and (own == -1).any() and own.min() == -1:",
        "if (own == -1).any():",
        f"{IN_MEMORY}minus_one_is_a_class_beside_other_negative_labels",
    ),
    Mutant(TABLES, "refuse_duplicates(header, name)", "pass", f"{IN_TABLES}refusals"),
    Mutant(FRAMES, "refuse_nulls(table, name)", "pass", f"{IN_TABLES}like_refuses_other_columns"),
    Mutant(FRAMES, "if frame.height == 0:", "if False:", f"{IN_TABLES}refusals"),
    Mutant(FRAMES, "if not features:", "if False:", f"{IN_TABLES}refusals"),
    Mutant(FRAMES, "if len(numeric) < len(features):", "if False:", f"{IN_TABLES}like_refuses_other_columns"),
    Mutant(FRAMES, "if label in options.columns:", "if False:", f"{IN_TABLES}a_column_is_not_both_feature_and_label"),
    Mutant(REFUSALS, "if len(numeric) != like.size:", "if False:", f"{IN_TABLES}like_refuses_other_columns"),
    Mutant(REFUSALS, "a != b and a in wanted", "False", f"{IN_TABLES}like_refuses_other_columns"),
    Mutant(REFUSALS, "if column not in header:", "if False:", f"{IN_TABLES}label_column_and_feature_columns"),
    Mutant(REFUSALS, 'content[:2] in (b"\\xff\\xfe", b"\\xfe\\xff"):', "False:", f"{IN_TABLES}refusals"),
    Mutant(
        "aae_cli/objective/mixtures.py",
        "if best is None or told > best[0]:",
        "if best is None:",
        "tests/objective/test_mixtures.py::test_the_covariance_that_suits_the_rows_is_chosen",
    ),
    Mutant(
        "aae_cli/objective/linear_classifiers.py",
        "if known.max() > EVEN * known.min():",
        "if False:",
        f"{IN_CLASSIFIERS}labels_that_are_not_spread_evenly_keep_their_proportions",
    ),
    Mutant(
        RULES,
        'return Choice(0.25, "categories',
        'return Choice(1.0, "categories',
        "tests/config/test_auto.py::test_a_table_with_categories_is_guided_by_what_is_fitted_before_training",
    ),
    # --- mixed tables -------------------------------------------------------------------------------------------------
    Mutant(
        COLUMNS,
        "unknown, float(len(self.levels) - 1)",
        "unknown, 0.0",
        f"{IN_COLUMNS}unknown_levels_are_counted_never_refused",
    ),
    Mutant(
        COLUMNS,
        "values.clip(self.low, self.high)",
        "values",
        f"{IN_COLUMNS}nearest_holds_the_range_the_precision_and_few_values",
    ),
    Mutant(COLUMNS, "text.str.to_lowercase()", "text.str", f"{IN_COLUMNS}text_is_read_as_the_training_file_wrote_it"),
    Mutant(COLUMNS, "column._refuse_levels()", "pass", f"{IN_COLUMNS}damaged_headers_are_refused"),
    Mutant(KINDS, "if each[1] >= least] or most", "if True] or most", f"{IN_KINDS}rare_levels_are_pooled_by_frequency"),
    Mutant(KINDS, "if each[0] != OTHER]", "if True]", f"{IN_KINDS}a_real_level_called_other_is_pooled"),
    Mutant(KINDS, "x if spike is None else x[x != spike]", "x", f"{IN_KINDS}heavy_tails_are_found_beside_a_spike"),
    Mutant(KINDS, "numbers.n_unique() == 2 and not numeric", "False", f"{IN_KINDS}two_numbers_are_a_category"),
    Mutant(FRAMES, "if text not in known] if", "] if", f"{IN_COLUMNS}a_class_that_the_model_knows_is_not_missing"),
    Mutant(FRAMES, "refuse_other_kinds(options, like, name)", "pass", f"{IN_COLUMNS}a_model_keeps_its_kinds"),
    Mutant(CHUNKS, "like or kinds", "like", f"{IN_SHARDS}spooled_pieces_have_the_kinds_of_the_whole_table"),
    Mutant(CELLS, "clamp(min=MIN_VARIANCE)", "clamp(min=1e-9)", f"{IN_CELLS}a_rare_level_does_not_dominate"),
    Mutant(CELLS, "EDGE + (1 - 2 * EDGE) * (above", "(above", f"{IN_CELLS}heavy_tails_become_normal_and_come_back"),
    Mutant(
        CELLS,
        "return 0.5 * self.category_weight / entropy",
        "return 1.0 * self.category_weight / entropy",
        f"{IN_CELLS}predicting_the_marginal_costs_half_in_each_column",
    ),
    Mutant(CELLS, "self.frequency * flags\n", "self.frequency\n", f"{IN_CELLS}missing_cells_are_zero_and_cost_nothing"),
    Mutant(
        CELLS, "masked_fill(spiked, torch.nan)", "masked_fill(spiked, 0.0)", f"{IN_CELLS}a_spike_is_a_level_of_its_own"
    ),
    Mutant(
        "aae_cli/nn/cell_draws.py",
        "z + torch.randn(",
        "z + 0.0 * torch.randn(",
        f"{IN_CELLS}draws_have_the_frequencies_and_the_spread",
    ),
    Mutant(
        CELLS,
        "(self.observed(a) * self.observed(b))",
        "self.observed(a)",
        f"{IN_CELLS}distances_are_of_cells_that_both_rows_have",
    ),
    Mutant(
        VIEWS,
        "chosen[..., cells.column_of], other",
        "torch.rand_like(x) < p, other",
        f"{IN_VIEWS}swapped_cells_are_whole_and_come_with_their_flags",
    ),
    Mutant(
        VIEWS, ".clamp(max=UNRELATED)", "", f"{IN_VIEWS}rows_that_share_no_cell_with_any_other_are_not_drowned_in_noise"
    ),
    Mutant(
        VIEWS, "torch.where(cells.known(x) > 0, moved, 0.0)", "moved", f"{IN_VIEWS}noise_is_on_observed_numbers_alone"
    ),
    Mutant(
        NEIGHBOURS,
        "self.cells.kinds.columns / shared",
        "1.0 / shared",
        f"{IN_NEIGHBOURS}distances_of_cells_are_those_over_shared_cells",
    ),
    Mutant(ARRAYS, "if dtype.hasobject:", "if False:", f"{IN_ARRAYS}objects_and_pickles_are_refused"),
    Mutant(ARRAYS, "if len(content) != size:", "if False:", f"{IN_ARRAYS}damaged_idx"),
    Mutant(ARRAYS, "if len(sizes) < 4 * head[3]:", "if False:", f"{IN_ARRAYS}damaged_idx"),
    Mutant(
        ARRAYS, "prod(shape) * dtype.itemsize != size - file.tell()", "False", f"{IN_ARRAYS}header_that_claims_too_much"
    ),
    Mutant(STREAMS, "if size > LIMIT:", "if False:", f"{IN_ARRAYS}an_archive_that_unpacks_to_too_much_is_refused"),
    Mutant(
        STREAMS,
        "if size > DEFLATE * (packed + 64):",
        "if False:",
        f"{IN_ARRAYS}members_that_unpack_to_more_than_their_bytes_can_hold_are_refused_unread",
    ),
    Mutant(
        ARRAYS, "if labels_at not in members:", "if False:", f"{IN_ARRAYS}labels_of_a_key_that_is_not_there_are_refused"
    ),
    Mutant(IMAGES, 'image.mode == "F"', "False", f"{IN_IMAGES}refusals"),
    Mutant(IMAGES, "ImageOps.exif_transpose(image)", "image", f"{IN_IMAGES}images_stand_upright"),
    Mutant(IMAGES, "/ 257", "/ 256", f"{IN_IMAGES}sixteen_bits_are_scaled_to_eight"),
    Mutant(IMAGES, "most_common(1)", "most_common()[-1:]", f"{IN_IMAGES}sizes_are_brought_to_the_most_frequent_one"),
    Mutant(IMAGES, "if not self.skip_bad:", "if True:", f"{IN_IMAGES}damaged_images_are_named_or_left_out"),
    Mutant(ALBUMS, "if not found:", "if False:", f"{IN_IMAGES}refusals"),
    Mutant(
        ALBUMS, "refuse_claim(size, packed, shown)", "pass", f"{IN_IMAGES}a_zip_that_unpacks_to_too_much_is_refused"
    ),
    Mutant(
        ALBUMS,
        'any(part.startswith(".")',
        'any(part.startswith("#")',
        f"{IN_IMAGES}archives_are_read_as_their_folders_are",
    ),
    Mutant(NAMED, 'part not in ("", "train", "test")', "False", f"{IN_NAMED}unknown_sources"),
    Mutant(MEMORY, "if not isinstance(values, np.ndarray):", "if False:", f"{IN_MEMORY}other_types_are_refused"),
    Mutant(CHUNKS, "elif len(kept) > LINE:", "elif False:", f"{IN_CHUNKS}a_line_without_end_is_refused"),
    Mutant(CHUNKS, "if len(content) < count * width:", "if False:", f"{IN_CHUNKS}a_pipe_that_ends_early_is_refused"),
    Mutant(
        "aae_cli/data/formats.py",
        "if suffix in _PICKLES:",
        "if False:",
        f"{IN_ARRAYS}objects_and_pickles_are_refused",
    ),
    Mutant(READ, "if not 0 <= row < len(data):", "if False:", f"{IN_TABLES}read_row"),
    Mutant(READ, "if match is None and len(data) > 1:", "if False:", f"{IN_TABLES}read_row"),
    # --- what a resumed run must have in common with the original, and what it restores -------------------------------
    Mutant(PLAN, '"config": config,', '"config": {},', f"{IN_PLAN}a_resumed_run_has_the_same_config_rows_and_seeds"),
    Mutant(PLAN, '"rows": len(rows)', '"rows": 0', f"{IN_PLAN}a_resumed_run_has_the_same_config_rows_and_seeds"),
    Mutant(
        PLAN,
        '"features": rows.schema.size',
        '"features": 0',
        f"{IN_PLAN}a_resumed_run_has_the_same_config_rows_and_seeds",
    ),
    Mutant(
        PLAN, '"data": fingerprint(rows)', '"data": ""', f"{IN_PLAN}a_resumed_run_has_the_same_config_rows_and_seeds"
    ),
    Mutant(
        PLAN,
        '"seeds": list(plan.labelled)',
        '"seeds": len(plan.labelled)',
        f"{IN_PLAN}a_resumed_run_has_the_same_config_rows_and_seeds",
    ),
    Mutant(
        HOLDOUT, "number if rows.labels is None", "number if True", f"{IN_PLAN}the_fingerprint_sees_values_and_labels"
    ),
    Mutant(
        HOLDOUT,
        "np.ascontiguousarray(rows.x[::every])",
        "np.ascontiguousarray(rows.x[:1])",
        f"{IN_PLAN}the_fingerprint_sees_values_and_labels",
    ),
    Mutant(PLAN, ' or path == "config.train.epochs"', "", f"{IN_PLAN}only_the_epochs_may_differ"),
    Mutant(PLAN, "*(key for key in new if key not in old)", "", f"{IN_PLAN}only_the_epochs_may_differ"),
    Mutant(
        RUN,
        'require_same(facts["identity"], writer.identity, folder.path)',
        "pass",
        f"{IN_RUN}more_epochs_go_on_and_other_changes_are_refused",
    ),
    Mutant(
        RUN,
        'where["epochs_done"] = [plan.epochs for plan in stages[:stage]]',
        'where["epochs_done"] = [0 for plan in stages[:stage]]',
        f"{IN_RUN}merged_training_resumes_with_the_same_bits_in_every_stage",
    ),
    Mutant(
        RUN, '{"stage": stage,', '{"stage": 0,', f"{IN_RUN}merged_training_resumes_with_the_same_bits_in_every_stage"
    ),
    Mutant(
        ENGINE,
        'self.model.load_state_dict(under("model."))',
        "pass",
        f"{IN_ENGINE}a_resumed_training_ends_with_the_same_bits",
    ),
    Mutant(
        ENGINE,
        'self.other.load_state_dict(under("other."))',
        "pass",
        f"{IN_ENGINE}a_resumed_training_restores_the_discriminators_and_counts_on",
    ),
    Mutant(
        ENGINE,
        "self.averages[name].copy_(value)\n            for name, optimizer",
        "pass\n            for name, optimizer",
        f"{IN_ENGINE}a_resumed_training_ends_with_the_same_bits",
    ),
    Mutant(
        ENGINE,
        'optimizer.load_state_dict({"state": state,',
        'optimizer.load_state_dict({"state": {},',
        f"{IN_ENGINE}a_resumed_training_ends_with_the_same_bits",
    ),
    Mutant(
        ENGINE,
        'torch.set_rng_state(tensors["random.cpu"].cpu())',
        "pass",
        f"{IN_ENGINE}a_resumed_training_ends_with_the_same_bits",
    ),
    Mutant(
        ENGINE,
        'int(values["step"]), float(values["seconds"])',
        '0, float(values["seconds"])',
        f"{IN_ENGINE}a_resumed_training_ends_with_the_same_bits",
    ),
    Mutant(
        ENGINE,
        'int(values["step"]), float(values["seconds"])',
        'int(values["step"]), 0.0',
        f"{IN_ENGINE}a_resumed_training_restores_the_discriminators_and_counts_on",
    ),
    Mutant(
        FOLDER,
        "whole = claimed == checksum(tensors, json.dumps(facts))",
        "whole = True",
        "tests/training/test_crash.py::test_a_state_with_one_flipped_bit_is_refused_by_name",
    ),
    Mutant(
        FOLDER,
        'record.get("step", math.inf) <= step',
        "True",
        "tests/training/test_folder.py::test_the_log_is_rewound_to_the_step_that_is_resumed",
    ),
    # --- other programs -----------------------------------------------------------------------------------------------
    Mutant(
        "aae_cli/output/browser.py",
        r'.replace("<", "\\u003c")',
        "",
        "tests/output/test_browser.py::test_nothing_from_a_file_is_markup",
    ),
    Mutant(
        "aae_cli/model/walks.py",
        "start + share * (end - start)",
        "start + share * end",
        "tests/cli/test_cli_codes.py::test_a_walk_starts_at_one_row_and_ends_at_the_other",
    ),
    Mutant(
        "aae_cli/model/walks.py",
        "u[:, dim] = ticks",
        "u[:, 0] = ticks",
        "tests/cli/test_cli_codes.py::test_one_dimension_is_varied_for_each_category",
    ),
    Mutant(
        "aae_cli/cli/shards.py",
        "list(results)[rank::size]",
        "list(results)[rank:]",
        "tests/cli/test_cli_shards.py::test_processes_share_whole_files",
    ),
    Mutant(
        "aae_cli/cli/shards.py",
        "if results[file].is_file() and ",
        "if False and ",
        "tests/cli/test_cli_shards.py::test_each_file_gives_a_file_and_done_ones_are_skipped",
    ),
    Mutant(
        "aae_cli/model/abilities.py",
        "table[np.flatnonzero(named), names[named]] = 1",
        "table[np.flatnonzero(named), 0] = 1",
        "tests/model/test_old_checkpoints.py",
    ),
    Mutant(
        "aae_cli/data/memory.py",
        "(type(cell) is not str and cell == -1)",
        "False",
        "tests/test_estimator.py::test_labels_may_be_missing_and_keep_their_type",
    ),
    Mutant(
        "aae_cli/data/memory.py",
        "np.moveaxis(x.reshape(-1, *schema.shape), 1, -1)",
        "x.reshape(-1, *self.shape)",
        "tests/test_estimator.py::test_images_keep_their_form",
    ),
    Mutant(
        "aae_cli/estimator.py",
        'for learned in ("classes_", "labels_", "model_", ',
        'for learned in ("classes_", "labels_", ',
        "tests/test_estimator.py::test_a_fit_that_fails_leaves_no_model",
    ),
    Mutant(
        "aae_cli/estimator.py",
        "found[known]",
        "found[: len(labels)]",
        "tests/test_estimator.py::test_unlabelled_rows_do_not_count_in_a_score",
    ),
    Mutant(
        "aae_cli/training/engine.py",
        "            if number:\n                raise self._interrupted(number)\n\n",
        "\n",
        "tests/training/test_engine.py::test_a_signal_while_the_last_step_is_saved_is_not_lost",
    ),
    Mutant(
        "aae_cli/model/projection.py",
        "return (y @ heads + moved)",
        "return (heads[y.argmax(1)] + moved)",
        "tests/model/test_projection.py::test_rows_lie_about_their_heads_and_doubtful_ones_between",
    ),
    Mutant(
        "aae_cli/data/codes.py",
        "key=lambda name: int(name[1:])",
        "key=lambda name: -int(name[1:])",
        "tests/cli/test_cli_codes.py::test_columns_of_codes_may_stand_in_any_order_beside_others",
    ),
]


# --- the runner -------------------------------------------------------------------------------------------------------


def passes(folder: Path, tests: Iterable[str]) -> tuple[bool, str]:
    """Run tests in a copy of the checkout: whether all pass, and the end of what pytest prints.

    Raises:
        RuntimeError: pytest could not run them.
    """
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-n", "0", "-p", "no:cacheprovider", *tests]
    env = {**os.environ, "PYTHONPATH": str(folder), "OMP_NUM_THREADS": "1"}
    try:
        done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=SECONDS)
    except subprocess.TimeoutExpired:
        return False, f"no end within {SECONDS} s"
    lines = done.stdout.splitlines()[-15:]
    if done.returncode > 1 or any(line.startswith("ERROR ") for line in lines):
        raise RuntimeError("\n".join([*lines, done.stderr]))
    return done.returncode == 0, "\n".join(lines)


def is_killed(mutant: Mutant, folder: Path) -> bool:
    """Whether the tests of a mutant fail once it is in a copy of the checkout, which is restored afterwards."""
    file = folder / mutant.file
    text, times = file.read_text(encoding="utf-8"), file.stat()
    if text.count(mutant.old) != 1:
        raise RuntimeError(f"{mutant}: the old snippet occurs {text.count(mutant.old)} times")
    mutated = text.replace(mutant.old, mutant.new)
    compile(mutated, str(file), "exec")
    file.write_text(mutated, encoding="utf-8")
    try:
        return not passes(folder, mutant.tests.split())[0]
    finally:
        file.write_text(text, encoding="utf-8")
        os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))  # compiled files of the whole checkout stay valid


def copy(source: Path, target: Path) -> Path:
    """Copy what the tests need."""
    target.mkdir()
    for name in COPIED:
        if (source / name).is_dir():
            shutil.copytree(source / name, target / name)
        else:
            shutil.copy2(source / name, target / name)
    return target


def run(mutants: list[Mutant], jobs: int) -> int:
    """Print what becomes of each mutant. Returns how many survive or could not be run."""
    with tempfile.TemporaryDirectory(prefix="mutants-") as temporary:
        whole = copy(ROOT, Path(temporary, "whole"))
        good, output = passes(whole, dict.fromkeys(name for mutant in mutants for name in mutant.tests.split()))
        if not good:
            print(f"the tests fail without a mutant:\n{output}")
            return len(mutants)
        folders: SimpleQueue[Path] = SimpleQueue()
        for number in range(jobs):
            folders.put(copy(whole, Path(temporary, f"copy-{number}")))

        def judge(mutant: Mutant) -> bool:
            folder, start = folders.get(), time.perf_counter()
            try:
                verdict = "killed" if is_killed(mutant, folder) else "SURVIVED"
            except (RuntimeError, SyntaxError) as error:
                verdict = f"ERROR {error}"
            finally:
                folders.put(folder)
            print(f"{verdict:8} {time.perf_counter() - start:5.1f} s  {mutant}", flush=True)
            return verdict != "killed"

        with ThreadPoolExecutor(jobs) as pool:
            return sum(pool.map(judge, mutants))


def main() -> int:
    parser = argparse.ArgumentParser(description="Check that the tests notice small faults.")
    parser.add_argument("--all", action="store_true", help="run all mutants")
    parser.add_argument("--random", type=int, metavar="N", help="run N mutants, chosen at random")
    parser.add_argument("--seed", type=int, help="seed of that choice; by default a new one, which is printed")
    parser.add_argument("--only", metavar="TEXT", help="run mutants whose file, snippets or tests contain this text")
    parser.add_argument("--jobs", type=int, default=1, help="mutants at once")
    options = parser.parse_args()
    if not (options.all or options.random or options.only):
        parser.error("give --all, --random N or --only TEXT")
    mutants = [mutant for mutant in MUTANTS if not options.only or options.only in f"{mutant} {mutant.tests}"]
    if options.random:
        seed = options.seed if options.seed is not None else random.SystemRandom().randrange(10_000)
        print(f"--random {options.random} --seed {seed}", flush=True)
        mutants = random.Random(seed).sample(mutants, min(options.random, len(mutants)))
    alive = run(mutants, options.jobs)
    print(f"{len(mutants) - alive} of {len(mutants)} mutants killed")
    return 1 if alive else 0


if __name__ == "__main__":
    sys.exit(main())
