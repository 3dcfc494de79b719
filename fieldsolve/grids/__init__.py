"""Grids of homogeneous spaces, critics, kernels, and smoothing of fields on them.

A new grid is one file with a subclass of `Grid` and its line in the table below; a new critic is one class in critics.py.
Grids know no energy: what they know of kernels is their volume, their spectrum and their sums.
"""

from fieldsolve.grids.circle import Circle as Circle
from fieldsolve.grids.critics import CRITICS as CRITICS
from fieldsolve.grids.critics import Critic as Critic
from fieldsolve.grids.disk import Disk as Disk
from fieldsolve.grids.grid import Grid as Grid
from fieldsolve.grids.healpix import Healpix as Healpix
from fieldsolve.grids.kernels import Kernel as Kernel
from fieldsolve.grids.modes import Modes as Modes
from fieldsolve.grids.smoothing import Smoother as Smoother
from fieldsolve.grids.zonal import Zonal as Zonal
from fieldsolve.grids.zonal import zonal_for as zonal_for
from fieldsolve.numerics.names import made_of

#: Every kind of grid by its name, as in `healpix:64`.
GRIDS: dict[str, type[Grid]] = {grid.name: grid for grid in (Healpix, Circle, Zonal, Disk)}


def grid_of(text: str) -> Grid:
    """The grid that a text names: healpix:64, circle:128, zonal:512,168, disk:512. Raises InputError for any other."""
    return made_of(text, GRIDS, "grid")
