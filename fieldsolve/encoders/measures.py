"""What encoders do with a law besides its loss: retrieval, and how their smoothed densities differ."""

import numpy as np

from fieldsolve.encoders.laws import JointLaw
from fieldsolve.encoders.passes import exponentiate
from fieldsolve.numerics.arrays import Array

_TIED = 1e-9  # similarities that differ by less are the same


def recall(law: JointLaw, similarity: Array) -> float:
    """The probability that a partner is the most similar symbol, ties broken at random, mean of both directions."""
    found = []
    for table, values in ((law.table, similarity), (law.table.T, similarity.T)):
        is_best = values >= values.max(axis=1, keepdims=True) - _TIED
        found.append(float(np.sum(table * is_best / is_best.sum(axis=1, keepdims=True))))
    return 0.5 * (found[0] + found[1])


def best_recall(law: JointLaw) -> float:
    """The largest recall that any similarities have: the mean of sum_i max_j P_ij and its mirror."""
    return 0.5 * float(law.table.max(axis=1).sum() + law.table.max(axis=0).sum())


def smoothed_symmetric_kl(law: JointLaw, first: Array, second: Array, tau: float) -> float:
    """D_K = int (rho_1 - rho_2)(log K rho_1 - log K rho_2) of the encoders' densities, K ~ exp(z.z'/tau) [Rem 4.2], nats.

    With partition fields sum_k p_k e^{z_i.z_k/tau} and so on; the kernel volume cancels.
    """
    p, q, top = law.first, law.second, 1 / tau * (1 + 1e-12)
    across = exponentiate(first @ second.T / tau, p, q, top)
    own = [exponentiate(rows @ rows.T / tau, one, one, top).rows for rows, one in ((first, p), (second, q))]
    return max(float(p @ (own[0] - across.rows) + q @ (own[1] - across.columns)), 0.0)


def effective_potentials(law: JointLaw, similarity: Array, tau: float) -> tuple[Array, Array]:
    """U_1/tau and log K rho_2 at every symbol of the first modality, less the log kernel volume [Def 4.1, Prop 4.2], (n,) each.

    U_1(z_i) = -z_i.E[w | i] is the potential that the partners make where they are now. At a least loss below tau* the second is
    constant, and the first is minus the symbol's pointwise information KL(P(.|i) || q), less the same constant (beyond the
    paper).
    """
    logits = similarity / tau
    potential = -np.sum(law.table * logits, axis=1) / law.first
    top = float(logits.max())
    return np.asarray(potential), exponentiate(logits, law.first, law.second, top).rows


def alignment(law: JointLaw, first: Array, second: Array) -> Array:
    """The cosine between z_i and the mean of its partners E[w | i], (n,): 1 at the ground state of the potential they make."""
    means = law.table @ second / law.first[:, None]
    lengths = np.linalg.norm(means, axis=1)
    return np.asarray(np.einsum("ij,ij->i", first, means) / np.maximum(lengths, 1e-300))
