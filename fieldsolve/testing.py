"""Contracts that every grid, critic, term and loss of encoders keeps: run them on one of your own before you register it.

    from fieldsolve.testing import check_grid
    check_grid(MyGrid(12))

Each raises AssertionError with what is wrong. They are meant for small grids: some compare sums over all pairs of points.
"""

import tempfile
from math import pi
from pathlib import Path

import numpy as np

from fieldsolve.encoders.laws import JointLaw
from fieldsolve.encoders.losses import LOSSES, Logits, Loss, Slopes
from fieldsolve.equilibrium.densities import normalise
from fieldsolve.equilibrium.terms import TERMS, Convexity, Term, term_of
from fieldsolve.grids import Circle, Critic, Grid, Healpix, Kernel, Modes, Smoother, grid_of
from fieldsolve.grids.critics import critic_of
from fieldsolve.numerics.arrays import Array
from fieldsolve.numerics.errors import InputError
from fieldsolve.numerics.names import made_of, text_of

_SEED = 20260119


def _agree(found: object, expected: object, error: float, what: str) -> None:
    difference = float(np.max(np.abs(np.asarray(found, dtype=float) - np.asarray(expected, dtype=float))))
    assert difference <= error, f"{what}: {difference:.3g} apart, at most {error:.3g} allowed"


def check_grid(grid: Grid, tau: float | None = None) -> None:
    """Check that a registered grid keeps what `Grid` promises: its name, points, means, rotations, kernels, pictures and files.

    tau: of the kernel that is used, twice the least that the grid resolves by default. Raises AssertionError.
    """
    assert grid_of(str(grid)) == grid, f"{grid} does not come back from its name; is it in the table GRIDS?"
    assert hash(grid) == hash(grid_of(str(grid))), f"{grid} is not hashed by its fields"
    _check_points(grid)
    _check_coarser(grid)
    _check_rotations(grid)
    _check_kernels(grid, Kernel("cosine", 2 * grid.least_tau(Kernel("cosine", 1.0)) if tau is None else tau))
    _check_harmonics(grid)
    _check_output(grid)


def _check_points(grid: Grid) -> None:
    points = grid.points()
    assert points.shape == (grid.size, grid.components), f"points have the shape {points.shape}"
    _agree(np.linalg.norm(points, axis=1), 1, 1e-12, "lengths of points")
    _agree(grid.points(1, 3), points[1:3], 0, "a part of the points against all of them")
    assert grid.weights.shape in ((1,), (grid.size,)), f"weights have the shape {grid.weights.shape}"
    _agree(grid.weights.mean(), 1, 1e-12, "the mean weight of a point")
    _agree(grid.mean(np.ones((2, grid.size))), np.ones(2), 1e-12, "the mean of 1")
    _agree([np.linalg.norm(one) for one in (grid.axis, grid.direction)], 1, 1e-12, "lengths of axis and direction")
    height = points @ grid.direction
    _agree(grid.evaluate(lambda at: at @ grid.direction), height, 1e-14, "the field of a height")
    _agree(grid.mean(height), np.mean(grid.weights * height), 1e-14, "the mean of a height")
    _agree(grid.centroid(grid.weights * (1 + height)) @ grid.direction, grid.mean(height * (1 + height)), 1e-12, "a centroid")
    _agree(grid.interpolate(height, points), height, 1e-9, "a field interpolated at the grid's own points")
    assert np.array_equal(grid.nearest(points), np.arange(grid.size)), "a point is not nearest to itself"
    covered = grid.coverage(grid.axis[None], pi)
    _agree(covered, 1, 1e-12, "the cap of the whole space")
    small = grid.coverage(grid.axis[None], 2 * grid.spacing)
    assert np.all((small >= -1e-12) & (small <= 1 + 1e-12)), "coverages are not between 0 and 1"
    assert 0 < small.mean() < 0.5, "a small cap covers nothing, or too much"


def _check_coarser(grid: Grid) -> None:
    coarse = grid.coarser()
    if coarse is None:
        return
    _agree(coarse.spacing / grid.spacing, 2, 1e-12, "the spacing of the coarser grid over the grid's own")
    fields = np.random.default_rng(_SEED).exponential(size=(2, grid.size))
    averaged = grid.coarsened_density(fields)
    assert averaged.shape == (2, coarse.size), f"coarser fields have the shape {averaged.shape}"
    _agree(averaged.mean(axis=1), fields.mean(axis=1), 1e-13, "the mean of a coarser density")
    height = grid.coarsened(grid.points() @ grid.direction)
    _agree(height, coarse.points() @ grid.direction, 3 * grid.spacing**2, "a height on the coarser grid")


def _check_rotations(grid: Grid) -> None:
    turn = grid.rotation(grid.turn)
    _agree(turn @ turn.T, np.eye(grid.components), 1e-12, "a rotation times its inverse")
    _agree(grid.rotation(0.3 * grid.turn) @ grid.rotation(0.7 * grid.turn), turn, 1e-12, "two rotations after each other")
    smooth = grid.evaluate(lambda at: at @ grid.direction)
    _agree(grid.rotate(smooth, np.eye(grid.components)), smooth, 1e-12, "a field that is not rotated")
    expected = grid.evaluate(lambda at: (at @ turn) @ grid.direction)
    _agree(grid.rotate(smooth, turn), expected, 2 * grid.spacing, "a rotated field")


def _check_kernels(grid: Grid, kernel: Kernel) -> None:
    smoother, rng = Smoother(grid, kernel), np.random.default_rng(_SEED)
    first, second = grid.weights * rng.exponential(size=(2, grid.size))
    _agree(smoother.sum(first), smoother.sum_pairs(first), 1e-11 * np.exp(grid.log_peak(kernel)), "kernel sums by two routes")
    even = grid.weights * np.ones(grid.size)
    volumes = smoother.sum_pairs(even)
    _agree(np.log(volumes), 0, 0.05, "the volume of the kernel around each point, against the grid's own, in logarithms")
    _agree(grid.log_volume(kernel), kernel.critic.peak / kernel.tau - grid.log_peak(kernel), 1e-12, "volume and peak")
    _agree(smoother.smooth(even), 1, 1e-9, "the uniform density, smoothed")
    _agree(grid.mean(smoother.smooth(first)), first.mean(), 1e-9, "the mass of a smoothed density")
    _agree(np.mean(second * smoother.smooth(first)), np.mean(first * smoother.smooth(second)), 1e-11, "self-adjointness")
    assert smoother.smooth(first).min() > 0, "a smoothed density is not positive"
    spike = np.zeros(grid.size)
    spike[0] = grid.size
    exact = smoother.log_rows(np.array([0]), np.arange(grid.size))[0] + np.log(smoother.balance[0] * smoother.balance)
    _agree(smoother.log_smooth(spike), exact, 1e-9, "the logarithm of a smoothed spike")


def _check_harmonics(grid: Grid) -> None:
    try:
        most = min(grid.largest_degree, 6)
    except InputError:
        return
    degrees, rng = grid.degrees(most), np.random.default_rng(_SEED)
    coefficients, field = rng.standard_normal(len(degrees)), rng.standard_normal(grid.size)
    made = grid.synthesis(coefficients, most)
    field *= grid.weights
    _agree(np.mean(made * field), coefficients @ grid.analysis(field, most), 1e-11, "synthesis and analysis as adjoints")
    _agree(grid.analysis(grid.weights * made, most), coefficients, 0.1, "analysis of what was synthesised")
    kernel = Kernel("cosine", max(1.0, 2 * grid.least_tau(Kernel("cosine", 1.0))))
    for degree, factor in enumerate(grid.spectrum(kernel, most)):
        zonal = grid.zonal(degree)
        smoothed = Smoother(grid, kernel).smooth(grid.weights * zonal)
        _agree(smoothed, factor * zonal, 0.05, f"the zonal function of degree {degree}, smoothed")


def _check_output(grid: Grid) -> None:
    from matplotlib.colors import Normalize  # slow to import: 0.45 s
    from matplotlib.figure import Figure

    fields = dict(zip(("one", "two"), np.random.default_rng(_SEED).random((2, grid.size)), strict=True))
    with tempfile.TemporaryDirectory() as folder:
        grid.write_fields(Path(folder), fields)
        _agree(grid.read_fields(Path(folder), ["one", "two"]), list(fields.values()), 0, "fields that were written and read")
    ax = Figure().add_subplot(projection=grid.projection)
    grid.sky(ax, fields["one"], "a field")
    assert ax.has_data(), "the sky is empty"
    grid.sky_density(ax, grid.weights * fields["two"], "a density", Normalize(0.0, 1.0))
    places = grid.places(grid.points(0, 2))
    assert places is None or all(one.shape == (2,) for one in places), "places are two coordinates a point"


def check_critic(critic: Critic, tau: float = 0.5) -> None:
    """Check that a critic keeps what `Critic` promises, on the circle and the sphere: name, profile, slope, kernels.

    tau: at which both spaces are resolved at 96 and 768 points. Raises AssertionError.
    """
    assert critic_of(str(critic)) == critic, f"{critic} does not come back from its name"
    angles = np.linspace(0, pi, 2001)
    profile = critic.profile(angles)
    _agree(profile[0], 0, 0, "the profile at angle 0")
    assert np.all(profile[1:] < 0), "the critic is not largest at angle 0"
    inner, step = angles[1:-1], 1e-6
    numerical = (critic.profile(inner + step) - critic.profile(inner - step)) / (2 * step)
    _agree(critic.slope(inner), numerical, 1e-7 * (1 + np.abs(numerical).max()), "the slope against differences of the profile")
    assert critic.curvature > 0, "the profile has no maximum of second order at angle 0"
    if critic.linear is not None:
        scale, offset = critic.linear
        _agree(profile, scale * (np.cos(angles) - 1), 1e-12, "the profile against the linear form")
        _agree(critic.peak, scale - offset, 1e-12, "s(z, z) against the linear form")
    kernel = Kernel(critic, tau)
    for grid in (Circle(96), Healpix(8)):
        _check_kernels(grid, kernel)
        spectrum = grid.spectrum(kernel, 4)
        _agree(spectrum[0], 1, 1e-10, "k_0")
        zonal = grid.zonal(1)
        _agree(Smoother(grid, kernel).smooth(zonal), spectrum[1] * zonal, 1e-2, "the dipole, smoothed, against the spectrum")


def check_term(term: Term, grid: Grid, modalities: int = 2, steps: int = 20) -> None:
    """Check that a term keeps what `Term` promises: name, variation, smoothness, spectrum, convexity and least value.

    Registered terms must come back from their names. grid: with some hundred points, that resolves what the term smooths by;
    steps: random states from which a step of the safe length must not raise the term. Raises AssertionError.
    """
    term.check(grid, modalities)
    if term.name in TERMS:
        assert term_of(str(term)) == term, f"{term} does not come back from its name"
    rng = np.random.default_rng(_SEED)
    shape = (modalities, grid.size)
    states = [normalise(size * rng.standard_normal(shape), 1e-3).density() for size in (0.1, 1.0, 2.0)]
    for density in states:
        _check_variation(term, grid, density, rng)
    _check_smoothness(term, grid, states)
    _check_steps(term, grid, shape, steps, rng)
    _check_spectrum(term, grid, modalities)
    _check_convexity(term, grid, states)


def _check_variation(term: Term, grid: Grid, density: Array, rng: np.random.Generator) -> None:
    value, variation = term.evaluate(grid, density)
    assert np.isfinite(value), f"{term}: the value is {value}"
    assert variation.shape == density.shape, f"{term}: the variation has the shape {variation.shape}"
    tilt = rng.standard_normal(density.shape)
    direction = density * (tilt - np.mean(density * tilt, axis=1, keepdims=True))
    slope = float(np.sum(np.mean(variation * direction, axis=1)))
    errors = []
    for step in (2e-3, 1e-3, 3e-5):
        ahead, behind = (term.evaluate(grid, density + sign * step * direction)[0] for sign in (1, -1))
        errors.append(abs((ahead - behind) / (2 * step) - slope))
    size = 1 + abs(slope) + abs(value)
    _agree(errors[2], 0, 1e-5 * size, f"{term}: differences of values, and the variation")
    assert errors[1] <= errors[0] / 3.5 + 1e-7 * size, f"{term}: differences approach the variation in less than second order"


def _check_smoothness(term: Term, grid: Grid, states: list[Array]) -> None:
    """T(y) <= T(x) + <g, y - x> + (L/A) KL(y || x): relative smoothness, between any two states."""
    smoothness = term.smoothness(grid, len(states[0]))
    if smoothness is None:
        return
    limit = smoothness / len(states[0])
    for x in states:
        value, variation = term.evaluate(grid, x)
        for y in (one for one in states if one is not x):
            divergence = float(np.sum(np.mean(y * np.log(y / x), axis=1)))
            above = term.evaluate(grid, y)[0] - value - float(np.sum(np.mean(variation * (y - x), axis=1)))
            assert above <= limit * divergence + 1e-9 * (1 + abs(value)), (
                f"{term}: rises by {above:.6g} where its smoothness allows {limit * divergence:.6g}; steps may raise the energy"
            )


def _check_steps(term: Term, grid: Grid, shape: tuple[int, int], steps: int, rng: np.random.Generator) -> None:
    """A mirror step of length 1/L, from random states, some of them spiked."""
    smoothness = term.smoothness(grid, shape[0])
    if not smoothness:
        return
    for _ in range(steps):
        field = rng.exponential() * rng.standard_normal(shape)
        field[:, rng.integers(shape[1])] += rng.choice([0.0, 5.0])
        density = normalise(field, 1e-4).density()
        value, variation = term.evaluate(grid, density)
        onward = normalise(np.log(density) - shape[0] / smoothness * variation, 1e-4).density()
        there = term.evaluate(grid, onward)[0]
        assert there <= value + 1e-9 * (1 + abs(value)), f"{term}: a safe step raises it from {value:.9g} to {there:.9g}"


def _check_convexity(term: Term, grid: Grid, states: list[Array]) -> None:
    """What is above its tangents, and where the least value is."""
    for x in states:
        value, variation = term.evaluate(grid, x)
        assert value >= term.least(grid) - 1e-9 * (1 + abs(value)), f"{term}: {value} is below its least value {term.least(grid)}"
        for y in (one for one in states if one is not x):
            moves = [(y - x)] if term.convexity is Convexity.JOINTLY else []
            if term.convexity is Convexity.IN_EACH:
                moves = [np.where(np.arange(len(x))[:, None] == a, y - x, 0.0) for a in range(len(x))]
            for move in moves:
                above = term.evaluate(grid, x + move)[0] - value - float(np.sum(np.mean(variation * move, axis=1)))
                assert above >= -1e-9 * (1 + abs(value)), f"{term}: is below its tangent by {-above:.3g}; it is not convex"


def _check_spectrum(term: Term, grid: Grid, modalities: int) -> None:
    try:
        most = min(grid.largest_degree, 3)
    except InputError:
        return
    spectrum, step = term.spectrum(Modes(grid.dim, most), modalities), 1e-3
    uniform = np.ones((modalities, grid.size)) * grid.weights
    rounding = 1e-3 * (1 + float(np.abs(spectrum[1:]).max()))
    assert spectrum.shape == (most + 1, modalities, modalities), f"{term}: the spectrum has the shape {spectrum.shape}"
    for degree in range(1, most + 1):
        harmonic = grid.weights * grid.zonal(degree) / np.sqrt(grid.mean(grid.zonal(degree) ** 2))
        for weights in (np.ones(modalities), np.linspace(1, -1, modalities) if modalities > 1 else np.ones(1)):
            delta = step * weights[:, None] * harmonic
            values = [term.evaluate(grid, uniform + sign * delta)[0] for sign in (-1, 0, 1)]
            measured = modalities * (values[0] - 2 * values[1] + values[2]) / step**2
            expected = float(weights @ spectrum[degree] @ weights)
            _agree(measured, expected, 1e-2 * abs(expected) + rounding, f"{term}: second variation of degree {degree}")


def check_loss(loss: Loss, law: JointLaw) -> None:
    """Check that a loss of encoders keeps what `Loss` promises: its name, its derivatives, convexity, its least value.

    Registered losses must come back from their names. law: one that the loss is defined on, of some symbols. Raises
    AssertionError.
    """
    if loss.name in LOSSES:
        assert made_of(text_of(loss), LOSSES, "loss") == loss, f"{loss} does not come back from its name"
    loss.check(law)
    rng = np.random.default_rng(_SEED)
    states = [(_random_gram(law, loss.is_single, rng) * size, size) for size in (1.0, 4.0, 9.0, 9.0)]
    for logits, size in states:
        value, slope = _at(loss, law, logits, size)
        assert np.isfinite(value), f"{loss}: the value is {value}"
        assert value >= loss.least(law) - 1e-12 * abs(value), f"{loss}: {value} is below its least value {loss.least(law)}"
        direction = rng.standard_normal(logits.shape)
        direction += direction.T
        ahead, behind = (_at(loss, law, logits + sign * 1e-5 * direction, size + 1)[0] for sign in (1, -1))
        along = float(np.vdot(slope, direction))
        _agree((ahead - behind) / 2e-5, along, 1e-6 * (1 + abs(along)), f"{loss}: differences of values, and the derivative")
        if loss.has_bias:
            _check_bias(loss, law, logits, size)
        for other, larger in states:
            above = value + float(np.vdot(slope, other - logits))
            assert _at(loss, law, other, larger)[0] >= above - 1e-9 * (1 + abs(above)), f"{loss}: is not convex"


def _check_bias(loss: Loss, law: JointLaw, logits: Array, size: float) -> None:
    """The derivative with respect to the bias, and that it changes sign within the largest logit of the bias's centre."""
    slopes = {shift: _evaluated(loss, law, logits, size, loss.bias_centre + shift).bias for shift in (-size, 0.0, size)}
    values = [_evaluated(loss, law, logits, size, loss.bias_centre + shift).value for shift in (-1e-5, 1e-5)]
    _agree(
        (values[1] - values[0]) / 2e-5,
        slopes[0.0],
        1e-6 * (1 + abs(slopes[0.0])),
        f"{loss}: differences over the bias, and its slope",
    )
    assert slopes[-size] < 0 < slopes[size], f"{loss}: the best bias lies outside {loss.bias_centre} -+ {size}"


def _random_gram(law: JointLaw, is_single: bool, rng: np.random.Generator) -> Array:
    rows = rng.standard_normal((law.table.shape[0] if is_single else sum(law.table.shape), 4))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(rows @ rows.T)


def _at(loss: Loss, law: JointLaw, logits: Array, largest: float) -> tuple[float, Array]:
    """A loss's value at a symmetric matrix of logits of all symbols, and the symmetric matrix of its derivatives."""
    n = law.table.shape[0]
    found = _evaluated(loss, law, logits, largest, 0.3)
    slope = np.zeros_like(logits)
    if found.cross is not None and loss.is_single:
        slope += found.cross
    elif found.cross is not None:
        slope[:n, n:] += found.cross
    for block, part in ((found.first, slice(0, n)), (found.second, slice(n, None))):
        if block is not None:
            slope[part, part] += block
    return found.value, 0.5 * (slope + slope.T)


def _evaluated(loss: Loss, law: JointLaw, logits: Array, largest: float, bias: float) -> Slopes:
    n = law.table.shape[0]
    cross = logits if loss.is_single else logits[:n, n:]
    return loss.evaluate(law, Logits(cross.copy, logits[:n, :n].copy, logits[n:, n:].copy, largest, bias))
