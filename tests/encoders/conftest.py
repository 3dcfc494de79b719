"""The laws that the theory's numbers are of."""

import numpy as np
import pytest

from fieldsolve.encoders import JointLaw, law_from_table


def random_law(n: int, m: int, seed: int) -> JointLaw:
    table = np.random.default_rng(seed).dirichlet(np.full(n * m, 0.3)).reshape(n, m) + 1e-3
    return law_from_table(table / table.sum(), f"random {n} x {m}, seed {seed}")


def symmetric_law(seed: int) -> JointLaw:
    rng = np.random.default_rng(seed)
    places = rng.standard_normal((6, 2)) * 1.2
    weights = rng.dirichlet(np.ones(6))
    table = np.exp(places @ places.T) * np.multiply.outer(weights, weights)
    table /= table.sum()
    table = 0.5 * (table + table.T)
    return law_from_table(table / table.sum(), f"symmetric, seed {seed}")


def two_by_two(p: float, q: float, rho: float) -> JointLaw:
    first, second = np.array([p, 1 - p]), np.array([q, 1 - q])
    return law_from_table(np.multiply.outer(first, second) + rho * np.array([[1, -1], [-1, 1]]), "two by two")


def cyclic_law() -> JointLaw:
    shares = np.array([0.3, 0.05, 0.2, 0.02, 0.08, 0.1, 0.25]) / 7
    return law_from_table(np.array([np.roll(shares, k) for k in range(7)]), "cyclic")


@pytest.fixture(scope="session")
def wide() -> JointLaw:
    return random_law(5, 4, 3)


@pytest.fixture(scope="session")
def square() -> JointLaw:
    return random_law(6, 6, 4)


@pytest.fixture(scope="session")
def mirrored() -> JointLaw:
    return symmetric_law(0)
