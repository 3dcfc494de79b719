"""Runs side by side: their metrics, differences on the same pairs, and whether the gap goes with retrieval."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import hypot
from typing import Any

import numpy as np

from fieldsolve.diagnose.many.runs import RunSpec
from fieldsolve.diagnose.metrics.table import definitions
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
    """Spearman's rank correlation of the centroid gap with recall at 1 over runs, with its p-value by permutations."""

    value: float
    p_value: float
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
            and all(entry.values[name] == other.values[name] for name in ("pairs", "clusters"))
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
            return _paired(value, np.array(both[0]) - np.array(both[1]))
        halves = [None if run["ci_low"] is None else (run["ci_high"] - run["ci_low"]) / 2 for run in (one, two)]
        if halves[0] is None or halves[1] is None:
            return Difference(value, None, None, None)
        half = hypot(halves[0], halves[1])
        return Difference(value, value - half, value + half, None)

    @property
    def correlation(self) -> Correlation | None:
        """Whether the gap goes with retrieval over the entries; None of fewer than four, or where one of both never changes."""
        gaps, recalls = (np.array(values) for values in zip(*self.places, strict=True))
        if len(gaps) < _FEWEST or np.ptp(gaps) == 0 or np.ptp(recalls) == 0:
            return None
        from scipy.stats import permutation_test, spearmanr

        def statistic(values: Array) -> float:
            return float(spearmanr(values, recalls).statistic)

        tested = permutation_test(
            (gaps,), statistic, permutation_type="pairings", n_resamples=_PERMUTATIONS, random_state=np.random.default_rng(0)
        )
        return Correlation(float(tested.statistic), float(tested.pvalue), len(gaps))

    @property
    def places(self) -> list[tuple[float, float]]:
        """The centroid gap and recall at 1 of every entry."""
        return [(one.metrics["centroid_gap"]["value"], one.recall) for one in self.entries]

    @property
    def report(self) -> list[str]:
        """What differs, in sentences."""
        said = []
        for entry in self.entries:
            if self.reference(entry) is None:
                continue
            how = "paired" if self.is_paired(entry) else "as if of independent pairs"
            parts = []
            for name in ("centroid_gap", "recall_a_to_b_at_1", "recall_b_to_a_at_1"):
                found = self.difference(entry, name)
                if found is not None:
                    interval = "" if found.ci_low is None else f" ({short(found.ci_low, 3)} to {short(found.ci_high, 3)})"
                    parts.append(f"{name} {found.value:+.3g}{interval}{'' if found.is_sure else ', no sure difference'}")
            said.append(f"{entry.label} less {self.against} ({how}): {'; '.join(parts)}")
        together = self.correlation
        if together is not None:
            said.append(
                f"over {together.runs} runs the centroid gap and recall at 1 have rank correlation {together.value:.2f}, p = "
                f"{together.p_value:.2g}"
            )
        return said

    @property
    def notes(self) -> list[str]:
        """What a user should know."""
        said = []
        if any(self.is_paired(one) for one in self.entries):
            said.append("runs with as many pairs are taken to be of the same pairs in the same order; --unpaired if they are not")
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


def _paired(value: float, replicates: Array) -> Difference:
    low, high = np.quantile(replicates, [0.025, 0.975])
    reached = min(np.sum(replicates <= 0), np.sum(replicates >= 0))
    return Difference(value, float(low), float(high), float(min(1.0, 2 * (1 + reached) / (1 + len(replicates)))))
