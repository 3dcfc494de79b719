"""Grids: equal-area points of a sphere, and smoothing of fields on them."""

from fieldsolve.grids.base import LOG_ACCURACY, Grid
from fieldsolve.grids.circle import Circle
from fieldsolve.grids.healpix import Healpix

__all__ = ["LOG_ACCURACY", "Circle", "Grid", "Healpix"]
