"""Published settings of known losses, and remedies by the names that users type."""

from dataclasses import dataclass

from fieldsolve.numerics.errors import InputError
from fieldsolve.numerics.names import made_of
from fieldsolve.remedies.remedy import Remedy
from fieldsolve.remedies.table import REMEDIES


@dataclass(frozen=True)
class Published:
    """A loss as it was published: a remedy at a weight, where, and what of it that leaves out."""

    title: str
    remedy: str
    weight: float
    source: str
    left_out: str = ""


#: Published settings of known losses.
PUBLISHED: dict[str, Published] = {
    "clip": Published("CLIP", "in-modal-negatives", 0.0, "Radford et al. 2021"),
    "alignclip": Published(
        "AlignCLIP with alpha 1, beta 1/2", "in-modal-negatives", 0.5, "Eslami and de Melo 2025",
        "in-modal negatives of both modalities; its weights by distances of meaning, and its shared encoder, are left out",
    ),
    "cua": Published(
        "CUA with weights 1", "uniformity:2.0", 1.0, "Fahim, Murphy and Fyshe 2024",
        "its alignment term adds 2 to 1/tau in front of the potentials, which is left out, and no curvature",
    ),
    "joint-softmax-half": Published("one softmax over all negatives", "joint-softmax", 0.5, "Li et al. 2023"),
    "siglip": Published("SigLIP", "sigmoid", 1.0, "Zhai et al. 2023"),
}  # fmt: skip


def remedy_of(text: str) -> tuple[Remedy, Published | None]:
    """The remedy that a text names, in any case, and the published loss if it is one. Raises InputError for an unknown name."""
    name, _, rest = text.partition(":")
    name = name.lower()
    if name in PUBLISHED and not rest:
        return made_of(PUBLISHED[name].remedy, REMEDIES, "remedy"), PUBLISHED[name]
    if name not in REMEDIES:
        known = ", ".join(sorted({*PUBLISHED, *REMEDIES}))
        raise InputError(f"unknown remedy {text!r}; there is {known}, and `all` on the command line")
    return made_of(f"{name}:{rest}" if rest else name, REMEDIES, "remedy"), None
