"""fieldsolve: the population geometry of contrastive learning, solved on sphere grids without encoders.

import fieldsolve as fs

solution = fs.solve(fs.Problem(fs.two_well(), tau=0.2))
print(solution.status.value, solution.energy, solution.gap)
fs.plot(solution).savefig("gibbs.png")
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fieldsolve.diagnose.diagnosis import diagnose as diagnose
    from fieldsolve.diagnose.quick import quick as quick
    from fieldsolve.embeddings.pairs import from_embeddings as from_embeddings
    from fieldsolve.encoders.moving import GapMap as GapMap
    from fieldsolve.encoders.moving import move_gap as move_gap
    from fieldsolve.equilibrium.continuation import follow as follow
    from fieldsolve.equilibrium.continuation import hysteresis as hysteresis
    from fieldsolve.equilibrium.pictures import plot as plot
    from fieldsolve.equilibrium.potentials import Potential as Potential
    from fieldsolve.equilibrium.potentials import flat as flat
    from fieldsolve.equilibrium.potentials import from_map as from_map
    from fieldsolve.equilibrium.potentials import mixture as mixture
    from fieldsolve.equilibrium.potentials import two_well as two_well
    from fieldsolve.equilibrium.problem import Problem as Problem
    from fieldsolve.equilibrium.solution import Solution as Solution
    from fieldsolve.equilibrium.solve import solve as solve
    from fieldsolve.equilibrium.storage import load as load
    from fieldsolve.equilibrium.storage import save as save
    from fieldsolve.grids import Circle as Circle
    from fieldsolve.grids import Healpix as Healpix
    from fieldsolve.grids import Kernel as Kernel
    from fieldsolve.grids import Zonal as Zonal
    from fieldsolve.numerics.errors import InputError as InputError

__version__ = "0.1.0"

# Loaded when first used, so that the command line's help needs neither numpy nor numba.
_HOMES = {
    "Circle": "grids",
    "GapMap": "encoders.moving",
    "Healpix": "grids",
    "InputError": "numerics.errors",
    "Kernel": "grids",
    "Potential": "equilibrium.potentials",
    "Problem": "equilibrium.problem",
    "Solution": "equilibrium.solution",
    "Disk": "grids",
    "Zonal": "grids",
    "diagnose": "diagnose.diagnosis",
    "flat": "equilibrium.potentials",
    "follow": "equilibrium.continuation",
    "from_embeddings": "embeddings.pairs",
    "from_map": "equilibrium.potentials",
    "hysteresis": "equilibrium.continuation",
    "load": "equilibrium.storage",
    "mixture": "equilibrium.potentials",
    "move_gap": "encoders.moving",
    "plot": "equilibrium.pictures",
    "quick": "diagnose.quick",
    "save": "equilibrium.storage",
    "solve": "equilibrium.solve",
    "two_well": "equilibrium.potentials",
}

__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'fieldsolve' has no attribute {name!r}")
    return getattr(import_module(f"fieldsolve.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
