"""A few metrics of two modalities as plain numbers, fast enough for a training loop: the values that a diagnosis has."""

from math import isfinite
from typing import Any

from fieldsolve.diagnose.arrangement import arrangement
from fieldsolve.diagnose.metrics import cosines, loss, mixed, offset, retrieval
from fieldsolve.diagnose.sample import MOST_CLUSTERS, match
from fieldsolve.diagnose.statistics.temperature import checked_temperature
from fieldsolve.embeddings.modality import modality
from fieldsolve.numerics import threads
from fieldsolve.numerics.arrays import Indices
from fieldsolve.numerics.errors import InputError

_LARGEST = 10.0  # temperature; above it was a logit scale
_NO_EXCHANGES = 1  # no p-value is asked for; the fewest there are

#: The names of all values, by the families that measure them; `siglip` takes the place of `infonce` where a bias is given.
NAMES = (
    *(one.name for one in offset.DEFINITIONS),
    *(one.name for one in cosines.DEFINITIONS if one.name.endswith("mean")),
    *(one.name for one in retrieval.DEFINITIONS),
    *(mixed.name_of(side, "raw", figure) for side in "ab" for figure in mixed.FIGURES if figure != "recall_at_1"),
    "infonce",
)


def quick(
    x: Any,
    y: Any,
    tau: float,
    *,
    bias: float | None = None,
    pairs: Indices | None = None,
    normalize: bool = False,
    seed: int = 0,
) -> dict[str, float]:
    """Values of matched embeddings by flat names that stay: centroid gap, mean cosines, recall, mixed index, loss.

    The values that `diagnose(x, y, tau=tau, seed=seed)` has under `metrics`, without intervals; below a second at 5000 pairs of
    512 on two idle cores. x, y: (n, d) of unit rows, arrays of any kind (numpy, torch, jax; half precision too); tau: 1/logit
    scale; bias: of a sigmoid loss, for `siglip` instead of `infonce`; pairs: matched rows (m, 2), row by row without; normalize:
    scale rows to unit length instead of refusing others. Raises InputError.
    """
    try:
        tau, bias = float(tau), None if bias is None else float(bias)
    except (TypeError, ValueError, OverflowError):
        raise InputError(f"temperature and bias are numbers, not {tau!r} and {bias!r}") from None
    checked_temperature(tau)
    if bias is not None and not isfinite(bias):
        raise InputError(f"the bias of the sigmoid loss must be a finite number, not {bias}")
    if tau > _LARGEST:
        raise InputError(f"a temperature of {tau:g} is no model's: tau is 1/logit scale, as 1/100 for OpenAI's CLIP")
    both = [modality(name, one, normalize) for name, one in (("x", x), ("y", y))]
    sample = match(both[0], both[1], pairs)
    if sample.independent > MOST_CLUSTERS:
        raise InputError(f"{sample.independent} pairs are more than {MOST_CLUSTERS}; give some of them, drawn at random")
    with threads.one_blas_thread():
        laid = arrangement(sample, _NO_EXCHANGES, seed)
        matched = laid.matched(tau, bias, None)
        found = mixed.measure_raw(matched)
        for family in (offset, cosines, retrieval):
            found |= family.measure(matched, family.FAMILY.stream(seed))
        found |= loss.at_temperature(matched, loss.batch(matched, loss.FAMILY.stream(seed))[0])
    return {name: float(found[name].value) for name in found if name in NAMES or name == "siglip"}
