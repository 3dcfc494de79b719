"""The plain parameters of a problem: name, help, unit, bounds and default of each, here and nowhere else.

`Problem` checks its fields by this table; options of the command line, fields of spec files, axes of diagrams and labels of
pictures are generated from it. It loads nothing slow: help is printed from it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import inf, isfinite
from typing import Any

from fieldsolve.numerics.errors import InputError


@dataclass(frozen=True)
class Parameter:
    """A parameter of a problem that is a number, a word or a switch.

    kind: float, int, str or bool; symbol: how pictures and messages name it; unit: of its option; least, most: its bounds, where
    below_most leaves the upper one out; choices: the words that it may be; rule: what else must hold, with its wording;
    automatic: how help names a default that depends on others (then None); option: if it is not the name.
    is_followed: whether a state can be followed along it; shapes_phases: whether binodal and spinodal depend on it.
    """

    name: str
    kind: type
    default: Any
    help: str
    symbol: str
    unit: str | None = None
    least: float = -inf
    most: float = inf
    below_most: bool = False
    choices: Callable[[], tuple[str, ...]] | None = None
    rule: tuple[Callable[[Any], bool], str] | None = None
    automatic: str | None = None
    option: str | None = None
    is_followed: bool = False
    shapes_phases: bool = False

    @property
    def is_number(self) -> bool:
        return self.kind in (float, int)

    @property
    def flag(self) -> str:
        """The option's name on the command line."""
        return "--" + (self.option or self.name).replace("_", "-")

    @property
    def allowed(self) -> str:
        """What values there are, in words."""
        if self.rule is not None:
            return self.rule[1]
        if self.choices is not None:
            return " or ".join(self.choices())
        words = {float: "a number", int: "a whole number", str: "a word", bool: "true or false"}[self.kind]
        if self.least > -inf and self.most < inf:
            return f"{words} from {self.least:g} to {'below ' * self.below_most}{self.most:g}"
        return f"{words}{f' of at least {self.least:g}' if self.least > -inf else ''}"

    def check(self, value: Any) -> Any:
        """The value as what it should be. Raises InputError for anything else; None passes where the default is automatic."""
        if value is None and self.default is None:
            return None
        try:
            converted = self._converted(value)
        except (TypeError, ValueError, OverflowError):
            converted = None
        if converted is None or not self._is_allowed(converted):
            raise InputError(f"{self.symbol} must be {self.allowed}, not {value!r}")
        return converted

    def _converted(self, value: Any) -> Any:
        is_switch = isinstance(value, bool) or type(value).__name__ in ("bool", "bool_")
        if self.kind is bool or is_switch:
            return bool(value) if self.kind is bool and is_switch else None
        if self.kind is str or isinstance(value, str):
            return value if self.kind is str and isinstance(value, str) else None
        return self.kind(value) if self.kind is float or int(value) == value else None

    def _is_allowed(self, value: Any) -> bool:
        if self.choices is not None and self.rule is None:
            return value in self.choices()
        if self.kind is float and not isfinite(value):
            return False
        if self.is_number and not self.least <= value <= self.most:
            return False
        return not (self.below_most and value == self.most) and (self.rule is None or self.rule[0](value))


def _critics() -> tuple[str, ...]:
    from fieldsolve.grids.critics import CRITICS  # numpy is slow to import, and help needs none

    return tuple(CRITICS)


def _is_critic(value: str) -> bool:
    from fieldsolve.grids.critics import critic_of

    try:
        return bool(critic_of(value))
    except InputError:
        return False


def _is_positive(value: str) -> bool:
    from fieldsolve.equilibrium.batches import positive_of

    try:
        return bool(positive_of(value))
    except InputError:
        return False


def _is_power_of_two(value: int) -> bool:
    return 1 <= value <= 2048 and value & (value - 1) == 0


PARAMETERS: dict[str, Parameter] = {
    one.name: one
    for one in (
        Parameter(
            "tau", float, 0.5, "Temperature, from 1e-9 to 1e9.", "the temperature tau", least=1e-9, most=1e9,
            is_followed=True, shapes_phases=True,
        ),
        Parameter(
            "floor", float, None, "Least density as a fraction of the uniform density, 0 to below 1.", "the floor", least=0.0,
            most=1.0, below_most=True, automatic="0 for one modality, 1e-3 for several", is_followed=True, shapes_phases=True,
        ),
        Parameter(
            "coupling", float, 1.0, "lambda, 0 to 1: weight of the symmetric KL divergence; 1 is CLIP.",
            "the coupling lambda", least=0.0, most=1.0, is_followed=True,
        ),
        Parameter(
            "misalign", float, 0.0,
            "Rotate the last modality's potential by so many degrees: about the y axis, on a circle in its plane.",
            "the misalignment (degrees)", unit="DEG", is_followed=True, shapes_phases=True, least=-1e6, most=1e6,
        ),
        Parameter(
            "nside", int, None, "HEALPix resolution, a power of two up to 2048.", "nside",
            rule=(_is_power_of_two, "a power of two from 1 to 2048"), automatic="64", shapes_phases=True,
        ),
        Parameter(
            "circle", int, None, "Solve on so many points of the circle S^1 instead.", "the points of the circle", unit="POINTS",
            least=3, most=100_000_000, automatic="the sphere", shapes_phases=True,
        ),
        Parameter(
            "dimension", int, None,
            "Solve for densities of the height along an axis of the sphere S^(D-1) instead; CLIP has D 512.",
            "the dimension", unit="D", least=3, most=4096, automatic="3, on a HEALPix sphere", shapes_phases=True,
        ),
        Parameter(
            "grid", str, None, "Solve on this grid instead, such as healpix:64, circle:128 or zonal:512,168.", "the grid",
            unit="GRID",
            automatic="healpix:64", shapes_phases=True,
        ),
        Parameter(
            "critic", str, "cosine", "Similarity behind the kernel exp(s/tau): cosine z.z', rbf -|z-z'|^2 or geodesic -angle^2.",
            "the critic", unit="CRITIC", choices=_critics, rule=(_is_critic, "the name of a critic, as cosine, rbf or geodesic"),
        ),
        Parameter(
            "energy", str, "intrinsic", "With log rho, or with the log of the kernel-smoothed density.", "the energy",
            choices=lambda: ("intrinsic", "smoothed"),
        ),
        Parameter(
            "batch", int, None, "Negatives N of a finite batch, in the smoothed energy.", "the batch's negatives", unit="N",
            least=1, most=10**60, automatic="infinitely many",
        ),
        Parameter(
            "positive", str, "aligned",
            "A finite batch's positive in the denominator: none, aligned with its anchor, at a COSINE from it, or in a von "
            "Mises-Fisher law of concentration B about it.",
            "the positive", unit="none|aligned|COSINE|vmf:B", rule=(_is_positive, "none, aligned, a cosine or vmf:CONCENTRATION"),
        ),
        Parameter("start", str, None, "Where the descent begins.", "the start", unit="START", automatic="what the energy allows"),
        Parameter(
            "tolerance", float, None, "Stop at this stationarity.", "the tolerance (nats)", unit="NATS", least=0.0, most=1e300,
            automatic="1e-9 intrinsic, 1e-3 smoothed or with penalties", option="tol",
        ),
        Parameter(
            "max_steps", int, 10_000, "Most steps of a descent.", "the largest number of steps", least=0, most=1_000_000_000,
        ),
        Parameter(
            "escape", bool, False, "If a smoothed state is a saddle, leave it along its most unstable mode and descend again.",
            "escape",
        ),
        Parameter(
            "polish", bool, True, "Move the spikes of smoothed densities off the grid's points, to where the energy is lowest.",
            "polish",
        ),
        Parameter(
            "allow_unresolved", bool, False, "Smooth by kernels narrower than the grid resolves.", "allow_unresolved",
        ),
    )
}  # fmt: skip


DEFAULTS: dict[str, Any] = {name: one.default for name, one in PARAMETERS.items()}
