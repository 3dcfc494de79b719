"""Grids: equal-area points of a sphere, and smoothing of fields on them."""

from fieldsolve.grids.base import MOST_SMOOTHED_PAIRS, Grid
from fieldsolve.grids.circle import Circle
from fieldsolve.grids.faint import LOG_ACCURACY
from fieldsolve.grids.healpix import Healpix

__all__ = ["LOG_ACCURACY", "MOST_SMOOTHED_PAIRS", "Circle", "Grid", "Healpix"]
