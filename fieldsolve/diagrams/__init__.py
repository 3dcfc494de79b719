"""Phase diagrams over one to three parameters of a problem: specs, tasks, tables and pictures.

Every number and every word of `equilibrium.parameters` is an axis without a line written for it here; `fieldsolve.runs` has who
solves the cells.
"""

from fieldsolve.diagrams.diagram import Diagram as Diagram
from fieldsolve.diagrams.diagram import fill as fill
from fieldsolve.diagrams.diagram import open_diagram as open_diagram
from fieldsolve.diagrams.spec import Spec as Spec
from fieldsolve.diagrams.spec import read_spec as read_spec
from fieldsolve.diagrams.spec import spec_of as spec_of
