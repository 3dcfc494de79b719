"""What an energy is a sum of: one file a term. Binding and a contrast are always there; penalties are added to them.

The contrast is what a loss's negatives become: the cross-entropies of a coupling, or a term that takes their place. A new term is
one file here with a subclass of `Term`, and its line in the table below.
"""

from collections.abc import Sequence
from dataclasses import fields, replace

from fieldsolve.equilibrium.terms.binding import Binding as Binding
from fieldsolve.equilibrium.terms.centroid import CentroidPenalty
from fieldsolve.equilibrium.terms.cross_entropy import CrossEntropy as CrossEntropy
from fieldsolve.equilibrium.terms.energy_distance import EnergyDistance
from fieldsolve.equilibrium.terms.mixing import Mixing as Mixing
from fieldsolve.equilibrium.terms.mixture import Mixture
from fieldsolve.equilibrium.terms.mmd import MmdPenalty
from fieldsolve.equilibrium.terms.noise import Noise
from fieldsolve.equilibrium.terms.sigmoid import Sigmoid, SigmoidAtBias
from fieldsolve.equilibrium.terms.temperatures import Temperatures
from fieldsolve.equilibrium.terms.tempered import Tempered
from fieldsolve.equilibrium.terms.term import Contrast as Contrast
from fieldsolve.equilibrium.terms.term import Convexity as Convexity
from fieldsolve.equilibrium.terms.term import Term as Term
from fieldsolve.equilibrium.terms.uniformity import CrossUniformity, Uniformity
from fieldsolve.grids import Kernel
from fieldsolve.numerics.arrays import Array
from fieldsolve.numerics.errors import InputError
from fieldsolve.numerics.names import made_of

#: Terms that a problem may add, by their names, as in `name:weight=2`.
TERMS: dict[str, type[Term]] = {
    term.name: term
    for term in (
        CentroidPenalty, CrossUniformity, EnergyDistance, Mixing, Mixture, MmdPenalty, Noise, Sigmoid, SigmoidAtBias,
        Temperatures, Tempered, Uniformity,
    )
}  # fmt: skip


def with_field(terms: Sequence[Term], path: str, value: float) -> tuple[Term, ...]:
    """Terms with a number of one of them changed, named as in `centroid.weight`. Raises InputError if none of them has it."""
    name, _, field = path.partition(".")
    known = {f"{term.name}.{one.name}" for term in terms for one in fields(term) if one.repr and one.type in (float, "float")}  # type: ignore[arg-type]
    if path not in known:
        raise InputError(f"no term has a number {path!r}; there is {', '.join(sorted(known)) or 'none, without terms'}")
    if sum(term.name == name for term in terms) > 1:
        raise InputError(
            f"several terms are called {name}: which one's {field} is {value:g}, {path!r} does not say; give one of them"
        )
    return tuple(replace(term, **{field: value}) if term.name == name else term for term in terms)  # type: ignore[type-var]


def contrast_of(terms: Sequence[Term], mixing: Array, kernel: Kernel | None) -> Term:
    """What negatives become with a mixing matrix and a kernel (None: intrinsic): the contrast among terms, or cross-entropies."""
    for term in terms:
        if isinstance(term, Contrast):
            return term.within(mixing, kernel)
    return CrossEntropy(mixing, kernel)


def term_of(term: Term | str) -> Term:
    """A term, or the one that a text names. Raises InputError for an unknown name, and for what is neither."""
    if not isinstance(term, str | Term):
        raise InputError(f"a term is a Term or its name, not {term!r}")
    return made_of(term, TERMS, "term") if isinstance(term, str) else term
