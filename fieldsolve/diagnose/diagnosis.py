"""A diagnosis: every pair of modalities measured, corrupted if asked for, set beside the theory, and put into words."""

from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

import numpy as np

from fieldsolve.diagnose.corruption import Corruption, check_probabilities, corrupt_partners
from fieldsolve.diagnose.measure import RESAMPLES, Measurement, measure
from fieldsolve.diagnose.metric import plain
from fieldsolve.diagnose.sample import Sample, match, temperature
from fieldsolve.diagnose.theory import Place, place_sample
from fieldsolve.diagnose.verdict import verdict
from fieldsolve.embeddings.modality import Modality, check_widths, modality
from fieldsolve.numerics.arrays import Indices
from fieldsolve.numerics.errors import InputError
from fieldsolve.numerics.progress import Progress, Watch

SCHEMA = "fieldsolve/diagnose/1"

_FEWEST_RESAMPLES = 99


@dataclass(frozen=True, eq=False)
class Comparison:
    """Two modalities compared."""

    sample: Sample
    measurement: Measurement
    place: Place
    corruptions: tuple[Corruption, ...]

    @property
    def verdict(self) -> list[str]:
        """What the numbers say, in sentences."""
        return verdict(self.sample, self.measurement, self.place)

    def summary(self) -> dict[str, Any]:
        """All values, as JSON."""
        place = self.place
        return {
            "first": self.sample.first.name,
            "second": self.sample.second.name,
            "rows": [len(self.sample.first.rows), len(self.sample.second.rows)],
            "pairs": self.sample.pairs,
            "clusters": self.sample.independent,
            "groups": self.measurement.groups,
            "bandwidth": self.measurement.bandwidth,
            "metrics": plain(self.measurement.metrics),
            "verdict": self.verdict,
            "notes": list(self.measurement.notes),
            "corruption": [
                {"probability": one.probability, "replaced": one.replaced, "metrics": plain(one.measurement.metrics)}
                for one in self.corruptions
            ],
            "sphere": {
                "pairs": place.pairs_used,
                "retained_fraction": place.pairs.retained_fraction,
                "bandwidth": place.bandwidth,
                "resolved": place.is_resolved,
                "floor": place.floor,
                "centroid_gap": place.centroid_gap,
                "symmetric_kl": place.symmetric_kl,
                "nearest_coupling": place.nearest_coupling,
                "binodal": place.transitions.binodal,
                "spinodal": place.transitions.spinodal,
                "coupling": place.couplings.tolist(),
                "equilibrium_centroid_gap": place.equilibrium_gaps.tolist(),
                "equilibrium_symmetric_kl": place.equilibrium_kls.tolist(),
                "phase": list(place.phases),
                "certified_gap": place.certified_gaps.tolist(),
                "excess_energy": place.excess.tolist(),
            },
            "dispersion": {
                "dimension": place.dispersion.dimension,
                "breaks_at": place.dispersion.breaks_at,
                "mode": place.dispersion.mode,
                "least_penalty": 1 - place.dispersion.breaks_at,
            },
        }


@dataclass(frozen=True, eq=False)
class Diagnosis:
    """All pairs of modalities compared, at one temperature."""

    modalities: tuple[Modality, ...]
    comparisons: tuple[Comparison, ...]
    tau: float
    resamples: int
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
            "resamples": self.resamples,
            "seed": self.seed,
        }
        if len(self.comparisons) == 1:
            own = self.comparisons[0].summary()
            return values | own | {"notes": [*self.notes, *own["notes"]]}
        return values | {"notes": list(self.notes), "comparisons": [one.summary() for one in self.comparisons]}


def diagnose(
    *modalities: Any,
    tau: float | None = None,
    pairs: Indices | None = None,
    corrupt: tuple[float, ...] = (),
    groups: Indices | None = None,
    resamples: int = RESAMPLES,
    seed: int = 0,
    watch: Watch | None = None,
) -> Diagnosis:
    """Diagnose the modality gap of two or more matched modalities: all metrics of docs/metrics.md, and the theory beside them.

    modalities: embeddings (n, d) of unit rows, anything that numpy can take, or what `read_modalities` returns. tau: the model's
    temperature, 0.07 without; pairs: matched rows (m, 2) of two modalities, one by one without; corrupt: probabilities of
    replacing partners, within groups (one label for each row of the first modality); resamples: bootstraps and permutations
    each; watch: is told what is being done, and how much of how much. Raises InputError.
    """
    tau_used, given = temperature(tau), _modalities(modalities)
    _check(given, pairs, corrupt, groups, resamples)
    notes = [note for one in given for note in one.notes]
    if tau is None:
        notes.append(f"no temperature was given: {tau_used:g} is used; give your model's with --tau or --logit-scale")
    comparisons = []
    for sample in [match(first, second, pairs) for first, second in combinations(given, 2)]:
        said = f"{sample.first.name} and {sample.second.name}"
        measurement = measure(sample, tau_used, resamples, seed, _told(watch, f"{said}: "))
        if watch is not None:
            watch(Progress(0, 1, f"{said}: equilibria"))
        place = place_sample(sample, tau_used, np.random.default_rng([seed, 2]))
        kept = None if groups is None else groups[np.unique(pairs[:, 0]) if pairs is not None else slice(None)]
        corruptions = corrupt_partners(sample, corrupt, kept, tau_used, resamples, seed, _told(watch, f"{said}, corrupted: "))
        comparisons.append(Comparison(sample, measurement, place, tuple(corruptions)))
    return Diagnosis(given, tuple(comparisons), tau_used, resamples, seed, tuple(notes))


def _modalities(given: tuple[Any, ...]) -> tuple[Modality, ...]:
    if len(given) < 2:
        raise InputError(f"a gap is between two modalities; there is {len(given)}")
    names = [one.name if isinstance(one, Modality) else f"modality {k}" for k, one in enumerate(given, start=1)]
    shapes = [np.shape(one.rows if isinstance(one, Modality) else one) for one in given]
    check_widths(list(zip(names, shapes, strict=True)))
    return tuple(one if isinstance(one, Modality) else modality(name, one) for name, one in zip(names, given, strict=True))


def _check(
    given: tuple[Modality, ...], pairs: Indices | None, corrupt: tuple[float, ...], groups: Indices | None, resamples: int
) -> None:
    if resamples < _FEWEST_RESAMPLES:
        raise InputError(f"{resamples} resamples are too few for 95 % intervals; at least {_FEWEST_RESAMPLES} are needed")
    if len(given) > 2 and pairs is not None:
        raise InputError(f"pairs are of two modalities, and there are {len(given)}; compare two at a time")
    check_probabilities(corrupt)
    if groups is not None and not corrupt:
        raise InputError("groups say within what partners are replaced; give the probabilities of that too (--corrupt)")
    if groups is not None and groups.shape != (len(given[0].rows),):
        raise InputError(
            f"groups need one label for each of the {len(given[0].rows)} rows of {given[0].name}, not {groups.shape}; a header "
            "is one too many"
        )
    if groups is not None and len(np.unique(groups)) == len(groups):
        raise InputError(
            "every row has a group of its own, so that no partner can be replaced within one; give labels that recur"
        )


def _told(watch: Watch | None, prefix: str) -> Watch | None:
    """The same watch, told of what comparison it is."""
    return watch and (lambda progress: watch(replace(progress, what=prefix + progress.what)))
