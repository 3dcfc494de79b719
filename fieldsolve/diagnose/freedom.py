"""What the loss leaves free of a sample and what it pins: the gap's window, the cones, and what moving the clouds changes.

Measured on the sample's own pairs; no equilibrium, and nothing is held still (beyond the paper, NOTATION).
"""

from dataclasses import dataclass
from math import isfinite
from typing import Any

import numpy as np

from fieldsolve.diagnose.sample import Sample
from fieldsolve.diagnose.statistics.estimate import student
from fieldsolve.diagnose.statistics.temperature import infonce, siglip
from fieldsolve.embeddings.pools import search
from fieldsolve.encoders.moving import GapMap, Table, fit_gap
from fieldsolve.grids.bessel import concentration_of
from fieldsolve.grids.kernels import Kernel
from fieldsolve.numerics import threads
from fieldsolve.numerics.arrays import Array, Rows
from fieldsolve.remedies.effect import effect
from fieldsolve.remedies.study import Study, compare_all

MOST_PAIRS = 1000  # one of each cluster, drawn at random where there are more

_DIRECTIONS = 2
_BETWEEN = 3  # gaps between the ends of the window and the sample's own
_APART = (1.2, 1.5, 1.8)  # gaps that only further dimensions allow
_ROOM = 1e-6  # a window below that is none, nor a difference of losses
_SPREAD = 1e-6  # a squared radius below is none
_PARTS = 32  # of the pairs, left out one at a time


@dataclass(frozen=True)
class Cones:
    """What the loss pins: kappa r_1 r_2 = x* with r_n(x*) = c, r_a = sqrt(1 - |m_a|^2) the radius of a modality's cone.

    radii: r_1 r_2; correlation: c = (partners' mean cosine - m_1.m_2)/(r_1 r_2); directions: n = (r_1 r_2)^2 over the variance of
    strangers' cosines about the means of their rows and columns; concentration: x*; predicted: x*/kappa; each with its standard
    error, from leaving pairs out.
    """

    radii: tuple[float, float]
    correlation: tuple[float, float]
    directions: tuple[float, float]
    concentration: tuple[float, float]
    predicted: tuple[float, float]

    @property
    def are_wanted(self) -> bool:
        """Whether the loss wants cones at all: x* < kappa."""
        return self.predicted[0] < 1


@dataclass(frozen=True)
class Moved:
    """The same pairs at another gap.

    how: as they are, mapped in two directions, or apart in a new dimension, at a temperature that is lower by as much as cosines
    are. Measured: loss, recall at 1, and what queries of either modality find in one index of both.
    """

    gap: float
    how: str
    loss: float
    recall: tuple[float, float]
    other_share: tuple[float, float]
    median_rank: tuple[float, float]

    def summary(self) -> dict[str, Any]:
        """All values, as JSON."""
        return vars(self) | {name: list(getattr(self, name)) for name in ("recall", "other_share", "median_rank")}


@dataclass(frozen=True, eq=False)
class Freedom:
    """What is free and what is pinned. pairs: that it was measured on; window: of gaps that a map of two directions reaches;
    gap: as it is, of the plain means; cones: None for a sigmoid loss, whose law is another, and where there is no spread; moved:
    the pairs at other gaps, rising; remedies: at this dimension and temperature.
    """

    pairs: int
    tau: float
    dimension: int
    gap: float
    window: tuple[float, float]
    cones: Cones | None
    moved: tuple[Moved, ...]
    remedies: tuple[Study, ...]

    @property
    def sentences(self) -> list[str]:
        """What it says, in words."""
        losses = [one.loss for one in self.moved]
        recalls = [value for one in self.moved for value in one.recall]
        loss = f"losses of {min(losses):.4f} to {max(losses):.4f} nats"
        if np.ptp(losses) < _ROOM:
            loss = f"the same loss, {losses[0]:.4f} nats,"
        recall = f"recall of {min(recalls):.3f} to {max(recalls):.3f}"
        if len({one.recall for one in self.moved}) == 1:
            recall = "the same recall"
        low, high = self.window
        maps = f"maps of two directions reach {low:.3f} to {high:.3f}"
        if high - low < _ROOM:
            maps = "no map of two directions moves it"
        closed, apart = self.moved[0], self.moved[-1]
        said = [
            "The gap of finished embeddings can be moved without changing loss or rankings across: changes that keep every "
            "similarity "
            f"across modalities, up to a constant and a factor that the temperature takes up, leave these very pairs {loss} and "
            f"{recall} at centroid gaps from {closed.gap:.3f} to {apart.gap:.3f} ({maps}). As they are it is {self.gap:.3f}, "
            "noise of "
            "the means included. In training the loss pins how narrow the cones are, and a gap comes along with that.",
            "What moves with the gap is one index of both modalities: the partner's median rank is "
            f"{closed.median_rank[0]:g} and {closed.median_rank[1]:g} at gap {closed.gap:.2f}, {apart.median_rank[0]:g} and "
            f"{apart.median_rank[1]:g} at {apart.gap:.2f}.",
        ]
        return said if self.cones is None else said + self._of_cones(self.cones)

    @staticmethod
    def _of_cones(cones: Cones) -> list[str]:
        about = f"correlation of partners {_with_error(cones.correlation)}, {_with_error(cones.directions)} directions of cosines"
        if not cones.are_wanted:
            return [f"At this temperature InfoNCE wants no cones, and without them there is no gap ({about})."]
        if cones.correlation[0] <= 2 * cones.correlation[1]:
            return []
        return [
            "What InfoNCE does pin is how narrow the cones are, the product of their radii sqrt(1 - |mean|^2): measured "
            f"{_with_error(cones.radii)}, and {_with_error(cones.predicted)} is what it wants of what partners share ({about})."
        ]

    def summary(self) -> dict[str, Any]:
        """All values, as JSON."""
        cones: dict[str, Any] | None = None
        if self.cones is not None:
            cones = {name: {"value": value, "standard_error": error} for name, (value, error) in vars(self.cones).items()}
            cones["wanted"] = self.cones.are_wanted
        return {
            "freedom": {
                "pairs": self.pairs,
                "centroid_gap": self.gap,
                "window": list(self.window),
                "cones": cones,
                "moved": [one.summary() for one in self.moved],
                "report": self.sentences,
            },
            "remedies": [remedy_summary(one) for one in self.remedies],
        }


def remedy_summary(study: Study) -> dict[str, Any]:
    """What a loss against the gap would do, and its line of code, as JSON."""
    found, code = study.effect, study.code
    plain = effect(found.remedy, 0.0, found.kernel, found.dimension)
    opens = not isfinite(found.centroid_weight) and bool(found.curvature[0] < plain.curvature[0])
    return {
        "remedy": str(found.remedy),
        "title": found.remedy.title,
        "weight_is": found.remedy.unit,
        "centroid_weight": found.centroid_weight,
        "whole_weight": found.whole_weight,
        "partners_held_still": found.needed,
        "free_encoders": study.free.sentence,
        "opens_the_gap": opens,
        "code": code.open_clip if isfinite(found.centroid_weight) else None,
    }


def freedom_of(sample: Sample, tau: float, bias: float | None, rng: np.random.Generator) -> Freedom:
    """Measure what is free of a sample, on one pair of each cluster. Raises InputError for what cannot be mapped."""
    first, second = _pairs(sample, rng)
    with threads.one_blas_thread():
        fitted = fit_gap((Table("a", first), Table("b", second)), "min", _DIRECTIONS)
        moved = _moved(first, second, fitted, tau, bias)
        has_cones = bias is None and min(1 - float(np.sum(rows.mean(axis=0) ** 2)) for rows in (first, second)) > _SPREAD
        cones = cones_of(first, second, tau) if has_cones else None
    return Freedom(
        pairs=len(first),
        tau=tau,
        dimension=first.shape[1],
        gap=fitted.before,
        window=fitted.window,
        cones=cones,
        moved=tuple(sorted(moved, key=lambda one: one.gap)),
        remedies=compare_all(Kernel("cosine", tau), first.shape[1]).studies,
    )


def _pairs(sample: Sample, rng: np.random.Generator) -> tuple[Array, Array]:
    partners = rng.permutation(sample.partners, axis=1)
    chosen = np.unique(sample.clusters[0][partners[0]], return_index=True)[1]
    chosen = np.sort(rng.permutation(chosen)[:MOST_PAIRS])
    return _unit(sample.first.rows[partners[0][chosen]]), _unit(sample.second.rows[partners[1][chosen]])


def _unit(rows: Rows) -> Array:
    exact = rows.astype(np.float64)
    return np.asarray(exact / np.linalg.norm(exact, axis=1, keepdims=True))


def cones_of(first: Array, second: Array, tau: float) -> Cones:
    """How narrow the cones of matched unit rows (n, d) are, and how narrow the loss wants them."""
    cosines = first @ second.T
    value = _cone_values(first, second, cosines, tau)
    part = np.arange(len(first)) * min(_PARTS, len(first)) // len(first)
    left = []
    for number in range(part[-1] + 1):
        kept = part != number
        left.append(_cone_values(first[kept], second[kept], cosines[np.ix_(kept, kept)], tau))
    table = np.array(left)
    with np.errstate(invalid="ignore"):  # where partners are the same rows x* is infinite, without an error
        errors = np.sqrt((len(table) - 1) * np.var(table, axis=0))
    return Cones(*((float(one), float(error)) for one, error in zip(value, errors, strict=True)))


def _cone_values(first: Array, second: Array, cosines: Array, tau: float) -> list[float]:
    """r_1 r_2, c, n, x* and x*/kappa; squared radii and what partners share are (co)variances, without their bias."""
    count = len(first)
    means = first.mean(axis=0), second.mean(axis=0)
    variances = [max(1 - float(one @ one), np.finfo(float).tiny) * count / (count - 1) for one in means]
    radii = float(np.sqrt(variances[0] * variances[1]))
    shared = (float(np.trace(cosines)) / count - float(means[0] @ means[1])) * count / (count - 1)
    correlation = shared / radii
    rest = cosines - cosines.mean(axis=1)[:, None] - cosines.mean(axis=0) + cosines.mean()
    off = ~np.eye(count, dtype=bool)
    directions = radii**2 / max(float(np.mean(rest[off] ** 2)), np.finfo(float).tiny)
    concentration = concentration_of(directions, min(correlation, 1.0))
    return [radii, correlation, directions, concentration, concentration * tau]


def _moved(first: Array, second: Array, fitted: GapMap, tau: float, bias: float | None) -> list[Moved]:
    tables, (low, high) = (Table("a", first), Table("b", second)), fitted.window
    found = [_measured(first, second, fitted.before, "as it is", tau, bias)]
    targets = [*np.linspace(low, fitted.before, _BETWEEN + 1)[:-1], high] if high - low >= _ROOM else []
    for target in targets:
        one = fit_gap(tables, float(np.clip(target, low, high)), _DIRECTIONS)
        shifted = None if bias is None else bias - one.constant / tau
        found.append(_measured(one.first(first), one.second(second), one.centroid_gap, "mapped in two directions", tau, shifted))
    for gap in _APART:
        if gap > max(high, fitted.before):
            square = (gap**2 - fitted.before**2) / (4 - fitted.before**2)
            height = float(np.sqrt(square))
            shrunk = tau * (1 - square)
            shifted = None if bias is None else bias + square / shrunk
            found.append(
                _measured(_aside(first, height), _aside(second, -height), gap, "apart in a new dimension", shrunk, shifted)
            )
    return found


def _aside(rows: Array, height: float) -> Array:
    """(sqrt(1 - a^2) z, a): unit rows at a height in a new dimension."""
    return np.hstack([np.sqrt(1 - height**2) * rows, np.full((len(rows), 1), height)])


def _measured(first: Array, second: Array, gap: float, how: str, tau: float, bias: float | None) -> Moved:
    forth, back = search(first, second), search(second, first)
    cosines = first @ second.T
    loss = infonce(cosines, 1 / tau) if bias is None else siglip(cosines, 1 / tau, bias)
    return Moved(
        float(gap),
        how,
        loss.value,
        (forth.recall, back.recall),
        (float(forth.other_share.mean()), float(back.other_share.mean())),
        (forth.median_rank, back.median_rank),
    )


def _with_error(both: tuple[float, float]) -> str:
    """A value and half its 95 % interval, with as many decimals as that has in two digits."""
    half = student(_PARTS - 1) * both[1]
    if not isfinite(half):
        return f"{both[0]:.3g}"
    decimals = max(0, 1 - int(np.floor(np.log10(half)))) if half > 0 else 3
    return f"{both[0]:.{decimals}f} +- {half:.{decimals}f}"
