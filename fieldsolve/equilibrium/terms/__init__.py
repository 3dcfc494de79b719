"""What an energy is a sum of: one file a term. Binding and cross-entropies are always there; others are added to them.

A new term is one file here with a subclass of `Term`, and its line in the table below.
"""

from fieldsolve.equilibrium.terms.binding import Binding as Binding
from fieldsolve.equilibrium.terms.cross_entropy import CrossEntropy as CrossEntropy
from fieldsolve.equilibrium.terms.term import Term as Term
from fieldsolve.numerics.errors import InputError
from fieldsolve.numerics.names import made_of

#: Terms that a problem may add, by their names, as in `name:weight=2`.
TERMS: dict[str, type[Term]] = {}


def term_of(term: Term | str) -> Term:
    """A term, or the one that a text names. Raises InputError for an unknown name, and for what is neither."""
    if not isinstance(term, str | Term):
        raise InputError(f"a term is a Term or its name, not {term!r}")
    return made_of(term, TERMS, "term") if isinstance(term, str) else term
