"""Runs side by side: their metrics, differences on the same pairs, and whether the gap goes with retrieval."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from math import erfc, hypot, sqrt
from typing import Any

import numpy as np

from fieldsolve.diagnose.many.runs import RunSpec
from fieldsolve.diagnose.metrics.table import definitions
from fieldsolve.diagnose.statistics.estimate import NORMAL
from fieldsolve.numerics.arrays import Array
from fieldsolve.numerics.errors import InputError
from fieldsolve.output.tables import short

SCHEMA = "fieldsolve/compare/1"

#: What tables and pictures show, of as many as runs have.
MAIN = (
    *("centroid_gap", "energy_distance", "energy_distance_centred", "cosine_matched_mean", "cosine_unmatched_mean"),
    *("recall_a_to_b_at_1", "recall_b_to_a_at_1", "recall_a_to_b_at_10", "recall_b_to_a_at_10"),
    *(f"mixed_{side}_{how}_other_share_at_10" for how in ("raw", "centred") for side in "ab"),
    *("mutual_neighbours", "debiased_cka", "effective_rank_a", "effective_rank_b", "infonce", "siglip", "best_temperature"),
)

_FEWEST = 4  # runs that have a rank correlation
_PERMUTATIONS = 9999


@dataclass(frozen=True, eq=False)
class Entry:
    """Two modalities of a run. label: its name, with the modalities' where there are more; pair: which of its pairs of
    modalities; values: of its diagnosis, as JSON; step: of training; tau: its temperature.
    """

    run: str
    label: str
    pair: int
    step: float | None
    tau: float
    values: dict[str, Any]

    @property
    def metrics(self) -> dict[str, Any]:
        """By name, as JSON."""
        metrics: dict[str, Any] = self.values["metrics"]
        return metrics

    @property
    def recall(self) -> float:
        """Recall at 1, the mean of both directions."""
        return float(sum(self.metrics[f"recall_{way}_at_1"]["value"] for way in ("a_to_b", "b_to_a")) / 2)

    @property
    def place(self) -> tuple[float, float]:
        """The centroid gap and recall at 1."""
        return self.metrics["centroid_gap"]["value"], self.recall


@dataclass(frozen=True)
class Difference:
    """A metric's value less that of another run, with a 95 % interval; p: of no difference, from paired samples of the same
    pairs, None where there are none and intervals are those of independent ones.
    """

    value: float
    ci_low: float | None
    ci_high: float | None
    p_value: float | None

    @property
    def is_sure(self) -> bool:
        """Whether the interval leaves 0 out."""
        return self.ci_low is not None and self.ci_high is not None and (self.ci_low > 0 or self.ci_high < 0)


@dataclass(frozen=True)
class Correlation:
    """Spearman's rank correlation of the centroid gap with recall at 1 over runs.

    p_value: by permutations; None for steps of a training, which are not independent, and for runs of different numbers of pairs.
    """

    value: float
    p_value: float | None
    runs: int


@dataclass(frozen=True, eq=False)
class Series:
    """Entries in the order of the runs; against: the run that differences are taken to; paired: whether runs with as many pairs
    are taken to be of the same ones.
    """

    entries: tuple[Entry, ...]
    against: str
    paired: bool = True

    @classmethod
    def of(cls, runs: Sequence[RunSpec], found: Sequence[dict[str, Any]], against: str | None, paired: bool) -> "Series":
        """Of runs and what came of each. Raises InputError for a run to compare with that is not there."""
        names = [run.name for run in runs]
        if against is not None and against not in names:
            raise InputError(f"there is no run {against!r} to compare with; runs are {', '.join(names)}")
        entries = []
        for run, values in zip(runs, found, strict=True):
            several = len(values["comparisons"]) > 1
            for pair, one in enumerate(values["comparisons"]):
                label = f"{run.name}: {one['first']} and {one['second']}" if several else run.name
                entries.append(Entry(run.name, label, pair, run.step, values["tau"], one))
        return cls(tuple(entries), against or names[0], paired)

    @property
    def names(self) -> list[str]:
        """The main metrics that some entry has."""
        return [name for name in MAIN if any(name in one.metrics for one in self.entries)]

    def reference(self, entry: Entry) -> Entry | None:
        """What an entry is compared with: the same pair of modalities of the other run; None where there is none."""
        if entry.run == self.against:
            return None
        return next((one for one in self.entries if one.run == self.against and one.pair == entry.pair), None)

    def is_paired(self, entry: Entry) -> bool:
        """Whether an entry and what it is compared with are taken to be of the same pairs."""
        other = self.reference(entry)
        return (
            self.paired
            and other is not None
            and bool(entry.values["replicates"] and other.values["replicates"])
            and entry.values["matching"] == other.values["matching"]
        )

    def difference(self, entry: Entry, name: str) -> Difference | None:
        """How much a metric differs from the other run's; None where one of both has none."""
        other = self.reference(entry)
        if other is None or name not in entry.metrics or name not in other.metrics:
            return None
        one, two = entry.metrics[name], other.metrics[name]
        if one["value"] is None or two["value"] is None:
            return None
        value = one["value"] - two["value"]
        both = [run.values["replicates"].get(name) for run in (entry, other)]
        if self.is_paired(entry) and all(both):
            differences = np.array(both[0]) - np.array(both[1])
            return _of_shares(value, differences, entry.values["clusters"]) if _is_share(name) else _paired(value, differences)
        halves = [None if run["ci_low"] is None else (run["ci_high"] - run["ci_low"]) / 2 for run in (one, two)]
        if halves[0] is None or halves[1] is None:
            return Difference(value, None, None, None)
        half = hypot(halves[0], halves[1])
        return Difference(value, value - half, value + half, None)

    @cached_property
    def correlation(self) -> Correlation | None:
        """Whether the gap goes with retrieval over runs, by their first pair of modalities; None of fewer than four, or where one
        of both never changes.
        """
        entries = [one for one in self.entries if one.pair == 0]
        gaps, recalls = (np.array(values) for values in zip(*(one.place for one in entries), strict=True))
        if len(gaps) < _FEWEST or np.ptp(gaps) == 0 or np.ptp(recalls) == 0:
            return None
        from scipy.stats import rankdata

        ranks = [rankdata(values) - (len(values) + 1) / 2 for values in (gaps, recalls)]
        scale = float(np.linalg.norm(ranks[0]) * np.linalg.norm(ranks[1]))
        value = float(ranks[0] @ ranks[1]) / scale
        if any(one.step is not None for one in entries) or len({one.values["pairs"] for one in entries}) > 1:
            return Correlation(value, None, len(gaps))
        orders = np.random.default_rng(0).permuted(np.tile(ranks[0], (_PERMUTATIONS, 1)), axis=1)
        reached = int(np.sum(np.abs(orders @ ranks[1]) >= abs(value) * scale - 1e-9))
        return Correlation(value, (1 + reached) / (1 + _PERMUTATIONS), len(gaps))

    @property
    def report(self) -> list[str]:
        """What differs, in sentences."""
        said = []
        for entry in self.entries:
            if self.reference(entry) is None:
                continue
            how = "on the same pairs" if self.is_paired(entry) else "as of independent pairs"
            parts = []
            for name in ("centroid_gap", "recall_a_to_b_at_1", "recall_b_to_a_at_1"):
                found = self.difference(entry, name)
                if found is not None:
                    interval = "" if found.ci_low is None else f" ({short(found.ci_low, 3)} to {short(found.ci_high, 3)})"
                    parts.append(f"{name} {found.value:+.3g}{interval}{'' if found.is_sure else ', no sure difference'}")
            said.append(f"{entry.label} - {self.against} ({how}): {'; '.join(parts)}")
        together = self.correlation
        if together is not None:
            tested = "" if together.p_value is None else f", p = {together.p_value:.2g}"
            said.append(
                f"over {together.runs} runs the centroid gap and recall at 1 have rank correlation {together.value:.2f}{tested}"
            )
        return said

    @property
    def notes(self) -> list[str]:
        """What a user should know."""
        said = [f"{one.label}: {one.values['summary']}" for one in self.entries]
        if any(self.is_paired(one) for one in self.entries):
            said.append(
                "runs with the same matching are taken to be of the same pairs in the same order (--unpaired if they are not); "
                "intervals with a * are of paired differences, the others as of independent samples, which are wider"
            )
        elif any(not one.values["replicates"] for one in self.entries):
            said.append("folders of earlier diagnoses have no paired differences; give the files of embeddings for those")
        taus = sorted({one.tau for one in self.entries})
        if len(taus) > 1:
            listed = f"{len(taus)} temperatures, {taus[0]:g} to {taus[-1]:g}"
            said.append(f"runs have {listed}: losses and KL are each at its own")
        if len({one.values["pairs"] for one in self.entries}) > 1:
            said.append("runs have different numbers of pairs: recall, ranks and losses depend on how many there are")
        said += [f"{one.label}: {note}" for one in self.entries for note in one.values["notes"]]
        return list(dict.fromkeys(said))

    def summary(self) -> dict[str, Any]:
        """All values, as JSON; `columns` names those of the table."""
        table: dict[str, list[Any]] = {"run": [one.label for one in self.entries]}
        if any(one.step is not None for one in self.entries):
            table["step"] = [one.step for one in self.entries]
        table["pairs"] = [one.values["pairs"] for one in self.entries]
        for name in self.names:
            table[name] = [one.metrics.get(name, {}).get("value") for one in self.entries]
        found = self.correlation
        return {
            "schema": SCHEMA,
            "against": self.against,
            "runs": [self._run(one) for one in self.entries],
            "correlation": None if found is None else vars(found),
            "report": self.report,
            "notes": self.notes,
            "columns": list(table),
            **table,
        }

    def _run(self, entry: Entry) -> dict[str, Any]:
        differences = {name: self.difference(entry, name) for name in definitions()}
        return {
            "name": entry.run, "label": entry.label, "step": entry.step, "tau": entry.tau, "paired": self.is_paired(entry),
            **{name: entry.values[name] for name in ("first", "second", "pairs", "clusters", "summary", "metrics")},
            "differences": {name: vars(one) for name, one in differences.items() if one is not None},
        }  # fmt: skip


def _is_share(name: str) -> bool:
    return "recall" in name or name.endswith("other_share_at_10")


def _of_shares(value: float, replicates: Array, clusters: int) -> Difference:
    """Of shares of queries, with two more pairs of which each run has one [Bonett and Price 2012].

    Replicates of shares near 0 or 1 hardly differ, and of those that agree not at all: what two clusters more would add keeps
    intervals from collapsing there.
    """
    middle, error = value * clusters / (clusters + 2), sqrt(float(np.var(replicates)) + 2 / clusters**2)
    half = NORMAL * error
    p = erfc(abs(middle) / error / sqrt(2))
    return Difference(value, max(middle - half, -1.0), min(middle + half, 1.0), p)


def _paired(value: float, replicates: Array) -> Difference:
    low, high = np.quantile(replicates, [0.025, 0.975])
    reached = min(np.sum(replicates <= 0), np.sum(replicates >= 0))
    return Difference(value, float(low), float(high), float(min(1.0, 2 * (1 + reached) / (1 + len(replicates)))))
