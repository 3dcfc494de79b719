"""What the paper says with potentials held fixed, and what holds of encoders that move [Cor 3.1, 4.1, App. E]."""

import numpy as np
import pytest
from conftest import random_law

from fieldsolve.encoders import measures
from fieldsolve.encoders.laws import JointLaw, law_named
from fieldsolve.encoders.losses import InModalNegatives
from fieldsolve.encoders.problem import EncoderProblem
from fieldsolve.encoders.solve import solve_encoders
from fieldsolve.encoders.windows import window_by_program


def test_expressive_families_inherit_the_optimum() -> None:
    """Cor 4.1: the excess falls to 0 as encoders get more dimensions, and as the temperature falls below the critical one."""
    law = law_named("ring:12,5")
    by_dimension = [solve_encoders(EncoderProblem(law, 0.1, dimension=d), 1e-9).excess for d in (2, 3, 24)]
    assert by_dimension[0] > 0.1
    assert max(by_dimension[1:]) < 1e-8
    by_temperature = [solve_encoders(EncoderProblem(law, tau), 1e-10).excess for tau in (0.5, 0.3, 0.21, 0.19)]
    assert by_temperature == sorted(by_temperature, reverse=True)
    assert by_temperature[2] > 1e-6 > by_temperature[3]


def test_no_concentration_on_ground_states() -> None:
    """Cor 3.1, Prop 3.3: at a fixed potential symbols would go to its minimum. Where partners move, similarities are
    tau (PMI + c), and symbols are the farther from the minimum of what their partners make the lower tau is."""
    law = law_named("ring:12,5")
    alignments = []
    for tau in (0.19, 0.1, 0.05, 0.02):
        found = window_by_program(law, tau)
        assert found is not None
        first, second = found.encoders(found.low, 12)
        alignments.append(float(measures.alignment(law, first, second).mean()))
    assert alignments == sorted(alignments, reverse=True)
    assert alignments[-1] < 0.5 < alignments[0]


@pytest.mark.parametrize("share", [0.0, 0.4, 1.0])
def test_the_knife_edge(share: float, wide: JointLaw) -> None:
    """At a least loss the other modality's smoothed density is constant on symbols, and the potential is their information."""
    tau = 0.2
    found = window_by_program(wide, tau)
    assert found is not None
    first, second = found.encoders(found.low + share * (found.high - found.low), 5)
    potential, field = measures.effective_potentials(wide, first @ second.T, tau)
    assert np.ptp(field) < 1e-8
    information = np.sum(wide.table / wide.first[:, None] * wide.pmi, axis=1)
    np.testing.assert_allclose(potential, -information - field.mean(), atol=1e-8)
    kl = measures.smoothed_symmetric_kl(wide, first, second, tau)
    gap = float(np.linalg.norm(wide.first @ first - wide.second @ second))
    assert kl >= gap**2 / tau - 2 * wide.lautum - 1e-8


def test_densities_agree_only_where_information_is_even(mirrored: JointLaw) -> None:
    """PMI_ii varies: no encoders of the least loss have equal smoothed densities; of a ring's it is constant, and some have."""
    even = law_named("ring:8,5")
    assert np.ptp(np.diag(even.pmi)) < 1e-12
    closed = solve_encoders(EncoderProblem(even, 0.1, InModalNegatives(0.1)), 1e-10)
    assert measures.smoothed_symmetric_kl(even, closed.first, closed.second, 0.1) < 1e-5
    tau = 0.1
    found = window_by_program(mirrored, tau)
    assert found is not None
    for gap in np.linspace(found.low, found.high, 5).tolist():
        first, second = found.encoders(gap, 6)
        assert measures.smoothed_symmetric_kl(mirrored, first, second, tau) > 1


def test_no_gap_does_not_mean_equal_densities() -> None:
    law, tau = law_named("ring:8,5"), 0.1
    found = window_by_program(law, tau)
    assert found is not None
    kls = []
    for gap in (0.0108, 0.515, 1.4142):
        first, second = found.encoders(gap, 8)
        kls.append(measures.smoothed_symmetric_kl(law, first, second, tau))
    assert kls[0] > 1
    assert abs(kls[2] - 20.0) < 0.1
    closed = solve_encoders(EncoderProblem(law, tau, InModalNegatives(0.1)), 1e-10)
    assert measures.smoothed_symmetric_kl(law, closed.first, closed.second, tau) < 1e-6


def test_divergence_persists_as_the_temperature_falls() -> None:
    """Rem 4.2, for partners that move: at the window's upper end tau D_K grows towards 4."""
    law, scaled = law_named("ring:8,5"), []
    for tau in (0.1, 0.05, 0.025):
        found = window_by_program(law, tau)
        assert found is not None
        first, second = found.encoders(found.high, 8)
        scaled.append(tau * measures.smoothed_symmetric_kl(law, first, second, tau))
    # gap^2 = 4 (1 - tau/tau*): D_K >= gap^2/tau - 2 Laut.
    for tau, one in zip((0.1, 0.05, 0.025), scaled, strict=True):
        assert 4 * (1 - tau / 0.2) - 2 * tau * law.lautum <= one + 1e-6 <= 4
    assert scaled == sorted(scaled)


def test_retrieval_and_the_gap_are_independent(rng: np.random.Generator) -> None:
    """App. E (i): both modalities shifted apart in a dimension of their own keep all rankings, at any gap up to 2."""
    law = random_law(8, 8, 2)
    rows = rng.standard_normal((2, 8, 5))
    rows /= np.linalg.norm(rows, axis=-1, keepdims=True)
    order = np.argsort(rows[0] @ rows[1].T, axis=1)
    recall = measures.recall(law, rows[0] @ rows[1].T)
    for a in (0.0, 0.5, 0.99):
        first, second = (
            np.hstack([np.sqrt(1 - a**2) * one, np.full((8, 1), sign * a)]) for one, sign in zip(rows, (1, -1), strict=True)
        )
        np.testing.assert_array_equal(np.argsort(first @ second.T, axis=1), order)
        assert abs(measures.recall(law, first @ second.T) - recall) < 1e-12


def test_attenuating_the_barrier_closes_the_gap_at_equal_retrieval(mirrored: JointLaw) -> None:
    """App. E (ii): without in-modal negatives the gap is free, with any weight of them it is 0, at the same recall and loss."""
    law = law_named("ring:8,5")
    free = solve_encoders(EncoderProblem(law, 0.1), 1e-10)
    closed = solve_encoders(EncoderProblem(law, 0.1, InModalNegatives(0.01)), 1e-10)
    assert closed.centroid_gap < 2e-3
    assert abs(measures.recall(law, free.similarity) - measures.recall(law, closed.similarity)) < 1e-9
    assert measures.recall(law, closed.similarity) <= measures.best_recall(law) + 1e-12
    # Not of every law: with uneven information the weight has to exceed a critical one.
    assert solve_encoders(EncoderProblem(mirrored, 0.117, InModalNegatives(0.01)), 1e-10).centroid_gap > 0.3


def test_recall_breaks_ties_evenly() -> None:
    law = law_named("simplex:5,.5")
    assert abs(measures.recall(law, np.zeros((5, 5))) - 0.2) < 1e-12
    assert abs(measures.recall(law, np.eye(5)) - measures.best_recall(law)) < 1e-12
