"""Local stability of any smoothed energy's stationary state, from differences of its variation along harmonics."""

import numpy as np

from fieldsolve.equilibrium.densities import LogDensity
from fieldsolve.equilibrium.energy import Energy
from fieldsolve.numerics.arrays import Array

_DEGREES, _MOST = 6, 64  # harmonics up to this degree, and so many, are looked among
_STEP = 1e-4  # of a density, relative
_LEAST_SHARE = 1e-8  # of a harmonic that the others do not have
_FAINT = 1e-14  # mass of a point, of the largest, below which a density is not moved


def eigenvalues_by_differences(energy: Energy, state: LogDensity) -> Array:
    """The eigenvalues mu of H delta = mu delta/rho over delta = rho (Y - int Y rho), rising, Y harmonics of low degree (beyond
    the paper).

    H is the second variation of A times the energy, by central differences of its variation; as in `stability.curvature`, but for
    any energy, and over a span: the lowest of them is an upper bound of the lowest there is. Raises InputError for a grid without
    harmonics.
    """
    grid, density = energy.grid, state.density()
    lmax = min(_DEGREES, grid.largest_degree)
    count = min(len(grid.degrees(lmax)) - 1, _MOST)
    harmonics = np.stack([grid.synthesis(one, lmax) for one in np.eye(len(grid.degrees(lmax)))[1 : count + 1]])
    free = np.where((state.log_density() > state.log_floor) & (density > _FAINT * density.max()), density, 0.0)
    moves = []
    for a, own in enumerate(free):
        share = own / own.sum()
        for one in harmonics:
            move = np.zeros_like(density)
            move[a] = own * (one - share @ one)
            moves.append(move)
    ratios = np.stack([np.divide(move, density, out=np.zeros_like(move), where=free > 0) for move in moves])
    gram = np.einsum("ian,jan->ij", ratios, np.stack(moves)) / grid.size
    pressed = []
    for move, ratio in zip(moves, ratios, strict=True):
        step = _STEP / np.abs(ratio).max()
        ahead, behind = (energy.evaluate(density + sign * step * move)[1] for sign in (1, -1))
        pressed.append((ahead - behind) / (2 * step))
    curved = energy.modalities * np.einsum("ian,jan->ij", np.stack(moves), np.stack(pressed)) / grid.size
    shares, axes = np.linalg.eigh(gram)
    kept = axes[:, shares > _LEAST_SHARE * shares[-1]] / np.sqrt(shares[shares > _LEAST_SHARE * shares[-1]])
    return np.asarray(np.linalg.eigvalsh(kept.T @ (curved + curved.T) @ kept / 2))
