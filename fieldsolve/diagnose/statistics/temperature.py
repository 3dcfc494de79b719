"""Contrastive losses of batches of matched pairs: their values, and the temperature and bias that minimise them."""

from dataclasses import dataclass
from math import exp, inf, isfinite, log, sqrt

import numpy as np

from fieldsolve.diagnose.statistics.estimate import Estimate, left_out, without_each
from fieldsolve.numerics import threads
from fieldsolve.numerics.arrays import Array, Rows
from fieldsolve.numerics.errors import InputError

MOST_PAIRS = 1024  # of a batch
LEAST_TAU = 0.003  # below, exp((cosine - 1)/tau) of opposite rows is no number of double precision
DEFAULT_TAU = 0.07  # where CLIP's training starts
LARGEST_TAU = 1e3

_STEPS = 60
_TOLERANCE = 1e-10  # nats by which the loss may be above its least
_LEAST_GAIN = 4.0  # nats of all pairs together: of pairs that know nothing, one batch in 200 reaches it
_PARTS = 128  # of a batch, whose means make standard errors


def checked_temperature(tau: float | None) -> float:
    """The temperature that is used, DEFAULT_TAU without one. Raises InputError for values out of range."""
    if tau is None:
        return DEFAULT_TAU
    if not (isfinite(tau) and tau >= LEAST_TAU):
        raise InputError(
            f"the temperature must be at least {LEAST_TAU} (a logit scale of at most {1 / LEAST_TAU:.0f}), not {tau:.4g}"
        )
    return tau


@dataclass(frozen=True, eq=False)
class Loss:
    """A loss at one temperature (and bias), of the mean over the pairs of a batch.

    pairs: (n,), what each pair adds; slopes: (n, p), its derivatives by 1/tau and, of a loss with one, by the bias; curvature:
    (p, p), the mean second derivatives.
    """

    pairs: Array
    slopes: Array
    curvature: Array

    @property
    def value(self) -> float:
        """The mean over the pairs, in nats."""
        return float(self.pairs.mean())


def similarities(first: Rows, second: Rows) -> Array:
    """Cosines of all rows of a batch, (n, n)."""
    with threads.one_blas_thread():
        return np.asarray(first.astype(np.float64) @ second.astype(np.float64).T)


def infonce(cosines: Array, scale: float) -> Loss:
    """Symmetric InfoNCE of a batch, -s_ii/tau + (log sum_j e^{s_ij/tau} + log sum_j e^{s_ji/tau})/2 [Radford et al. 2021].

    Convex in scale = 1/tau: its derivative is the mean similarity under both softmaxes less that of partners. Chance is log n.
    """
    matched = np.diagonal(cosines)
    logs, means, variance = np.zeros(len(cosines)), np.zeros(len(cosines)), 0.0
    for table in (cosines, cosines.T):
        peak = table.max(axis=1)
        weights = np.exp(scale * (table - peak[:, None]))
        total = weights.sum(axis=1)
        mean = np.einsum("ij,ij->i", weights, table) / total
        weights *= table
        variance += float(np.mean(np.einsum("ij,ij->i", weights, table) / total - mean**2)) / 2
        logs += (np.log(total) + scale * peak) / 2
        means += mean / 2
    return Loss(logs - scale * matched, (means - matched)[:, None], np.array([[variance]]))


def infonce_value(cosines: Array, scale: float) -> Estimate:
    """Symmetric InfoNCE of a batch with what parts of it contribute, as anchors and as negatives [jackknife]."""
    return left_out(infonce(cosines, scale).value, _infonce_without(cosines, scale)[0])


def _infonce_without(cosines: Array, scale: float) -> tuple[Array, Array]:
    """The loss and its slope in 1/tau when each part of a batch is left out, as anchors and as negatives, (parts,) both."""
    parts = min(_PARTS, len(cosines))
    part = np.arange(len(cosines)) * parts // len(cosines)
    begins, matched = np.flatnonzero(np.diff(part, prepend=-1)), np.diagonal(cosines)
    anchors = part[:, None] != np.arange(parts)
    numbers = 2 * (len(cosines) - np.bincount(part))
    losses, slopes = np.zeros(parts), np.zeros(parts)
    for table in (cosines, cosines.T):
        peak = table.max(axis=1)
        weights = np.exp(scale * (table - peak[:, None]))
        rest = np.maximum(without_each(np.add.reduceat(weights, begins, axis=1)), np.finfo(float).tiny)
        means = without_each(np.add.reduceat(weights * table, begins, axis=1)) / rest
        losses += np.sum(anchors * (np.log(rest) + scale * (peak - matched)[:, None]), axis=0) / numbers
        slopes += np.sum(anchors * (means - matched[:, None]), axis=0) / numbers
    return losses, slopes


def siglip(cosines: Array, scale: float, bias: float) -> Loss:
    """The sigmoid loss of a batch, -sum_j log sigmoid(z_ij (s_ij/tau + b)), z = 1 for partners and -1 else [Zhai et al. 2023].

    Half of what a pair adds is its row's, half its column's. Convex in (1/tau, b).
    """
    signs = 2 * np.eye(len(cosines)) - 1
    logits = scale * cosines + bias
    losses = np.logaddexp(0.0, -signs * logits)
    errors = -signs / (1 + np.exp(np.clip(signs * logits, -700, 700)))
    spread = np.abs(errors) * (1 - np.abs(errors))
    slopes = np.stack([_halves(errors * cosines), _halves(errors)], axis=1)
    curvature = np.array([[np.sum(spread * cosines**2), np.sum(spread * cosines)], [np.sum(spread * cosines), np.sum(spread)]])
    return Loss(_halves(losses), slopes, curvature / len(cosines))


def siglip_value(cosines: Array, scale: float, bias: float) -> Estimate:
    """The sigmoid loss of a batch with what parts of it contribute: a pair takes its row and its column with it."""
    loss = siglip(cosines, scale, bias)
    own = np.logaddexp(0.0, -(scale * np.diagonal(cosines) + bias))
    return mean_of_pairs(2 * loss.pairs - own).through(loss.value, 1.0)


def _halves(table: Array) -> Array:
    """Half of the sum of each row and of the column of the same number."""
    return np.asarray((table.sum(axis=0) + table.sum(axis=1)) / 2)


def chance(name: str, pairs: int) -> float:
    """The loss of embeddings that know nothing of partners: InfoNCE's log n; SigLIP's with its best bias, n times an entropy."""
    return {"infonce": log(pairs), "siglip": log(pairs) - (pairs - 1) * log(1 - 1 / pairs)}[name]


def best_temperature(cosines: Array) -> tuple[float, float, float]:
    """The temperature that minimises InfoNCE on a batch, and its 95 % interval: (0, 0, 0) where the loss falls to tau = 0.003.

    Newton's method in 1/tau, in which the loss is convex, within a bracket. The interval, in log tau, comes from leaving parts
    out and one step from there; its ends are 0 and inf where the least loss is not below chance for sure. All three are inf
    where the loss falls to tau = 1000: partners are farther than strangers.
    """
    low, high = 1 / LARGEST_TAU, 1 / LEAST_TAU
    matched = np.diagonal(cosines)
    all_stand_out = bool(np.all(cosines.max(axis=1) <= matched) and np.all(cosines.max(axis=0) <= matched))
    if all_stand_out or float(infonce(cosines, high).slopes.mean()) < 0:
        return 0.0, 0.0, 0.0
    if float(infonce(cosines, low).slopes.mean()) > 0:
        return inf, inf, inf
    scale = 1 / DEFAULT_TAU
    for _ in range(_STEPS):
        here = infonce(cosines, scale)
        slope = float(here.slopes.mean())
        low, high = (scale, high) if slope < 0 else (low, scale)
        curvature = float(here.curvature[0, 0])
        wanted = scale - slope / curvature if curvature > 0 else inf
        onward = wanted if low < wanted < high else sqrt(low * high)
        if slope**2 <= _TOLERANCE * curvature or onward == scale:
            break
        scale = onward
    if (chance("infonce", len(cosines)) - here.value) * len(cosines) < _LEAST_GAIN:
        return 1 / scale, 0.0, inf
    moved = log(scale) - _infonce_without(cosines, scale)[1] / (curvature * scale)
    low, high = left_out(log(scale), moved).interval()
    return 1 / scale, exp(-high), exp(-low) if low > -log(LARGEST_TAU) else inf


def best_siglip(cosines: Array) -> tuple[tuple[float, float, float], float]:
    """The temperature that minimises the sigmoid loss on a batch, its 95 % interval, and the bias there.

    ((0, 0, 0), -inf) where partners are separated without error; temperatures are inf where the loss is least at 1/tau <= 0.
    Newton's method with halved steps on a convex function; the interval, in log tau, is that of its last step by pairs.
    """
    if np.diagonal(cosines).min() > np.where(np.eye(len(cosines)) > 0, -np.inf, cosines).max():
        return (0.0, 0.0, 0.0), -inf
    at, here = np.array([10.0, -10.0]), siglip(cosines, 10.0, -10.0)
    for _ in range(_STEPS):
        step = np.linalg.lstsq(here.curvature, here.slopes.mean(axis=0), rcond=1e-14)[0]
        while (there := siglip(cosines, *(at - step))).value > here.value and np.abs(step).max() > _TOLERANCE:
            step = step / 2
        if there.value >= here.value - _TOLERANCE:
            break
        at, here = at - step, there
        if at[0] > 1 / LEAST_TAU:
            return (0.0, 0.0, 0.0), -inf
    if at[0] <= 1 / LARGEST_TAU:
        return (inf, inf, inf), float(at[1])
    # A pair takes its row and its column with it.
    errors = 1 / (1 + np.exp(at[0] * np.diagonal(cosines) + at[1]))
    own = -np.stack([errors * np.diagonal(cosines), errors], axis=1)
    moved = (2 * here.slopes - own) @ np.linalg.pinv(here.curvature)[0] / at[0]
    low, high = mean_of_pairs(moved).through(log(at[0]), 1.0).interval()
    return (1 / float(at[0]), exp(-high), exp(-low) if low > -log(LARGEST_TAU) else inf), float(at[1])


def mean_of_pairs(values: Array) -> Estimate:
    """The mean over the pairs of a batch, with what parts of it contribute."""
    parts = min(_PARTS, len(values))
    group = np.arange(len(values)) * parts // len(values)
    sums, counts = np.bincount(group, values), np.bincount(group)
    value = float(values.mean())
    return Estimate(value, (sums - value * counts) / len(values))
