"""Solving a problem: a start, a descent, a bound, and what follows from them."""

from dataclasses import replace
from math import isfinite
from time import perf_counter

import numpy as np

from fieldsolve.equilibrium.descent import Descent
from fieldsolve.equilibrium.energy import Energy
from fieldsolve.equilibrium.expected import expected_seconds
from fieldsolve.equilibrium.gibbs import log_partition
from fieldsolve.equilibrium.notes import Case, notes_of, notes_on_error
from fieldsolve.equilibrium.phases import compare, matched_state
from fieldsolve.equilibrium.polishing import settle_spikes
from fieldsolve.equilibrium.problem import Problem
from fieldsolve.equilibrium.solution import Solution
from fieldsolve.equilibrium.stability import Curvature
from fieldsolve.equilibrium.strategy import GLOBAL, Search, find_from, lowest_by_default, settle
from fieldsolve.equilibrium.terms import CrossEntropy
from fieldsolve.numerics.arrays import Array
from fieldsolve.numerics.errors import InputError
from fieldsolve.numerics.progress import Progress, Watch


def solve(problem: Problem, stability: bool = False, watch: Watch | None = None, discretisation: bool = False) -> Solution:
    """Minimise a problem's energy over floored densities on its grid, and bound it where a bound is known.

    One intrinsic density: F(rho) = int U rho/tau + int rho log rho, whose minimiser is the Gibbs density exp(-U/tau)/Z
    [Prop 3.2], with the floor max(floor, exp(-U/tau)/c), and the bound its energy. Two: F_lambda = (F_1 + F_2 - lambda D)/2 with
    the symmetric KL divergence D [Def 4.3]; its bound is exact at lambda = 1 [Prop 4.2] and 0, and by duality in between.
    More densities alike. Smoothed energies J have log K rho in place of log rho [(3), (9)], and bounds that are not tight.

    All of it, the bound too, is of densities on the problem's grid. stability: whether to find the curvature of a smoothed
    energy's state; the problem's `escape` needs it. watch: told the steps of descents. discretisation: whether to say how far the
    grid's energy may be from the continuum's, which takes a solve on the next coarser grid. Raises InputError.
    """
    began = perf_counter()
    if watch is not None:
        watch(Progress(0, None, f"potentials on {problem.grid}"))
    energy, levels = problem.functional()
    floor, offsets = float(problem.floor or 0.0), levels / energy.binding.tau
    level = float(offsets.mean())
    if stability and energy.kernel is None:
        raise InputError("local stability is that of smoothed energies; ask for one, or leave it out")
    if watch is not None:
        watch(Progress(0, None, f"energy on {problem.grid}", expected=expected_seconds(energy, floor, stability)))
    search = Search(energy, floor, problem.nats, problem.max_steps, watch)
    matched = matched_state(energy, floor)
    if problem.start is None:
        name, found, bound = lowest_by_default(search, matched)
    else:
        name = problem.start if isinstance(problem.start, str) else "given densities"
        found, bound = find_from(search, problem.start, matched)
    curvature, why_unknown = None, None
    spikes = settle_spikes(problem, energy, levels, found, floor)
    if (stability or problem.escape) and spikes.polished is None:
        found, curvature, why_unknown = _curved(search, found, problem.escape)
        spikes = settle_spikes(problem, energy, levels, found, floor) if problem.escape else spikes
    atoms = spikes.polished
    if stability and atoms is not None:
        why_unknown = "it is that of densities on a grid, and these are atoms"
    values = compare(energy, found.state, matched)
    cross_entropy = _cross_entropies(energy, found) if atoms is None else atoms.cross_entropy
    case = Case(problem, energy, name, found, bound, values, curvature, why_unknown, cross_entropy, spikes)
    solution = Solution(
        problem=problem,
        start=name,
        density=found.state.density() if atoms is None else atoms.atoms.on(problem.grid, floor),
        energy=(found.evaluation.value if atoms is None else atoms.energy) + level,
        stationarity=found.evaluation.stationarity if atoms is None else atoms.stationarity,
        bound=None if bound is None else bound + level,
        matched=values if values is None or values.energy is None else replace(values, energy=values.energy + level),
        curvature=curvature,
        binding=(found.evaluation.binding if atoms is None else atoms.binding) + offsets,
        cross_entropy=cross_entropy,
        added=found.evaluation.added,
        log_partition=_log_partitions(problem, energy) - levels / problem.tau,
        status=spikes.status,
        atoms=None if atoms is None else atoms.atoms,
        trace=replace(found.trace, energy=found.trace.energy + level),
        seconds=perf_counter() - began,
        notes=notes_of(case),
    )
    return _with_discretisation_error(solution, watch) if discretisation else solution


def _with_discretisation_error(solution: Solution, watch: Watch | None) -> Solution:
    """The solution with |E(h) - E(2h)|/3, h the grid's spacing: the error of energies that converge like h^2 [Richardson].

    The coarser problem is solved from its own default start where that leads to the global minimum, else from the state that was
    found. None where there is no coarser grid, or the problem cannot be solved there.
    """
    problem = solution.problem
    coarse = problem.grid.coarser()
    if coarse is None:
        return solution
    start = None
    if solution.modalities > 1 and solution.start != GLOBAL:
        start = problem.grid.coarsened_density(solution.density)
    try:
        there = solve(replace(problem.at("grid", coarse), start=start, escape=False), watch=watch)
    except InputError:  # as of kernels that the coarser grid does not resolve
        return solution
    if not (there.converged and solution.converged):
        return solution
    error = abs(solution.energy - there.energy) / 3
    return replace(solution, discretisation_error=error, notes=(*solution.notes, *notes_on_error(problem.grid, error)))


def _log_partitions(problem: Problem, energy: Energy) -> Array:
    return np.array([log_partition(one, problem.tau, problem.grid.log_weights) for one in energy.potentials])


def _cross_entropies(energy: Energy, found: Descent) -> Array:
    """-int rho_a log q_b of the state; another contrast does not compute them on the way."""
    has_own = isinstance(energy.contrast, CrossEntropy) or not isfinite(found.evaluation.value)
    return found.evaluation.cross_entropy if has_own else energy.cross_entropies(found.state.density())


def _curved(search: Search, found: Descent, escape: bool) -> tuple[Descent, Curvature | None, str | None]:
    """The state, left if it is a saddle and that is asked for, its curvature, and why that is not known."""
    if not found.is_converged:
        return found, None, "it is that of stationary states, and this one is not converged"
    try:
        return *settle(search, found, escape), None
    except InputError as error:
        return found, None, str(error)
