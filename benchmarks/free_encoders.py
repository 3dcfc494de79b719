"""Free encoders: value and gradient in matrix products, solves against a cone program of cvxpy and against torch's Adam."""

import time

import numpy as np

from fieldsolve.encoders import EncoderProblem, JointLaw, law_from_table, law_named, solve_encoders
from fieldsolve.encoders.moving import move_gap
from fieldsolve.encoders.objective import Objective, Point

_RANK = 64  # of the encoders whose value and gradient are timed
_LEARNING = 0.01  # Adam's rate


def random_law(size: int, seed: int = 0) -> JointLaw:
    table = np.random.default_rng(seed).dirichlet(np.full(size * size, 0.3)).reshape(size, size) + 0.1 / size**2
    return law_from_table(table / table.sum(), f"random {size} x {size}")


def evaluation(size: int):
    """A value with its gradient, and one product of the encoders of both modalities."""
    law = law_named(f"ring:{size},5")
    rows = np.random.default_rng(0).standard_normal((2 * size, _RANK))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    objective, point = Objective(EncoderProblem(law, 0.1)), Point(rows, 10.0)
    return lambda: objective.slopes(point), lambda: rows[:size] @ rows[size:].T


def solved(law: JointLaw, tau: float, tol: float) -> tuple[float, float, float]:
    """Seconds, loss and bound."""
    began = time.perf_counter()
    found = solve_encoders(EncoderProblem(law, tau), tol)
    return time.perf_counter() - began, found.loss, found.bound


def by_cones(law: JointLaw, tau: float) -> tuple[float, float]:
    """Seconds and loss of the same problem as exponential and semidefinite cones, solved by clarabel through cvxpy."""
    import cvxpy as cp

    n, m = law.table.shape
    began = time.perf_counter()
    gram = cp.Variable((n + m, n + m), PSD=True)
    logits = gram[:n, n:] / tau
    rows = [law.first[i] * cp.log_sum_exp(logits[i] + np.log(law.second)) for i in range(n)]
    columns = [law.second[j] * cp.log_sum_exp(logits[:, j] + np.log(law.first)) for j in range(m)]
    loss = 0.5 * (cp.sum(cp.hstack(rows)) + cp.sum(cp.hstack(columns))) - cp.sum(cp.multiply(law.table, logits))
    problem = cp.Problem(cp.Minimize(loss), [cp.diag(gram) == 1])
    problem.solve(solver=cp.CLARABEL)
    return time.perf_counter() - began, float(problem.value)


def by_adam(law: JointLaw, tau: float, target: float, patience: float) -> tuple[float, float, int]:
    """Seconds, loss and steps of full-batch Adam in double precision on the same rows, until the loss is at most `target`."""
    import torch

    n, m = law.table.shape
    torch.manual_seed(0)
    rows = torch.randn(n + m, n + m, dtype=torch.float64, requires_grad=True)
    table, p, q = (torch.tensor(one) for one in (law.table, law.first, law.second))
    descent = torch.optim.Adam([rows], lr=_LEARNING)
    began, step, value = time.perf_counter(), 0, np.inf
    while time.perf_counter() - began < patience:
        unit = torch.nn.functional.normalize(rows, dim=1)
        logits = unit[:n] @ unit[n:].T / tau
        forth, back = torch.logsumexp(logits + q.log(), dim=1), torch.logsumexp(logits + p.log()[:, None], dim=0)
        loss = 0.5 * (p @ forth + q @ back) - (table * logits).sum()
        value, step = float(loss.detach()), step + 1
        if value <= target:
            break
        descent.zero_grad()
        loss.backward()
        descent.step()
    return time.perf_counter() - began, value, step


def moved(count: int) -> tuple[float, float]:
    """Seconds to fit the gap's map to so many pairs of 512, and to apply it to one modality."""
    rng = np.random.default_rng(0)
    content = rng.standard_normal((count, 512))
    both = [0.5 * content + rng.standard_normal((count, 512)) + offset for offset in (1.0, rng.standard_normal(512))]
    first, second = (rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in both)
    began = time.perf_counter()
    found = move_gap(first, second)
    fitted = time.perf_counter()
    found.first(first)
    return fitted - began, time.perf_counter() - fitted
