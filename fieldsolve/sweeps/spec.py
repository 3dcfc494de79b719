"""What a phase diagram is over: the spec file, checked as a whole."""

import json
import tomllib
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from fieldsolve.errors import InputError
from fieldsolve.potentials import is_map_file

#: Parameters that may be an axis; everything else is fixed.
AXES = ("tau", "floor", "coupling", "misalign", "nside", "critic", "energy")

MOST_CELLS = 1_000_000


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


def _power_of_two(nside: int) -> int:
    if nside < 1 or nside & (nside - 1) or nside > 2048:
        raise ValueError("nside is a power of two, 1 to 2048")
    return nside


def _expanded(values: Any) -> Any:
    return _Range.model_validate(values).values() if isinstance(values, dict) else values


def _distinct(values: list[Any]) -> list[Any]:
    if len(set(values)) < len(values):
        raise ValueError("a value occurs twice")
    return values


_Tau = Annotated[float, Field(ge=1e-9, le=1e9, allow_inf_nan=False)]
_Floor = Annotated[float, Field(ge=0, lt=1, allow_inf_nan=False)]
_Coupling = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
_Angle = Annotated[float, Field(allow_inf_nan=False)]
_Nside = Annotated[int, AfterValidator(_power_of_two)]
_Critic = Literal["cosine", "rbf", "geodesic"]
_Kind = Literal["intrinsic", "smoothed"]
_some = Field(min_length=1, max_length=MOST_CELLS)
_range, _once = BeforeValidator(_expanded), AfterValidator(_distinct)


class _Problem(_Strict):
    """What stays the same over the diagram; what is an axis is left out."""

    potential: str | Annotated[list[str], Field(min_length=1, max_length=2)] = "two-well"
    misalign: _Angle = 0.0
    tau: _Tau = 0.5
    floor: _Floor = 1e-3
    coupling: _Coupling = 1.0
    nside: _Nside = 16
    critic: _Critic = "cosine"
    energy: _Kind = "intrinsic"
    tolerance: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    max_steps: Annotated[int, Field(ge=1)] = 10_000
    allow_unresolved: bool = False


class _Axes(_Strict):
    tau: Annotated[list[_Tau], _some, _once, _range] | None = None
    floor: Annotated[list[_Floor], _some, _once, _range] | None = None
    coupling: Annotated[list[_Coupling], _some, _once, _range] | None = None
    misalign: Annotated[list[_Angle], _some, _once, _range] | None = None
    nside: Annotated[list[_Nside], _some, _once, _range] | None = None
    critic: Annotated[list[_Critic], _some, _once] | None = None
    energy: Annotated[list[_Kind], _some, _once] | None = None


class _Picture(_Strict):
    colour: Literal["symmetric_kl", "centroid_gap"] = "symmetric_kl"
    certified_gap: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 1e-3
    hysteresis: bool = True


class _File(_Strict):
    title: str = ""
    problem: _Problem = _Problem()
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
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{path}: there is no such file") from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InputError(f"{path}: cannot be read as TOML: {error}") from error
    try:
        spec = checked(raw)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    potentials = [_beside(name, path.parent) for name in spec.fixed["potential"]]
    missing = [name for name in potentials if is_map_file(name) and not Path(name).is_file()]
    if missing:
        raise InputError(f"{path}: there is no such map file: {', '.join(missing)}; maps are looked for beside the spec")
    return Spec(**{**vars(spec), "fixed": {**spec.fixed, "potential": potentials}})


def checked(raw: dict[str, Any]) -> Spec:
    """The spec of a parsed file. Raises InputError that lists everything that is wrong with it."""
    wrong = []
    try:
        file = _File.model_validate(raw)
    except ValidationError as error:
        wrong = [f"{'.'.join(str(part) for part in one['loc'])}: {_message(one)}" for one in error.errors()]
    axes, problem = _section(raw, "axes"), _section(raw, "problem")
    if "axes" in raw and not 1 <= len(axes) <= 3:
        wrong.append(f"axes: a diagram has one to three, not {len(axes)}; they may be {', '.join(AXES)}")
    wrong += [f"problem.{name}: is an axis too; give it once" for name in problem if name in axes]
    if not wrong:
        cells = prod(len(getattr(file.axes, name)) for name in axes)
        if cells > MOST_CELLS:
            wrong.append(f"axes: {cells} cells are more than {MOST_CELLS}")
    if wrong:
        raise InputError(f"{len(wrong)} thing{'s' if len(wrong) > 1 else ''} to mend:\n  " + "\n  ".join(wrong))
    fixed = {name: value for name, value in file.problem.model_dump().items() if name not in axes}
    if isinstance(fixed["potential"], str):
        fixed["potential"] = [fixed["potential"]]
    return Spec({name: getattr(file.axes, name) for name in axes}, fixed, file.title, **file.diagram.model_dump())


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
