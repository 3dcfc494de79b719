"""A problem: potentials, grid and everything else that an equilibrium depends on, checked, immutable, to and from JSON."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fieldsolve.equilibrium.densities import check_floor
from fieldsolve.equilibrium.energy import Energy
from fieldsolve.equilibrium.parameters import DEFAULTS, PARAMETERS
from fieldsolve.equilibrium.phases import Transitions, transitions
from fieldsolve.equilibrium.potentials import Potential, as_tuple, digest, is_map_file, on_grid, potential_named, potential_of
from fieldsolve.equilibrium.terms import Contrast, Mixing, Term, contrast_of, term_of, with_field
from fieldsolve.equilibrium.terms.cross_entropy import is_coupled, mixing_of
from fieldsolve.equilibrium.terms.finite_batch import FiniteBatch
from fieldsolve.grids import Circle, Grid, Healpix, Kernel, Zonal, grid_of, zonal_for
from fieldsolve.grids.critics import critic_of
from fieldsolve.numerics.arrays import Array
from fieldsolve.numerics.errors import InputError
from fieldsolve.numerics.progress import Watch
from fieldsolve.output.page import card

if TYPE_CHECKING:
    from fieldsolve.equilibrium.solution import Solution

#: Default tolerances in nats: smoothed energies are nearly flat along what their kernel smooths away; so are kernels' penalties.
TOLERANCES = {"intrinsic": 1e-9, "smoothed": 1e-3}

_FLOORS = (0.0, 1e-3)  # of one modality, of several
_NSIDE = 64
_MOST_REFINED = 6  # times that nodes are added
_SHORT = ("grid", "nside", "circle", "dimension")  # what names a grid
_PLAIN = (
    "tau", "floor", "misalign", "energy", "batch", "positive", "tolerance", "max_steps", "escape", "polish", "allow_unresolved",
)  # fmt: skip
_WORDED = (*_SHORT, "start")  # what JSON has other words for


@dataclass(frozen=True, eq=False)
class Problem:
    """Densities, one for each potential, and the energy that they minimise: F [(6), Def 4.3] or J [(3), (9)].

    potentials: one, or several in a list, each a Potential, a name (`named`), a map's path, an array of the grid's size or a
    function of points (n, d); one potential is one modality. grid, or nside, circle or dimension for short: where densities
    live; a dimension's zonal grid has the nodes that kernel and potentials need at tau. misalign: rotates the last
    potential, in degrees. tau, floor, critic, batch, positive, tolerance (nats), max_steps, escape, polish, allow_unresolved:
    see `parameters`. coupling: a number, or a mixing matrix (A, A) with rows of sum 1. energy: intrinsic or smoothed. terms:
    what is added to the energy, as Terms or their names. start: a name, densities (A, N), or None for what the energy allows.
    Raises InputError for anything else, and for a coupled intrinsic energy without a floor, which is unbounded below.
    """

    potentials: Any = ("two-well", "two-well")
    tau: float = DEFAULTS["tau"]
    floor: float | None = DEFAULTS["floor"]
    coupling: Any = DEFAULTS["coupling"]
    energy: str = DEFAULTS["energy"]
    batch: int | None = DEFAULTS["batch"]
    positive: str = DEFAULTS["positive"]
    misalign: float = DEFAULTS["misalign"]
    grid: Any = None
    nside: int | None = DEFAULTS["nside"]
    circle: int | None = DEFAULTS["circle"]
    dimension: int | None = DEFAULTS["dimension"]
    critic: str = DEFAULTS["critic"]
    terms: Any = ()
    start: Any = None
    tolerance: float | None = DEFAULTS["tolerance"]
    max_steps: int = DEFAULTS["max_steps"]
    escape: bool = DEFAULTS["escape"]
    polish: bool = DEFAULTS["polish"]
    allow_unresolved: bool = DEFAULTS["allow_unresolved"]

    def __post_init__(self) -> None:
        for name in _PLAIN:
            self._set(name, PARAMETERS[name].check(getattr(self, name)))
        self._set("critic", str(critic_of(self.critic)))
        is_given = self.grid is not None
        grid = _grid(self.grid, self.nside, self.circle, self.dimension, Kernel(self.critic, self.tau))
        self._set("grid", grid)
        self._set("dimension", grid.dimension if isinstance(grid, Zonal) else None)
        self._set("nside", grid.nside if isinstance(grid, Healpix) else None)
        self._set("circle", grid.count if isinstance(grid, Circle) else None)
        given = as_tuple(self.potentials)
        self._set("potentials", tuple(str(one) if isinstance(one, Path) else self._accepted(one) for one in given))
        if isinstance(grid, Zonal) and not is_given:
            self._set("grid", self._resolving(grid))
        if self.floor is None:
            self._set("floor", _FLOORS[self.modalities > 1])
        check_floor(self.floor or 0.0)
        self._set("terms", self._without_matrices(self.terms if isinstance(self.terms, list | tuple) else (self.terms,)))
        if not isinstance(self.coupling, list | tuple) and np.ndim(self.coupling) == 0:
            self._set("coupling", PARAMETERS["coupling"].check(self.coupling))
        else:
            matrix = mixing_of(_numbers(self.coupling, "a mixing matrix"), self.modalities)
            matrix.flags.writeable = False
            self._set("coupling", matrix)
        if self.start is not None and not isinstance(self.start, str):
            self._set("start", _densities(self.start))
        if self.batch is not None and self.energy != "smoothed":
            raise InputError("finite batches are of the smoothed energy; ask for it, or leave batch out")
        if self.batch is None and self.positive != DEFAULTS["positive"]:
            raise InputError("positive says what a finite batch's positive is; give batch too, or leave it out")
        if self.escape and self.energy != "smoothed":
            raise InputError("escape from saddles is for the smoothed energy; ask for it, or leave escape out")
        self._require_floor()

    def _resolving(self, grid: Zonal) -> Zonal:
        """A zonal grid of the dimension with nodes enough for the potentials, which finer ones may show to be steeper."""
        kernel = self.kernel if self.energy == "smoothed" else None
        for _ in range(_MOST_REFINED):
            potentials = [potential_of(one, grid) for one in self.potentials]
            needed = grid.nodes_needed(np.stack([one.on(grid) for one in potentials]) / self.tau, kernel)
            if needed <= grid.count:
                break
            grid = Zonal(grid.dimension, needed)
        return grid

    def _accepted(self, given: Any) -> Any:
        """A potential's name as it is, since maps are read on demand; anything else as a Potential."""
        if isinstance(given, str):
            return given if is_map_file(given) else (potential_named(given, self.grid) and given)
        return potential_of(given, self.grid)

    def _without_matrices(self, given: Sequence[Any]) -> tuple[Term, ...]:
        """The terms; a matrix among them becomes the coupling. Raises InputError where both say what the negatives are."""
        terms = [term_of(one) for one in given]
        saying = [one for one in terms if isinstance(one, Contrast) and not one.needs_coupling]
        is_said = isinstance(self.coupling, list | tuple) or np.ndim(self.coupling) > 0 or self.coupling != DEFAULTS["coupling"]
        if len(saying) > 1:
            raise InputError(f"the terms {' and '.join(map(str, saying))} both take the cross-entropies' place; give one of them")
        if len({str(one) for one in terms}) < len(terms):
            raise InputError("a term is given twice; give it once, with the sum of the weights")
        if saying and is_said:
            raise InputError(f"the term {saying[0]} says what the negatives are, and so does the coupling; leave out one of them")
        for one in saying:
            if isinstance(one, Mixing):
                self._set("coupling", one.matrix)
        return tuple(one for one in terms if not isinstance(one, Mixing))

    def _require_floor(self) -> None:
        """After what is wrong with terms has been said."""
        for term in self.terms:
            term.check(self.grid, self.modalities)
        if self.floor != 0 or self.energy != "intrinsic":
            return
        mixing = mixing_of(self.coupling, self.modalities)
        contrast = contrast_of(self.terms, mixing, None)
        if contrast.needs_floor if isinstance(contrast, Contrast) else is_coupled(mixing):
            raise InputError(
                "without a floor the coupled intrinsic energy is unbounded below (one density can vanish where the other "
                "is not); give a floor above 0, a coupling of 0, or the smoothed energy"
            )

    def _set(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)

    @property
    def modalities(self) -> int:
        return len(self.potentials)

    @cached_property
    def kernel(self) -> Kernel:
        """The kernel of the critic at the temperature, whether the energy smooths by it or not."""
        return Kernel(self.critic, self.tau, self.allow_unresolved)

    @property
    def nats(self) -> float:
        """The tolerance that is used."""
        if self.tolerance is not None:
            return self.tolerance
        is_penalised = any(not isinstance(term, Contrast) for term in self.terms)
        return TOLERANCES["smoothed" if is_penalised else self.energy]

    def at(self, parameter: str, value: Any) -> "Problem":
        """The same problem with one parameter changed, or a term's number, as in `centroid.weight`. Raises InputError."""
        if "." in parameter:
            return replace(self, terms=with_field(self.terms, parameter, value))
        if parameter not in self.__dataclass_fields__:
            raise InputError(f"a problem has no parameter {parameter!r}; it has {', '.join(self.__dataclass_fields__)}")
        if parameter in _SHORT:
            return replace(self, **{"grid": None, **dict.fromkeys(_SHORT), parameter: value})
        return replace(self, **{parameter: value})

    @cached_property
    def resolved(self) -> tuple[Potential, ...]:
        """The potentials themselves, the last one rotated. Raises InputError for maps that cannot be read."""
        stamps = tuple(digest(Path(one)) if isinstance(one, str) and is_map_file(one) else None for one in self.potentials)
        return _resolved(self.potentials, stamps, float(self.misalign), self.grid)

    @cached_property
    def values(self) -> Array:
        """The potentials at the grid's points, (A, N)."""
        if self.modalities == 1:
            return self.resolved[0].on(self.grid)[None]
        return np.stack([potential.on(self.grid) for potential in self.resolved])

    def functional(self) -> tuple[Energy, Array]:
        """The energy of the potentials less their minima, and these, (A,).

        A constant in a potential moves the energy and nothing else, but its digits would be lost to all that follows.
        """
        levels = self.values.min(axis=1)
        kernel = self.kernel if self.energy == "smoothed" else None
        self.grid.require_resolved(self.values / self.tau, kernel)
        return Energy(self.grid, self.values - levels[:, None], self.tau, self.coupling, kernel, self.all_terms), levels

    @property
    def all_terms(self) -> tuple[Term, ...]:
        """The added terms, and what a finite batch makes of the cross-entropies."""
        return self.terms if self.batch is None else (FiniteBatch(self.batch, self.positive), *self.terms)

    def solve(
        self, start: Any = None, stability: bool = False, watch: Watch | None = None, discretisation: bool = False
    ) -> "Solution":
        """Solve it, from another start if one is given; see `fieldsolve.solve`. Raises InputError."""
        from fieldsolve.equilibrium.solve import solve

        return solve(self if start is None else self.at("start", start), stability, watch, discretisation)

    def transitions(self) -> Transitions:
        """Binodal and spinodal, in the coupling. Raises InputError for energies without phases, or without a floor."""
        energy, _ = replace(self, coupling=0.0, start=None, terms=(), batch=None).functional()
        if self.all_terms or not energy.has_phases:
            raise InputError(
                "binodal and spinodal are known for the intrinsic energy of two modalities, or of more with equal "
                "potentials, without "
                "added terms; for the smoothed one see `dispersion`"
            )
        return transitions(energy.potentials, self.tau, self.floor or 0.0, self.grid.log_weights)

    def _repr_html_(self) -> str:
        from fieldsolve.equilibrium.pictures import plot_potentials

        shown = {name: value for name, value in self.to_json().items() if value not in (None, [], False)}
        return card(f"{self.energy} energy of {self.modalities} densities", shown, lambda: plot_potentials(self))

    def to_json(self) -> dict[str, Any]:
        """The problem in JSON's values; arrays are named, and `stored` has them."""
        plain: dict[str, Any] = {name: getattr(self, name) for name in PARAMETERS if name not in _WORDED}
        plain["grid"] = str(self.grid)
        plain["potentials"] = [self._named_or_stored(a) for a in range(self.modalities)]
        plain["coupling"] = self.coupling if np.ndim(self.coupling) == 0 else self.coupling.tolist()
        plain["terms"] = [str(term) for term in self.terms]
        plain["start"] = self.start if self.start is None or isinstance(self.start, str) else {"stored": "start"}
        return plain

    def stored(self) -> dict[str, Array]:
        """What JSON cannot hold, (N,) each: potentials that have no name, as the energy has them, and densities to start from."""
        arrays = {_key("potential", a): self.values[a] for a in range(self.modalities) if self._is_stored(a)}
        if self.start is not None and not isinstance(self.start, str):
            arrays |= {_key("start", a): one for a, one in enumerate(self.start)}
        return arrays

    def _is_stored(self, a: int) -> bool:
        given = self.potentials[a]
        return isinstance(given, Potential) and given.name is None

    def _named_or_stored(self, a: int) -> Any:
        given = self.potentials[a]
        if self._is_stored(a):
            used = self.resolved[a]
            return {
                "stored": _key("potential", a), "label": used.label, "notes": list(used.notes),
                "wells": None if used.wells is None else used.wells.tolist(), "retained_fraction": used.retained_fraction,
            }  # fmt: skip
        name = str(given.name if isinstance(given, Potential) else given)
        if is_map_file(name):
            return {"map": str(Path(name).resolve()), "sha256": self.resolved[a].digest}
        return name

    @classmethod
    def from_json(
        cls, plain: Mapping[str, Any], stored: Mapping[str, Array], points: Mapping[str, Array] | None = None
    ) -> "Problem":
        """The problem that `to_json` wrote, with what `stored` has; points: the embeddings behind stored potentials, by key.

        A map that is no longer there, or has changed since, is replaced by its stored values (`potential_1` and so on), with a
        note. Raises InputError, KeyError or TypeError for what `to_json` did not write.
        """
        fields = dict(plain)
        grid = grid_of(fields.pop("grid"))
        potentials: list[Any] = []
        for a, one in enumerate(fields.pop("potentials")):
            if isinstance(one, str):
                potentials.append(one)
            elif "map" in one and _is_unchanged(one):
                potentials.append(one["map"])
            else:
                restored = _restored(grid, _key("potential", a), one, stored, points or {})
                is_last = a == len(plain["potentials"]) - 1
                potentials.append(replace(restored, turned=fields["misalign"] if is_last else 0.0))
        if isinstance(fields["start"], dict):
            fields["start"] = np.stack([stored[_key("start", a)] for a in range(len(potentials))])
        return cls(potentials=potentials, grid=grid, **fields)


def _key(kind: str, a: int) -> str:
    return f"{kind}_{a + 1}"


def _is_unchanged(entry: Mapping[str, Any]) -> bool:
    path = Path(entry["map"])
    return path.is_file() and digest(path) == entry["sha256"]


def _restored(
    grid: Grid, key: str, entry: Mapping[str, Any], stored: Mapping[str, Array], points: Mapping[str, Array]
) -> Potential:
    if "map" in entry:
        note = f"{entry['map']}: is not there any more, or has changed; the potential is what was stored of it"
        return replace(on_grid(grid, stored[key], Path(entry["map"]).name), notes=(note,))
    wells = None if entry["wells"] is None else np.array(entry["wells"])
    return replace(
        on_grid(grid, stored[key], entry["label"]), wells=wells, points=points.get(key), notes=tuple(entry["notes"]),
        retained_fraction=entry["retained_fraction"],
    )  # fmt: skip


def _grid(grid: Any, nside: int | None, circle: int | None, dimension: int | None, kernel: Kernel) -> Grid:
    """The one grid that is meant. Raises InputError for two that differ."""
    found: list[Grid] = []
    if grid is not None:
        if not isinstance(grid, str | Grid):
            raise InputError(f"a grid is a Grid or its name, such as healpix:64, not {type(grid).__name__}")
        found.append(grid_of(grid) if isinstance(grid, str) else grid)
    if nside is not None:
        found.append(Healpix(PARAMETERS["nside"].check(nside)))
    if circle is not None:
        found.append(Circle(PARAMETERS["circle"].check(circle)))
    if dimension is not None and not (found and isinstance(found[0], Zonal) and found[0].dimension == dimension):
        found.append(zonal_for(PARAMETERS["dimension"].check(dimension), kernel))
    if any(one != found[0] for one in found):
        raise InputError(f"a problem has one grid, not {' and '.join(map(str, found))}; give grid, nside, circle or dimension")
    return found[0] if found else Healpix(_NSIDE)


def _numbers(given: Any, what: str) -> Array:
    try:
        return np.array(given, dtype=np.float64)
    except (TypeError, ValueError):
        raise InputError(f"{what} is made of numbers, rows of equal length; it is not {given!r}") from None


def _densities(given: Any) -> Array:
    start = np.atleast_2d(_numbers(given, "a start that is no name"))
    start.flags.writeable = False
    return start


@lru_cache(maxsize=8)  # a diagram asks for the same ones at every cell, and a map file is slow to read
def _resolved(given: tuple[Any, ...], _: tuple[str | None, ...], misalign: float, grid: Grid) -> tuple[Potential, ...]:
    potentials = [potential_of(one, grid) for one in given]
    return *potentials[:-1], potentials[-1].misalign(misalign, grid)
