"""A diagnosis: every pair of modalities measured, put into words, corrupted and set beside the theory if that is asked for."""

from dataclasses import dataclass, replace
from itertools import combinations
from math import isfinite
from typing import TYPE_CHECKING, Any

import numpy as np

from fieldsolve.diagnose.corruption import Corruption, Replacement, check_probabilities, corrupt_partners
from fieldsolve.diagnose.groups import Group, by_group
from fieldsolve.diagnose.measure import EXCHANGES, Measurement, measure
from fieldsolve.diagnose.metrics.metric import plain
from fieldsolve.diagnose.metrics.mixed import nested
from fieldsolve.diagnose.sample import MOST_CLUSTERS, Sample, match
from fieldsolve.diagnose.statistics.temperature import chance, checked_temperature
from fieldsolve.diagnose.verdict import Verdict, verdict
from fieldsolve.embeddings.centring import Means
from fieldsolve.embeddings.modality import Modality, check_widths, drawn, modality
from fieldsolve.numerics.arrays import Indices
from fieldsolve.numerics.errors import InputError
from fieldsolve.numerics.progress import Progress, Watch
from fieldsolve.output.page import card

if TYPE_CHECKING:
    from fieldsolve.diagnose.freedom import Freedom
    from fieldsolve.diagnose.theory import Place

SCHEMA = "fieldsolve/diagnose/3"

_FEWEST_EXCHANGES = 99
_CONSTANT = 1e-5  # spread of a modality
_NEAR = 0.1  # of means


@dataclass(frozen=True, eq=False)
class Comparison:
    """Two modalities compared; by_group: what differs between groups of pairs, where those are given; freedom: what the
    loss leaves free, place: among the equilibria of their potentials, where those were asked for.
    """

    sample: Sample
    measurement: Measurement
    corruptions: tuple[Corruption, ...] = ()
    by_group: tuple[Group, ...] = ()
    freedom: "Freedom | None" = None
    place: "Place | None" = None
    tau_is_given: bool = True

    @property
    def means(self) -> Means:
        """The means and scales of both modalities, to be taken off other rows."""
        return Means.of(self.sample.first.rows, self.sample.second.rows)

    @property
    def verdict(self) -> Verdict:
        """What the numbers say."""
        return verdict(self.sample, self.measurement, self.tau_is_given)

    def summary(self) -> dict[str, Any]:
        """All values, as JSON."""
        measured, said = self.measurement, self.verdict
        values = {
            "first": self.sample.first.name,
            "second": self.sample.second.name,
            "rows": [len(self.sample.first.rows), len(self.sample.second.rows)],
            "pairs": self.sample.pairs,
            "clusters": self.sample.independent,
            "groups": measured.groups,
            "bandwidth": measured.bandwidth,
            "summary": said.summary,
            "findings": [{"code": one.code, "sentence": one.sentence, "advice": one.advice} for one in said.findings],
            "metrics": plain(measured.metrics),
            "mixed": nested(measured.metrics),
            "by_group": [one.summary() for one in self.by_group],
            "tests": {"count": len(measured.adjusted), "holm": measured.adjusted},
            "health": measured.health.summary(),
            "loss": {
                "name": measured.loss,
                "batch": measured.batch,
                "bias": measured.bias,
                "chance": chance(measured.loss, measured.batch),
            },
            "notes": list(measured.notes),
            "corruption": [
                {"probability": one.probability, "replaced": one.replaced, "metrics": plain(one.measurement.metrics)}
                for one in self.corruptions
            ],
        }
        for more in (self.freedom, self.place):
            values |= {} if more is None else more.summary()
        return values


@dataclass(frozen=True, eq=False)
class Diagnosis:
    """All pairs of modalities compared, at one temperature."""

    modalities: tuple[Modality, ...]
    comparisons: tuple[Comparison, ...]
    tau: float
    exchanges: int
    seed: int
    notes: tuple[str, ...]

    def summary(self) -> dict[str, Any]:
        """All values, as JSON; of two modalities the comparison's own stand at the top, of more one a pair in `comparisons`."""
        values: dict[str, Any] = {
            "schema": SCHEMA,
            "modalities": [
                {"name": one.name, "rows": len(one.rows), "dimension": int(one.rows.shape[1]), "lengths": list(one.lengths)}
                for one in self.modalities
            ],
            "tau": self.tau,
            "exchanges": self.exchanges,
            "seed": self.seed,
        }
        if len(self.comparisons) == 1:
            own = self.comparisons[0].summary()
            return values | own | {"notes": [*self.notes, *own["notes"]]}
        return values | {"notes": list(self.notes), "comparisons": [one.summary() for one in self.comparisons]}

    def _repr_html_(self) -> str:
        from fieldsolve.diagnose.pictures import plot_cosines

        names = [(one.sample.first.name, one.sample.second.name) for one in self.comparisons]
        said = {" and ".join(pair): one.verdict.summary for pair, one in zip(names, self.comparisons, strict=True)}
        rows = {"tau": f"{self.tau:g}", **said, "notes": "; ".join(self.notes) or None}
        return card("modality gap", rows, lambda: plot_cosines(self.comparisons[0].measurement, names[0]))

    def with_freedom(self, watch: Watch | None = None) -> "Diagnosis":
        """The same, with what the loss leaves free of every sample, and what remedies would do, see `freedom.freedom_of`."""
        from fieldsolve.diagnose.freedom import freedom_of

        found, notes = [], list(self.notes)
        for one in self.comparisons:
            names = f"{one.sample.first.name} and {one.sample.second.name}"
            if watch is not None:
                watch(Progress(0, 1, f"{names}: what the loss leaves free"))
            if min(one.measurement.health.spread) <= _CONSTANT:
                notes.append(f"{names}: one of them does not vary, so that what the loss leaves free is not measured")
                found.append(one)
                continue
            rng = np.random.default_rng([self.seed, 6])
            found.append(replace(one, freedom=freedom_of(one.sample, self.tau, one.measurement.bias, rng)))
        return replace(self, comparisons=tuple(found), notes=tuple(notes))

    def with_theory(self, watch: Watch | None = None) -> "Diagnosis":
        """The same, with every sample's place among the equilibria of its own potentials, see `theory.place_sample`."""
        from fieldsolve.diagnose.theory import place_sample

        placed = []
        for one in self.comparisons:
            if watch is not None:
                watch(Progress(0, 1, f"{one.sample.first.name} and {one.sample.second.name}: equilibria"))
            rng = np.random.default_rng([self.seed, 2])
            placed.append(replace(one, place=place_sample(one.sample, self.tau, rng)))
        return replace(self, comparisons=tuple(placed))


@dataclass(frozen=True)
class Settings:
    """How it is diagnosed. bias: of a sigmoid loss, None for InfoNCE; exchanges: of partners, for p-values; seed: of all that is
    drawn.
    """

    bias: float | None = None
    exchanges: int = EXCHANGES
    seed: int = 0

    def check(self) -> None:
        """Raise InputError for a bias that is no number and too few exchanges."""
        if self.exchanges < _FEWEST_EXCHANGES:
            raise InputError(f"{self.exchanges} exchanges are too few for p-values; at least {_FEWEST_EXCHANGES} are needed")
        if self.bias is not None and not isfinite(self.bias):
            raise InputError(f"the bias of the sigmoid loss must be a finite number, not {self.bias}")


def diagnose(
    *modalities: Any,
    tau: float | None = None,
    pairs: Indices | None = None,
    groups: Any = None,
    corrupt: tuple[float, ...] = (),
    means: Means | None = None,
    watch: Watch | None = None,
    **settings: Any,
) -> Diagnosis:
    """Diagnose the modality gap of two or more matched modalities: all metrics of docs/metrics.md, and what they say.

    modalities: embeddings (n, d) of unit rows, arrays of any kind, or what `read_modalities` returns. tau: the model's
    temperature, 0.07 without; pairs: matched rows (m, 2) of two modalities, one by one without; groups: a label for each row of
    the first, for gap and recall by group; corrupt: probabilities of replacing partners, within groups if there are any; means:
    of other rows, taken off instead of those of other folds; watch: is told what is being done, and how much of how much;
    settings: bias of a sigmoid loss, exchanges (999) for p-values, seed, see `Settings`. More than 50 000 clusters are drawn
    from. Raises InputError.
    """
    chosen = Settings(**settings)
    how = Replacement(tuple(corrupt), None if groups is None else np.asarray(groups))
    most = MOST_CLUSTERS if pairs is None and groups is None else None
    tau_used, given = checked_temperature(tau), _modalities(modalities, most, chosen.seed)
    chosen.check()
    _check(given, pairs, how, means)
    notes = [note for one in given for note in one.notes]
    if tau is None:
        notes.append(
            f"no temperature was given: {tau_used:g} is used; give your model's with --tau or --logit-scale (losses and "
            "KL depend on it)"
        )
    comparisons = []
    for sample in [match(first, second, pairs) for first, second in combinations(given, 2)]:
        said = f"{sample.first.name} and {sample.second.name}"
        kept = how.groups if pairs is None or how.groups is None else how.groups[np.unique(pairs[:, 0])]
        sample, kept = sample.draw(MOST_CLUSTERS, np.random.default_rng([chosen.seed, 3]), kept)

        def again(one: Sample, what: str = f"{said}, corrupted: ") -> Measurement:
            return measure(one, tau_used, chosen.bias, chosen.exchanges, chosen.seed, _told(watch, what), means)

        measurement = again(sample, f"{said}: ")
        notes += _foreign(sample, means)
        corruptions = corrupt_partners(sample, replace(how, groups=kept), chosen.seed, again)
        comparisons.append(
            Comparison(
                sample,
                measurement,
                tuple(corruptions),
                () if kept is None else tuple(by_group(sample, kept, chosen.seed)),
                tau_is_given=tau is not None,
            )
        )
    return Diagnosis(given, tuple(comparisons), tau_used, chosen.exchanges, chosen.seed, tuple(notes))


def _modalities(given: tuple[Any, ...], most: int | None, seed: int) -> tuple[Modality, ...]:
    if len(given) < 2:
        raise InputError(f"a gap is between two modalities; there is {len(given)}")
    names = [one.name if isinstance(one, Modality) else f"modality {k}" for k, one in enumerate(given, start=1)]
    shapes = [np.shape(one.rows if isinstance(one, Modality) else one) for one in given]
    check_widths(list(zip(names, shapes, strict=True)))
    chosen, said = (None, ()) if most is None else drawn([shape[0] for shape in shapes if shape], most, seed)
    if chosen is None or any(isinstance(one, Modality) for one in given):
        return tuple(one if isinstance(one, Modality) else modality(name, one) for name, one in zip(names, given, strict=True))
    found = [modality(name, one, chosen=chosen) for name, one in zip(names, given, strict=True)]
    return replace(found[0], notes=said), *found[1:]


def _check(given: tuple[Modality, ...], pairs: Indices | None, how: Replacement, means: Means | None) -> None:
    if len(given) > 2 and (pairs is not None or means is not None):
        what = "pairs" if pairs is not None else "means"
        raise InputError(f"{what} are of two modalities, and there are {len(given)}; compare two at a time")
    check_probabilities(how.probabilities)
    if means is not None and means.dimension != given[0].rows.shape[1]:
        raise InputError(
            f"the means have {means.dimension} components and {given[0].name} {given[0].rows.shape[1]}; both need the same "
            "embedding space"
        )
    groups = how.groups
    if groups is not None and groups.shape != (len(given[0].rows),):
        raise InputError(
            f"groups need one label for each of the {len(given[0].rows)} rows of {given[0].name}, not {groups.shape}; a header "
            "is one too many"
        )
    if groups is not None and len(np.unique(groups)) == len(groups):
        raise InputError("every row has a group of its own; give labels that recur")


def _foreign(sample: Sample, means: Means | None) -> list[str]:
    """What is to be said of means that are nearer to the other modality's, or to nothing here."""
    if means is None:
        return []
    own = Means.of(sample.first.rows, sample.second.rows).means
    gap = float(np.linalg.norm(own[0] - own[1]))
    away = [float(np.linalg.norm(one - other)) for one, other in zip(own, means.means, strict=True)]
    if max(away) <= max(gap / 2, _NEAR):
        return []
    return [
        f"the means given are {away[0]:.2f} and {away[1]:.2f} from those of these rows, whose modalities' are {gap:.2f} apart: "
        "are they of this model, and in this order?"
    ]


def _told(watch: Watch | None, prefix: str) -> Watch | None:
    """The same watch, told of what comparison it is."""
    return watch and (lambda progress: watch(replace(progress, what=prefix + progress.what)))
