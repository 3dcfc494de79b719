"""Particles under batches: they descend the energy of their batches, with the same bits at every number of threads."""

import numpy as np
import pytest

from fieldsolve.equilibrium.batches import Positive
from fieldsolve.equilibrium.particles import Particles
from fieldsolve.grids import Kernel
from fieldsolve.numerics import threads
from fieldsolve.numerics.errors import InputError
from fieldsolve.theorems.batches import batch_dispersion

KERNEL = Kernel("cosine", 0.5)


def particles(coupling: float, negatives: int = 15, count: int = 64, rate: float = 0.1, kind: str = "aligned") -> Particles:
    return Particles(KERNEL, 2, coupling, negatives, Positive(kind), count, rate)


def test_they_part_beyond_the_spinodal_of_their_batches_only() -> None:
    breaks_at = batch_dispersion(KERNEL, 2, 15).breaks_at
    assert np.all(np.isfinite(particles(breaks_at + 0.04).escape_times(0.8, 20_000, 4, 0)))
    assert np.all(np.isinf(particles(breaks_at - 0.04).escape_times(0.8, 20_000, 4, 0)))


def test_temperatures_go_with_the_rate_and_fall_with_the_batch() -> None:
    assert particles(0.3, rate=0.02).temperature(0) == pytest.approx(particles(0.3, rate=0.01).temperature(0) * 2, rel=0.15)
    assert particles(0.3, negatives=31, count=256).temperature(0) < 0.7 * particles(0.3, negatives=7, count=256).temperature(0)


def test_the_same_bits_for_any_number_of_threads() -> None:
    found = []
    for count in (1, 2):
        with threads.limit(count):
            found.append(particles(0.4, rate=1.0).escape_times(0.5, 5000, 4, 7))
    assert np.array_equal(*found)
    assert not np.array_equal(found[0], particles(0.4, rate=1.0).escape_times(0.5, 5000, 4, 8))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"negatives": 16}, "at least 68 particles"),
        ({"negatives": 0}, "at least 4 particles"),
        ({"rate": 0.0}, "positive number"),
        ({"kind": "vmf"}, "not a law"),
    ],
)
def test_bad_input_is_refused(change: dict[str, float], said: str) -> None:
    with pytest.raises(InputError, match=said):
        particles(0.3, **change)  # type: ignore[arg-type]


def test_critics_that_are_not_linear_and_too_much_work_are_refused() -> None:
    with pytest.raises(InputError, match="linear"):
        Particles(Kernel("geodesic", 0.5), 2, 0.3, 15, Positive("aligned"), 64, 0.1)
    with pytest.raises(InputError, match="fewer steps"):
        particles(0.3, negatives=1000, count=8000).escape_times(0.5, 10**9, 16, 0)
