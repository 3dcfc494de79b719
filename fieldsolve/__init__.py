"""fieldsolve: the population geometry of contrastive learning, solved on sphere grids without encoders.

import fieldsolve as fs

solution = fs.unimodal(fs.Healpix(64), fs.two_well(), tau=0.2)
print(solution.status.value, solution.energy, solution.gap)
fs.plot(solution).savefig("gibbs.png")
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fieldsolve.archive import load as load
    from fieldsolve.archive import save as save
    from fieldsolve.continuation import follow as follow
    from fieldsolve.continuation import hysteresis as hysteresis
    from fieldsolve.energies import Energy as Energy
    from fieldsolve.errors import InputError as InputError
    from fieldsolve.grids import Circle as Circle
    from fieldsolve.grids import Healpix as Healpix
    from fieldsolve.kernels import Kernel as Kernel
    from fieldsolve.pairs import from_embeddings as from_embeddings
    from fieldsolve.plotting import plot as plot
    from fieldsolve.potentials import flat as flat
    from fieldsolve.potentials import from_map as from_map
    from fieldsolve.potentials import mixture as mixture
    from fieldsolve.potentials import two_well as two_well
    from fieldsolve.problems import Problem as Problem
    from fieldsolve.solution import Solution as Solution
    from fieldsolve.solve import multimodal as multimodal
    from fieldsolve.solve import unimodal as unimodal

__version__ = "0.1.0"

# Loaded when first used, so that the command line's help needs neither numpy nor numba.
_HOMES = {
    "Circle": "grids",
    "Energy": "energies",
    "Healpix": "grids",
    "InputError": "errors",
    "Kernel": "kernels",
    "Problem": "problems",
    "Solution": "solution",
    "flat": "potentials",
    "follow": "continuation",
    "from_embeddings": "pairs",
    "from_map": "potentials",
    "hysteresis": "continuation",
    "load": "archive",
    "mixture": "potentials",
    "multimodal": "solve",
    "plot": "plotting",
    "save": "archive",
    "two_well": "potentials",
    "unimodal": "solve",
}

__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'fieldsolve' has no attribute {name!r}")
    return getattr(import_module(f"fieldsolve.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
