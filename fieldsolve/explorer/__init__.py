"""The explorer: one HTML file with two spheres, a phase diagram and curves that answer when a slider moves.

Python certifies a table of multipliers; the page's own script evaluates the densities, at its entries and between them.
"""

from fieldsolve.explorer.explorer import Explorer, explore
from fieldsolve.explorer.page import html
from fieldsolve.explorer.stops import Stops

__all__ = ["Explorer", "Stops", "explore", "html"]
