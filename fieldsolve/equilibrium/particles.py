"""Particles on a sphere under the contrastive loss of batches: how long their noise takes from the matched state to a gap."""

from dataclasses import dataclass

import numpy as np

from fieldsolve.equilibrium.batches import Positive
from fieldsolve.grids import Kernel
from fieldsolve.numerics import threads
from fieldsolve.numerics.arrays import Array
from fieldsolve.numerics.compiled import jit
from fieldsolve.numerics.errors import InputError

_EVERY = 10  # steps after which the gap is looked at
_MOVES, _OWN = 500, 0.0  # of each particle at the beginning, and their coupling, which spreads either modality evenly
_LEAST_SHARE = 4  # times a batch, that there are particles
_SAMPLES, _EACH = 256, 20  # batches that the noise is measured from at least, and as many that each particle is in
_MOST_WORK = 5e12  # of runs: products of coordinates, an hour on two cores


@dataclass(frozen=True)
class Particles:
    """`count` particles of each of two modalities on S^{d-1}, under batches of N + 1 of them; flat potentials.

    A step draws a batch of each modality and moves its members by rate times minus the slope of the variation of 2 J_N, along the
    sphere: with a' the modality itself at weight 1 - coupling and the other one at weight coupling, the loss of an anchor x_i
    is log(K(z+) + sum_{j != i} K(x_i, x'_j)). Of many more particles than a batch has these are N independent negatives; the
    fewer there are, the higher is the coupling at which they part. kernel: of a critic that is linear in z.z'. Raises InputError
    for others, and for fewer particles than four batches have.
    """

    kernel: Kernel
    dimension: int
    coupling: float
    negatives: int
    positive: Positive
    count: int
    rate: float

    def __post_init__(self) -> None:
        self.kernel.concentration  # noqa: B018  # refuses critics that are not linear
        least = _LEAST_SHARE * (self.negatives + 1)
        if self.negatives < 1 or self.count < least:
            raise InputError(
                f"batches of {self.negatives} negatives, drawn without repetition, need at least {max(least, 2)} particles a "
                f"modality, not {self.count}: of fewer they are no independent negatives"
            )
        if self.positive.kind == "vmf":
            raise InputError("particles have no positive, an aligned one, or one at a cosine; not a law of them")
        if not 0 < self.rate < np.inf:
            raise InputError(f"the rate of particles is a positive number, not {self.rate}")

    @property
    def _share(self) -> float:
        """K(z+)/K(z) of the positive."""
        if self.positive.kind == "none":
            return 0.0
        cosine = 1.0 if self.positive.kind == "aligned" else self.positive.value
        return float(np.exp(self.kernel.concentration * (cosine - 1)))

    def temperature(self, seed: int) -> float:
        """The temperature of a particle's noise where all are evenly spread: rate/2 times its slope's variance a direction."""
        points, kappa = self._spread(1, seed)[0], self.kernel.concentration
        samples = max(_SAMPLES, self._steps_of_all(_EACH))
        square = _slope_variance(points, self.negatives + 1, kappa, self.coupling, self._share, seed, samples)
        return float(self.rate / 2 * max(square, 0.0) / (self.dimension - 1))

    def _steps_of_all(self, moves: int) -> int:
        """Steps in which each particle moves so many times."""
        return -(-moves * self.count // (self.negatives + 1))

    def escape_times(self, gap: float, most: int, runs: int, seed: int) -> Array:
        """After how many steps the centroid gap first exceeds one, in each of some seeded runs, (runs,); inf after `most`.

        Runs begin at particles that their own repulsion has spread, in 500 moves of each. Raises InputError for more work than
        an hour's.
        """
        work = float(runs) * (most + self._steps_of_all(_MOVES)) * 12 * (self.negatives + 1) ** 2 * self.dimension
        if work > _MOST_WORK:
            raise InputError(
                f"{runs} runs of {most} steps of batches of {self.negatives + 1} in {self.dimension} dimensions take about "
                f"{work:.1e} products; use fewer steps, smaller batches or fewer dimensions (up to {_MOST_WORK:.0e})"
            )
        points, times = self._spread(runs, seed), np.empty(runs)
        self._run(points, self.coupling, gap, most, seed + runs, times)
        return np.where(times > most, np.inf, times)

    def _spread(self, runs: int, seed: int) -> Array:
        points = np.random.default_rng(seed).standard_normal((runs, 2, self.count, self.dimension))
        points /= np.linalg.norm(points, axis=-1, keepdims=True)
        self._run(points, _OWN, np.inf, self._steps_of_all(_MOVES), seed, np.empty(runs))
        return points

    def _run(self, points: Array, coupling: float, gap: float, most: int, seed: int, times: Array) -> None:
        seeds = seed + np.arange(len(points))
        threads.over_blocks(
            _until_apart, len(points), most * points[0].size * self.negatives, points, self.negatives + 1,
            self.kernel.concentration, coupling, self._share, self.rate, gap, most, seeds, times,
        )  # fmt: skip


@jit()
def _centroid_gap(points):
    squares = 0.0
    for c in range(points.shape[2]):
        apart = 0.0
        for i in range(points.shape[1]):
            apart += points[0, i, c] - points[1, i, c]
        squares += (apart / points.shape[1]) ** 2
    return np.sqrt(squares)


@jit()
def _begin(seed, order):
    """Begin a run: the numbers of its thread, and the particles in their order."""
    np.random.seed(seed)  # noqa: NPY002  # compiled code has one generator a thread, of the same bits everywhere
    for i in range(order.shape[1]):
        order[0, i] = order[1, i] = i


@jit()
def _draw(order, batch):
    """The first `batch` entries of each row become a sample without repetition."""
    count = order.shape[1]
    for a in range(2):
        for k in range(batch):
            j = k + np.random.randint(count - k)  # noqa: NPY002
            order[a, k], order[a, j] = order[a, j], order[a, k]


@jit()
def _push(points, others, own, theirs, kappa, share, positive, weights, slopes, other_slopes):
    """Add the slopes of share times a batch's losses against another batch, or itself: to both, in space."""
    dim = points.shape[1]
    for i in range(own.size):
        total = positive
        for j in range(own.size):
            inner = 0.0
            for c in range(dim):
                inner += points[own[i], c] * others[theirs[j], c]
            weights[j] = np.exp(kappa * (inner - 1.0)) if i != j else 0.0
            total += weights[j]
        for j in range(own.size):
            pull = share * kappa * weights[j] / total
            for c in range(dim):
                slopes[i, c] += pull * others[theirs[j], c]
                other_slopes[j, c] += pull * points[own[i], c]


@jit()
def _slopes_of(points, order, batch, kappa, coupling, positive, weights, slopes):
    """Write the slopes of the sum of a batch's losses along the sphere, (2, batch, d)."""
    slopes[:] = 0.0
    for a in range(2):
        own, theirs = order[a, :batch], order[1 - a, :batch]
        _push(points[a], points[a], own, own, kappa, 1.0 - coupling, positive, weights, slopes[a], slopes[a])
        _push(points[a], points[1 - a], own, theirs, kappa, coupling, positive, weights, slopes[a], slopes[1 - a])
    for a in range(2):
        for i in range(batch):
            here, along = points[a, order[a, i]], 0.0
            for c in range(here.size):
                along += slopes[a, i, c] * here[c]
            for c in range(here.size):
                slopes[a, i, c] -= along * here[c]


@jit()
def _until_apart(first, last, points, batch, kappa, coupling, positive, rate, gap, most, seeds, times):
    """Follow the runs from first to last until their centroid gap exceeds one; write the steps, most + 1 if it never does."""
    count, dim = points.shape[2], points.shape[3]
    order, weights, slopes = np.empty((2, count), np.int64), np.empty(batch), np.empty((2, batch, dim))
    for run in range(first, last):
        _begin(seeds[run], order)
        here, times[run] = points[run], most + 1
        for step in range(most + 1):
            if step % _EVERY == 0 and _centroid_gap(here) > gap:
                times[run] = step
                break
            _draw(order, batch)
            _slopes_of(here, order, batch, kappa, coupling, positive, weights, slopes)
            for a in range(2):
                for i in range(batch):
                    moved = here[a, order[a, i]] - rate * slopes[a, i]
                    here[a, order[a, i]] = moved / np.sqrt(np.sum(moved**2))


@jit()
def _slope_variance(points, batch, kappa, coupling, positive, seed, samples):
    """The mean square of a member's slope, over batches, less that of its mean: in all directions together."""
    count, dim = points.shape[1], points.shape[2]
    order, weights, slopes = np.empty((2, count), np.int64), np.empty(batch), np.empty((2, batch, dim))
    _begin(seed, order)
    sums, drawn, squares = np.zeros((2, count, dim)), np.zeros((2, count)), 0.0
    for _ in range(samples):
        _draw(order, batch)
        _slopes_of(points, order, batch, kappa, coupling, positive, weights, slopes)
        for a in range(2):
            for i in range(batch):
                drawn[a, order[a, i]] += 1.0
                sums[a, order[a, i]] += slopes[a, i]
                squares += np.sum(slopes[a, i] ** 2)
    known = 0.0
    for a in range(2):
        for i in range(count):
            if drawn[a, i] > 0:
                squares -= np.sum(sums[a, i] ** 2) / drawn[a, i]
                known += drawn[a, i] - 1.0
    return squares / known
