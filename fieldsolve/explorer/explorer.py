"""What the explorer holds, and its computation: a certified table, stored sweeps of the smoothed energy, free encoders."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from fieldsolve.encoders.laws import JointLaw
from fieldsolve.equilibrium.problem import Problem
from fieldsolve.explorer.encoders import Penalised, penalised, uneven_law
from fieldsolve.explorer.stops import Stops
from fieldsolve.explorer.tasks import FIGURES, entries_task, perform, sweep_task
from fieldsolve.grids import Healpix
from fieldsolve.numerics.arrays import Array
from fieldsolve.numerics.errors import InputError
from fieldsolve.numerics.progress import Progress, Watch
from fieldsolve.runs import Outcome, Run, Task, in_this_process

SCHEMA = "fieldsolve/explore/1"

#: Gap in nats up to which an entry counts as certified, where nothing else is asked for.
CERTIFIED = 1e-3


@dataclass(frozen=True, eq=False)
class Explorer:
    """Everything that the page shows.

    problem: where it opens; potentials: (misalignments, 2, N); levels: their least values, taken off; table: (misalignments,
    temperatures, floors, couplings, 6), the figures of `FIGURES`; transitions: (misalignments, temperatures, floors, 2), binodal
    and spinodal; sweeps: states along the swept couplings, upwards and downwards, or why there are none; certified_gap: in nats,
    up to which an entry counts as certified. Multipliers are those of the potentials less their least values; energies and bounds
    are whole.
    """

    problem: Problem
    stops: Stops
    potentials: Array
    levels: Array
    table: Array
    transitions: Array
    sweeps: tuple[Outcome, Outcome]
    encoders: Penalised
    certified_gap: float = CERTIFIED

    @property
    def gaps(self) -> Array:
        """Of every entry, how much its energy is above its bound, in nats."""
        return np.asarray(self.table[..., FIGURES.index("energy")] - self.table[..., FIGURES.index("bound")])

    def summary(self) -> dict[str, Any]:
        """What was computed, as the command line's JSON has it."""
        gaps = self.gaps
        return {
            "schema": SCHEMA,
            "potential": [one.label for one in self.problem.resolved],
            "nside": self.problem.grid.nside,
            "stops": {name: list(values) for name, values in vars(self.stops).items()},
            "entries": int(gaps.size),
            "certified": int(np.count_nonzero(gaps <= self.certified_gap)),
            "worst_gap": float(gaps.max()),
            "sweeps": [one.reason or "done" for one in self.sweeps],
            "law": self.encoders.law,
        }


def explore(
    problem: Problem,
    stops: Stops | None = None,
    law: JointLaw | None = None,
    run: Run = in_this_process,
    watch: Watch | None = None,
) -> Explorer:
    """Certify a table of two coupled densities around a problem, and what else the explorer shows.

    At given multipliers the intrinsic energy falls apart into points, so that two numbers stand for a pair of densities. The
    problem's own temperature, coupling, floor and misalignment become stops too. law: of the pairs of free encoders; by default
    three symbols of uneven information. run: who computes. Raises InputError for problems of other than two modalities or off the
    HEALPix sphere, with added terms, and where a part of the table fails.
    """
    _require(problem)
    problem = replace(problem, energy="intrinsic", start=None, escape=False)
    coupling, floor = float(problem.coupling or 0.0), float(problem.floor or 0.0)
    stops = (stops or Stops()).including(tau=problem.tau, coupling=coupling, floor=floor, misalign=problem.misalign)
    free = penalised(law or uneven_law(), watch)
    functionals = [problem.at("misalign", degrees).functional() for degrees in stops.misalign]
    potentials = np.stack([energy.potentials for energy, _ in functionals])
    levels = np.stack([level for _, level in functionals])
    opening = potentials[stops.misalign.index(problem.misalign)]
    sweeps = [sweep_task(problem, opening, list(values)) for values in (stops.swept, stops.swept[::-1])]
    nside = problem.grid.nside
    entries = [entries_task(nside, one, tau, stops.floor, stops.coupling) for one in potentials for tau in stops.tau]
    outcomes = _computed([*sweeps, *entries], run, watch)
    table, transitions = _table(stops, [outcomes[task.key] for task in entries])
    for name in ("energy", "bound"):
        # What was taken off the potentials, as part of F.
        table[..., FIGURES.index(name)] += (levels.mean(axis=1)[:, None] / np.array(stops.tau))[:, :, None, None]
    bounds = table[..., FIGURES.index("bound")]
    bounds -= 4 * np.finfo(np.float64).eps * np.abs(bounds)  # of that addition
    level = float(levels[stops.misalign.index(problem.misalign)].mean()) / problem.tau
    up, down = (_raised(outcomes[task.key], level) for task in sweeps)
    return Explorer(problem, stops, potentials, levels, table, transitions, (up, down), free)


def _raised(sweep: Outcome, level: float) -> Outcome:
    """A sweep whose energies have what was taken off the potentials."""
    if sweep.values is None:
        return sweep
    return replace(sweep, values=sweep.values | {"energy": [energy + level for energy in sweep.values["energy"]]})


def _require(problem: Problem) -> None:
    if problem.modalities != 2 or not isinstance(problem.grid, Healpix):
        raise InputError(
            f"the explorer shows two densities on a HEALPix sphere, not {problem.modalities} on {problem.grid}; give two "
            "potentials and an nside"
        )
    if problem.terms or problem.batch is not None:
        raise InputError("the explorer's table is of energies without added terms and finite batches; leave them out")
    if np.ndim(problem.coupling) > 0:
        raise InputError("the explorer's coupling is one number, not a mixing matrix")
    if not 0 < float(problem.floor or 0.0) < 1:
        raise InputError("the explorer's densities need a floor above 0; 0.01 is a good one")


def _computed(tasks: list[Task], run: Run, watch: Watch | None) -> dict[str, Outcome]:
    outcomes: dict[str, Outcome] = {}
    distinct = list({task.key: task for task in tasks}.values())
    for task, outcome in run(distinct, perform):
        outcomes[task.key] = outcome
        if watch is not None:
            watch(Progress(len(outcomes), len(distinct), "parts of the table, and sweeps"))
    return outcomes


def _table(stops: Stops, outcomes: list[Outcome]) -> tuple[Array, Array]:
    failed = next((one.reason for one in outcomes if one.values is None), None)
    if failed is not None:
        raise InputError(f"a part of the table failed: {failed}")
    parts = [one.values for one in outcomes if one.values is not None]
    table = np.array([part["figures"] for part in parts]).reshape(*stops.shape, len(FIGURES))
    return table, np.array([part["transitions"] for part in parts]).reshape(*stops.shape[:3], 2)
