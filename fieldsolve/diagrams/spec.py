"""What a phase diagram is over: the spec file, checked as a whole."""

import json
import tomllib
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, TypeAdapter, ValidationError, create_model

from fieldsolve.equilibrium.parameters import PARAMETERS, Parameter
from fieldsolve.equilibrium.potentials import is_map_file
from fieldsolve.equilibrium.terms import TERMS, Contrast, term_of, with_field
from fieldsolve.numerics.errors import InputError
from fieldsolve.numerics.files import require_file

#: Parameters that may be an axis: every number of a problem, and words that are chosen from a list. Everything else is fixed.
AXES = tuple(name for name, one in PARAMETERS.items() if one.is_number or one.choices is not None)

MOST_CELLS = 1_000_000

# What a diagram takes where a problem would decide by itself, and where its cells are many.
_DEFAULTS = {"nside": 16, "floor": 1e-3}
_GRIDS = ("nside", "circle", "dimension", "grid")


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class _Range(_Strict):
    start: float = Field(alias="from", allow_inf_nan=False)
    to: float = Field(allow_inf_nan=False)
    steps: int = Field(ge=2, le=MOST_CELLS)
    spacing: Literal["linear", "geometric"] = "linear"

    def values(self) -> list[float]:
        if self.spacing == "linear":
            return [_exact(value) for value in np.linspace(self.start, self.to, self.steps)]
        if not (self.start > 0 and self.to > 0):
            raise ValueError("a geometric range runs between numbers above 0")
        return [_exact(value) for value in np.geomspace(self.start, self.to, self.steps)]


def _exact(value: float) -> float | int:
    """A value of a range with twelve digits: 8 from 7.999999999999999, 0.15 from 0.15000000000000002."""
    rounded = float(f"{value:.12g}")
    return int(rounded) if rounded.is_integer() else rounded


def _expanded(values: Any) -> Any:
    return _Range.model_validate(values).values() if isinstance(values, dict) else values


def _distinct(values: list[Any]) -> list[Any]:
    if len(set(values)) < len(values):
        raise ValueError("a value occurs twice")
    return values


_Number = Annotated[float, Field(allow_inf_nan=False)]
_some = Field(min_length=1, max_length=MOST_CELLS)
_range, _once = BeforeValidator(_expanded), AfterValidator(_distinct)


def _type(parameter: Parameter) -> Any:
    """What a parameter's value is in a spec: of its kind, and within its bounds."""
    return Annotated[parameter.kind, AfterValidator(parameter.check)]


def _axis(parameter: Parameter) -> Any:
    kind: Any = _type(parameter)
    values: Any = Annotated[list[kind], _some, _once]
    return (Annotated[values, _range] if parameter.is_number else values) | None


#: Values of an axis over a number of a term, such as centroid.weight.
_NUMBERS: Any = TypeAdapter(Annotated[Annotated[list[_Number], _some, _once], _range])

_Potentials = Annotated[list[str], Field(min_length=1)]
_Terms = Annotated[list[str], AfterValidator(lambda names: [str(term_of(name)) for name in names])]

_FIELDS: dict[str, Any] = {name: (_type(one) | None, one.default) for name, one in PARAMETERS.items()}
_FIELDS |= {"potential": (str | _Potentials, "two-well"), "terms": (_Terms, [])}

#: What stays the same over a diagram; what is an axis is left out.
_Problem: Any = create_model("_Problem", __base__=_Strict, **_FIELDS)

_COLUMNS: dict[str, Any] = {name: (_axis(PARAMETERS[name]), None) for name in AXES}
_Axes: Any = create_model("_Axes", __base__=_Strict, **_COLUMNS)


class _Picture(_Strict):
    colour: Literal["symmetric_kl", "centroid_gap"] = "symmetric_kl"
    certified_gap: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 1e-3
    hysteresis: bool = True


class _File(_Strict):
    title: str = ""
    problem: _Problem = Field(default_factory=_Problem)
    axes: _Axes
    diagram: _Picture = _Picture()


@dataclass(frozen=True)
class Spec:
    """A phase diagram: one to three axes, in order, over a fixed problem.

    axes: name to values; fixed: every other parameter of a Problem; colour: the order parameter to draw; certified_gap: the
    largest gap in nats at which a cell counts as certified; hysteresis: whether a diagram over one number follows branches.
    """

    axes: dict[str, list[Any]]
    fixed: dict[str, Any]
    title: str = ""
    colour: str = "symmetric_kl"
    certified_gap: float = 1e-3
    hysteresis: bool = True

    @property
    def identity(self) -> tuple[str, str]:
        """What its cells depend on."""
        return json.dumps(list(self.axes.items())), json.dumps(self.fixed, sort_keys=True)

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(len(values) for values in self.axes.values())

    def to_json(self) -> str:
        """All of it, the same text for the same diagram."""
        return json.dumps(vars(self))

    @classmethod
    def from_json(cls, text: str) -> "Spec":
        """The spec that `to_json` wrote."""
        return cls(**json.loads(text))


def read_spec(path: Path) -> Spec:
    """Read and check a spec file in TOML. Raises InputError that lists everything that is wrong with it.

    Map files are looked for beside the spec.
    """
    require_file(path)
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except RecursionError:
        raise InputError(f"{path}: cannot be read as TOML: it is nested too deeply") from None
    except (OSError, ValueError) as error:  # what is no UTF-8, no TOML, or a number of too many digits
        raise InputError(f"{path}: cannot be read as TOML: {error}") from error
    try:
        spec = spec_of(raw)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    potentials = [_beside(name, path.parent) for name in spec.fixed["potential"]]
    missing = [name for name in potentials if is_map_file(name) and not Path(name).is_file()]
    if missing:
        raise InputError(f"{path}: there is no such map file: {', '.join(missing)}; maps are looked for beside the spec")
    return Spec(**{**vars(spec), "fixed": {**spec.fixed, "potential": potentials}})


def spec_of(raw: dict[str, Any]) -> Spec:
    """The spec of a parsed file. Raises InputError that lists everything that is wrong with it."""
    axes, problem = _flattened(_section(raw, "axes")), _section(raw, "problem")
    plain = raw | {"axes": {name: values for name, values in axes.items() if "." not in name}} if "axes" in raw else raw
    wrong, of_terms = [], dict[str, list[Any]]()
    try:
        file = _File.model_validate(plain)
    except ValidationError as error:
        wrong = [_wrong(".".join(str(part) for part in one["loc"]), one) for one in error.errors()]
    for name in (one for one in axes if "." in one):
        try:
            of_terms[name] = _NUMBERS.validate_python(axes[name])
        except ValidationError as error:
            wrong += [_wrong(f"axes.{name}", one) for one in error.errors()]
    if "axes" in raw and not 1 <= len(axes) <= 3:
        wrong.append(
            f"axes: a diagram has one to three, not {len(axes)}; they may be {', '.join(AXES)}, and numbers of terms, "
            "as centroid.weight"
        )
    wrong += [f"problem.{name}: is an axis too; give it once" for name in problem if name in axes]
    if not wrong:
        found = {name: of_terms[name] if "." in name else getattr(file.axes, name) for name in axes}
        wrong += _unknown_fields(file.problem.terms, of_terms) + _said_twice(file.problem, "coupling" in axes)
        cells = prod(map(len, found.values()))
        if cells > MOST_CELLS:
            wrong.append(f"axes: {cells} cells are more than {MOST_CELLS}")
    if wrong:
        raise InputError(f"{len(wrong)} thing{'s' if len(wrong) > 1 else ''} to mend:\n  " + "\n  ".join(wrong))
    fixed = {name: value for name, value in _with_defaults(file.problem.model_dump(), axes).items() if name not in axes}
    if isinstance(fixed["potential"], str):
        fixed["potential"] = [fixed["potential"]]
    return Spec(found, fixed, file.title, **file.diagram.model_dump())


def _flattened(axes: dict[str, Any]) -> dict[str, Any]:
    """Axes over numbers of terms by their dotted names, however TOML has them: `"mmd.weight" = ` or `mmd.weight = `."""
    found: dict[str, Any] = {}
    for name, values in axes.items():
        if name in TERMS and isinstance(values, dict):
            found |= {f"{name}.{field}": one for field, one in values.items()}
        else:
            found[name] = values
    return found


def _said_twice(problem: Any, is_axis: bool) -> list[str]:
    """That a term says what the negatives are, and the coupling too."""
    saying = [term for term in map(term_of, problem.terms) if isinstance(term, Contrast) and not term.needs_coupling]
    is_said = is_axis or problem.coupling != PARAMETERS["coupling"].default
    return [f"problem.terms: {term} says what the negatives are, and so does the coupling" for term in saying if is_said]


def _unknown_fields(terms: list[str], of_terms: dict[str, list[Any]]) -> list[str]:
    """What is wrong with axes over numbers of terms."""
    wrong = []
    for name, values in of_terms.items():
        try:
            for value in values:
                with_field([term_of(one) for one in terms], name, value)
        except InputError as error:
            wrong.append(f"axes.{name}: {error}")
    return wrong


def _with_defaults(problem: dict[str, Any], axes: dict[str, Any]) -> dict[str, Any]:
    """What is given, and the diagram's own defaults; a grid besides the sphere's takes the place of nside."""
    has_grid = any(name in axes or problem[name] is not None for name in _GRIDS)
    own = {name: value for name, value in _DEFAULTS.items() if problem[name] is None and not (name == "nside" and has_grid)}
    return {name: value for name, value in (problem | own).items() if value is not None}


def _wrong(place: str, error: Any) -> str:
    return f"{place}: {_message(error)}"


def _section(raw: dict[str, Any], name: str) -> dict[str, Any]:
    section = raw.get(name)
    return section if isinstance(section, dict) else {}


def _message(error: Any) -> str:
    if error["type"] == "extra_forbidden":
        return "is not known here"
    given = error["input"]
    shown = f", not {given!r}" if isinstance(given, str | int | float) else ""
    return str(error["msg"]).removeprefix("Value error, ") + shown


def _beside(name: str, folder: Path) -> str:
    return str((folder / name).resolve()) if is_map_file(name) else name
