"""The experiment on captions as a study: gap and retrieval against the probability of replacement, with and without training."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fieldsolve.embeddings.files import read_modalities
from fieldsolve.embeddings.partners import read_groups
from fieldsolve.numerics.errors import InputError
from fieldsolve.numerics.files import require_file
from fieldsolve.output.summary import entry_of
from fieldsolve.reproduce.captions.model import FIGURES, MOST_PAIRS, TRAININGS, Captions, measure, train
from fieldsolve.reproduce.study import Columns, standard_error, with_noun
from fieldsolve.runs import Task

PROBABILITIES, _QUICK = (0.0, 0.25, 0.5, 0.75, 1.0), (0.0, 0.5, 1.0)

_SEEDS, _QUICK_SEEDS = 5, 2
_FEWEST = 50  # pairs


def inputs_of(files: tuple[str, ...], groups: str | None, tau: float) -> dict[str, Any]:
    """What the experiment is of, as JSON. Raises InputError for files that are missing or hold no such pairs."""
    if not files:
        raise InputError("captions needs embeddings: give a file of both modalities (2, n, d), or two")
    named = [str(Path(one.partition("::")[0]).absolute()) + "".join(one.partition("::")[1:]) for one in files]
    labels = None if groups is None else str(Path(groups).absolute())
    contents = {}
    for one in [*named, *([labels] if labels else [])]:
        path = Path(one.partition("::")[0])
        require_file(path)
        contents[str(path)] = entry_of(path)
    read_captions(named, labels, 0)
    return {"files": named, "groups": labels, "tau": tau, "contents": contents}


def default_seeds(quick: bool) -> int:
    """How many splits and draws there are."""
    return _QUICK_SEEDS if quick else _SEEDS


def tasks(seeds: int, quick: bool, inputs: dict[str, Any]) -> list[Task]:
    """One task for each training, probability and seed."""
    return [
        Task.of("captions", {**inputs, "training": training, "probability": probability, "seed": seed})
        for training in TRAININGS
        for probability in (_QUICK if quick else PROBABILITIES)
        for seed in range(seeds)
    ]


def _captions(config: dict[str, Any]) -> dict[str, Any]:
    captions = read_captions(config["files"], config["groups"], config["seed"])
    heads = train(captions, config["training"], config["probability"], config["tau"], config["seed"])
    return measure(captions, heads, config["training"], config["probability"], config["seed"])


def read_captions(files: list[str], groups: str | None, seed: int) -> Captions:
    """Matched rows from files, at most MOST_PAIRS evenly spaced ones, and their split. Raises InputError."""
    both = read_modalities(files, precision=np.float64)
    if len(both) != 2 or len(both[0].rows) != len(both[1].rows):
        counts = ", ".join(f"{one.name} {len(one.rows)}" for one in both)
        raise InputError(f"captions are of two modalities whose rows match one by one; these have {counts}")
    count = len(both[0].rows)
    if count < _FEWEST:
        raise InputError(f"{count} pairs are too few to train heads on and to hold some out; at least {_FEWEST} are needed")
    labels = np.zeros(count, dtype=np.int64)
    if groups is not None:
        read = read_groups(Path(groups))
        if read.shape != (count,):
            raise InputError(f"{groups}: has {len(read)} labels, and there are {count} pairs; each needs one")
        labels = np.unique(read, return_inverse=True)[1].astype(np.int64)
        if len(np.unique(labels)) == count:
            raise InputError(f"{groups}: every pair has a group of its own, so that nothing is replaced; give labels that recur")
    kept = np.unique(np.linspace(0, count - 1, min(count, MOST_PAIRS)).astype(np.int64))
    first, second = (one.rows[kept].astype(np.float64) for one in both)
    return Captions.split(first, second, labels[kept], seed)


COMPUTED: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {"captions": _captions}


@dataclass(frozen=True, eq=False)
class CaptionsStudy:
    """values: for each training and each of FIGURES an array (probabilities, seeds)."""

    probabilities: tuple[float, ...]
    values: dict[str, dict[str, Any]]

    @classmethod
    def of(cls, results: list[tuple[Task, dict[str, Any]]]) -> "CaptionsStudy":
        """The study of all tasks' values."""
        probabilities = tuple(sorted({task.config["probability"] for task, _ in results}))
        values: dict[str, dict[str, Any]] = {}
        for training in TRAININGS:
            by_probability = [
                [found for task, found in results if (task.config["training"], task.config["probability"]) == (training, one)]
                for one in probabilities
            ]
            values[training] = {name: np.array([[found[name] for found in here] for here in by_probability]) for name in FIGURES}
        return cls(probabilities, values)

    @property
    def seeds(self) -> int:
        return int(self.values[TRAININGS[0]]["gap"].shape[1])

    @property
    def table(self) -> Columns:
        columns: Columns = {"training": [], "probability": []}
        for training in TRAININGS:
            columns["training"] += [training] * len(self.probabilities)
            columns["probability"] += self.probabilities
            for name in FIGURES:
                values = self.values[training][name]
                columns.setdefault(f"{name}_mean", []).extend(values.mean(axis=1).tolist())
                columns.setdefault(f"{name}_error", []).extend(standard_error(one) for one in values)
        return columns

    @property
    def runs(self) -> Columns:
        columns: Columns = {"training": [], "probability": [], "seed": []}
        for training in TRAININGS:
            for index, probability in enumerate(self.probabilities):
                columns["training"] += [training] * self.seeds
                columns["probability"] += [probability] * self.seeds
                columns["seed"] += range(self.seeds)
                for name in FIGURES:
                    columns.setdefault(name, []).extend(self.values[training][name][index].tolist())
        return columns

    @property
    def report(self) -> list[str]:
        sentences = [
            f"Linear heads from the identity on stored embeddings, measured on pairs held out; {with_noun(self.seeds, 'split')}."
        ]
        for training in TRAININGS:
            mean = {name: values.mean(axis=1) for name, values in self.values[training].items()}
            what = "captions of stored embeddings replaced, nothing trained" if training == "none" else f"trained, {training}"
            sentences.append(
                f"{what}: from p = {self.probabilities[0]:g} to {self.probabilities[-1]:g} the centroid gap goes from "
                f"{mean['gap'][0]:.3f} to {mean['gap'][-1]:.3f}, recall at 1 from {mean['recall_a'][0]:.3f} and "
                f"{mean['recall_b'][0]:.3f} to {mean['recall_a'][-1]:.3f} and {mean['recall_b'][-1]:.3f}"
            )
        full = {name: values.mean(axis=1) for name, values in self.values["full batch"].items()}
        norms = [(full["norm_a"][at], full["norm_b"][at]) for at in (0, -1)]
        cosines = full["centroid_cosine"]
        square = norms[1][0] ** 2 + norms[1][1] ** 2 - 2 * norms[1][0] * norms[1][1] * cosines[0]
        said = (
            f"Trained, the centroids' norms go from {norms[0][0]:.3f} and {norms[0][1]:.3f} to {norms[1][0]:.3f} and "
            f"{norms[1][1]:.3f}, their cosine from {cosines[0]:.3f} to {cosines[-1]:.3f}: with the first angle the last norms "
            "make "
            f"a gap of {np.sqrt(max(square, 0.0)):.3f}."
        )
        if min(norms[1]) > max(norms[0]):
            said += (
                " Partners that say less about each other want similarities that vary less, hence narrower cones; cones at a "
                "given "
                "angle are farther apart the narrower they are."
            )
        sentences.append(said)
        return sentences
