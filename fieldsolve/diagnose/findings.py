"""What there is evidence for in a sample's numbers, one finding at a time, the most important first."""

from collections.abc import Iterator
from dataclasses import dataclass

from fieldsolve.diagnose.measure import Measurement
from fieldsolve.diagnose.metrics import mixed
from fieldsolve.diagnose.metrics.metric import Metric
from fieldsolve.diagnose.sample import Sample
from fieldsolve.diagnose.statistics.estimate import SIGNIFICANT, holm
from fieldsolve.diagnose.statistics.temperature import LEAST_TAU, chance

_COLLAPSED = 0.05  # of one modality's spread to the other's
_CONSTANT = 1e-5  # spread of unit rows
_COPIES = 0.02  # share of rows
_LOW_RANK = 0.1  # of the most that n rows in d dimensions can have
_JUNK = 0.1  # share of pairs that is worth looking at
_MIXED = 1.3  # times: partners that are merely nearer than strangers make the nearer half fuller
_ABOVE_CHANCE = 2.0  # times the chance of a partner among ten
_UNIQUE = 0.9  # recall above which hubs take nothing
_OFF_UNIT = 0.02  # of lengths
_TEMPERATURE = 3.0  # factor off the best
_LEFT, _ABOVE = 0.1, 1.5  # of the loss at chance
_CROWDED = 0.2  # share of queries that the most popular rows take
_SPREAD = 1.05  # ratio of mean distances within
_PARALLEL = 0.8  # of the gap is a difference of the centroids' lengths
_SELDOM = 0.5  # recall among ten
_ENOUGH = 200  # pairs of a batch, from which on a loss that falls to temperature 0 says something
_BETTER = 1.5  # times the share of the other modality
_FEW = 1e-2  # below, three decimals are too few


@dataclass(frozen=True)
class Finding:
    """One thing that is so: a code for programs, what it is and how sure, what to do about it."""

    code: str
    sentence: str
    advice: str


def findings(sample: Sample, measured: Measurement, tau_is_given: bool) -> Iterator[Finding]:
    """Everything that there is evidence for, in the order of importance."""
    names = sample.first.name, sample.second.name
    yield from _towers(measured, names)
    yield from _matching(measured)
    yield from _copies(measured, names)
    yield from _ranks(sample, measured, names)
    yield from _lengths(measured, names)
    if tau_is_given:
        yield from _temperature(measured)
    yield from _hubs(measured, names)
    yield from _weak(measured)
    yield from _distributions(measured, names)


def _towers(measured: Measurement, names: tuple[str, str]) -> Iterator[Finding]:
    spread = measured.health.spread
    for side in (0, 1):
        if spread[side] <= _CONSTANT:
            yield Finding(
                "constant",
                f"All embeddings of {names[side]} are the same to {spread[side]:.1e}.",
                "Look at that encoder's inputs and last layer; until then no other number here means anything.",
            )
            return
    low, high = sorted(range(2), key=lambda side: spread[side])
    if spread[low] < _COLLAPSED * spread[high]:
        yield Finding(
            "collapsed",
            f"Embeddings of {names[low]} lie within {spread[low]:.2g} of their mean, those of {names[high]} within "
            f"{spread[high]:.2g}.",
            f"The encoder of {names[low]} has collapsed: look at its learning rate, its normalisation and its inputs.",
        )


def _matching(measured: Measurement) -> Iterator[Finding]:
    found = measured.health.unrelated
    margin = 2 * found.error
    recalls = [measured.metrics[f"recall_{way}_at_10"] for way in ("a_to_b", "b_to_a")]
    is_chance = all((one.ci_low or 0.0) <= _ABOVE_CHANCE * found.chance for one in recalls)
    said = f"{found.share:.0%} +- {margin:.0%} of the rows have partners that are no nearer than strangers"
    if found.share + margin >= 1 and is_chance:
        yield Finding(
            "order",
            f"Partners are not nearer to each other than strangers, as far as can be seen: {said}, recall is at chance.",
            "Are the rows in the same order? Otherwise the model has not learned this matching.",
        )
    elif found.share - margin > _JUNK and found.between < _MIXED * found.share:
        yield Finding(
            "junk",
            f"{said}, while others are found.",
            "Look at the pairs with the least cosines, and leave wrong ones out.",
        )


def _copies(measured: Measurement, names: tuple[str, str]) -> Iterator[Finding]:
    copies, ceiling = measured.health.copies, measured.health.ceiling
    for side in (0, 1):
        if copies[side] > _COPIES:
            yield Finding(
                "duplicates",
                f"{copies[side]:.1%} of the rows of {names[side]} are copies of others: recall@1 into them is at most "
                f"{ceiling[1 - side]:.3f}.",
                "Leave them out of a gallery, or keep one of each.",
            )
            return


def _ranks(sample: Sample, measured: Measurement, names: tuple[str, str]) -> Iterator[Finding]:
    for name, letter, modality in zip(names, "ab", (sample.first, sample.second), strict=True):
        rank, most = measured.metrics[f"effective_rank_{letter}"].value, min(modality.rows.shape[1], len(modality.rows) - 1)
        if rank < _LOW_RANK * most:
            yield Finding(
                "low_rank",
                f"{name} uses {rank:.1f} directions of {most} that {len(modality.rows)} rows in "
                f"{modality.rows.shape[1]} dimensions could.",
                "More or harder negatives, a larger batch or a decorrelating term spread it.",
            )
            return


def _lengths(measured: Measurement, names: tuple[str, str]) -> Iterator[Finding]:
    for name, (least, most) in zip(names, measured.health.lengths, strict=True):
        if least < 1 - _OFF_UNIT or most > 1 + _OFF_UNIT:
            yield Finding(
                "unnormalised",
                f"Rows of {name} were of lengths {least:.3g} to {most:.3g} and are scaled to 1 here.",
                "See that your index and your loss scale them too: otherwise they rank by length as well.",
            )
            return


def _temperature(measured: Measurement) -> Iterator[Finding]:
    metrics, tau = measured.metrics, measured.tau
    best, loss, level = metrics["best_temperature"], metrics[measured.loss], chance(measured.loss, measured.batch)
    if best.value == 0:
        # The loss falls all the way down: the temperature is too high where there is much left to fall.
        too_high = tau > _TEMPERATURE * LEAST_TAU and loss.value > _LEFT * level and measured.batch >= _ENOUGH
        said = f"{LEAST_TAU:g} or below"
        too_low = False
    elif best.ci_low is None or best.ci_high is None:
        return
    else:
        too_high, too_low = tau > max(_TEMPERATURE * best.value, best.ci_high), tau < min(best.value / _TEMPERATURE, best.ci_low)
        said = f"{best.value:.3g} (95 % interval {best.ci_low:.3g} to {best.ci_high:.3g})"
    if measured.bias is not None:
        said += f" and a bias of {metrics['best_bias'].value:.3g}, both together"
    if not (too_high or too_low) and loss.value > _ABOVE * level:
        yield Finding(
            "temperature",
            f"The loss of these pairs is {loss.value:.3g} nats at what was given, above chance, {level:.3g}; it is least at a "
            f"temperature of {said}.",
            "Are temperature and bias the model's?",
        )
    if too_high or too_low:
        yield Finding(
            "temperature",
            f"The loss of these pairs is least at a temperature of {said}, {'below' if too_high else 'above'} the {tau:.3g} that "
            f"was given: there it is {loss.value:.3g} nats, chance is {level:.3g}.",
            f"Is it the model's (1/logit scale)? If so, learn or {'lower' if too_high else 'raise'} it.",
        )


def _hubs(measured: Measurement, names: tuple[str, str]) -> Iterator[Finding]:
    for name, way, hubs in zip(names, ("b_to_a", "a_to_b"), measured.health.hubs, strict=True):
        if hubs.share > max(_CROWDED, 2 * hubs.chance) and measured.metrics[f"recall_{way}_at_1"].value < _UNIQUE:
            rows = f"{hubs.rows} rows" if hubs.rows > 1 else "One row"
            yield Finding(
                "hubs",
                f"{rows} of {name} {'are' if hubs.rows > 1 else 'is'} the nearest "
                f"stranger{'s' if hubs.rows > 1 else ''} of {hubs.share:.0%} of the queries (by chance {hubs.chance:.0%}).",
                "Scale similarities by how popular rows are (inverted softmax, CSLS).",
            )
            return


def _distributions(measured: Measurement, names: tuple[str, str]) -> Iterator[Finding]:
    metrics = measured.metrics
    gap, raw, centred = metrics["centroid_gap"], metrics["energy_distance"], metrics["energy_distance_centred"]
    sure = _sure(measured)
    spread = _spread(measured, names)
    # Unit vectors that are more spread have a shorter centroid: a gap between parallel centroids is that difference.
    norms = metrics["centroid_norm_a"].value, metrics["centroid_norm_b"].value
    if spread is not None and abs(norms[0] - norms[1]) > _PARALLEL * gap.value:
        yield spread
        return
    if "centroid_gap" in sure:
        share = measured.offset_share
        yield Finding(
            "offset",
            f"{names[0]} and {names[1]} have centroids {_tested(gap)} apart: {share:.1%} of their energy distance is "
            "this offset.",
            _hurts(measured),
        )
        if spread is not None:
            yield spread
        elif "energy_distance_centred" in sure:
            whole, left = (metrics[f"smoothed_symmetric_kl{suffix}"].value for suffix in ("", "_centred"))
            stays = f", and {min(max(left / whole, 0.0), 1.0):.0%} of the smoothed symmetric KL" if whole > 0 else ""
            yield Finding(
                "shape",
                f"Without the offset they differ in shape: centred energy distance {_tested(centred)}, {1 - share:.1%} of the "
                f"whole{stays}.",
                "No translation closes that.",
            )
    elif "energy_distance" in sure:
        yield Finding(
            "open_distribution",
            f"The centroids coincide ({_tested(gap)}), the distributions do not: energy distance {_tested(raw)}.",
            "A closed centroid gap is not a closed gap, and no translation closes this one.",
        )


def _hurts(measured: Measurement) -> str:
    """What an offset does to retrieval, and what to do about it."""
    found = measured.health.unrelated
    if found.share + 2 * found.error >= 1:
        return "Its effect on retrieval cannot be judged while partners are not found."
    raw, centred = ({figure: _both(measured, how, figure) for figure in mixed.FIGURES} for how in ("raw", "centred"))
    gains = [measured.metrics[mixed.gain_of(side, "centred")] for side in "ab"]
    said = f"Taking means off changes recall@1 across by {' and '.join(map(_change, gains))}"
    if not any((one.ci_low or 0) > 0 or (one.ci_high or 0) < 0 for one in gains):
        said += ", nothing sure"
    shares = [sum(one["other_share_at_10"]) / 2 for one in (raw, centred)]
    if shares[1] > max(_BETTER * shares[0], _FEW):
        said += (
            f"; in one index of both queries find {shares[0]:.1%} rows of the other modality among the nearest ten, and their "
            f"partners at median ranks {_pair(raw['partner_median_rank'])}; with means taken off {shares[1]:.1%} (half would "
            "be mixed), and at "
            f"{_pair(centred['partner_median_rank'])}"
        )
    return f"{said}. `--save-means` writes means to be taken off; `fieldsolve move-gap` moves the gap and keeps rankings across."


def _both(measured: Measurement, treatment: str, figure: str) -> tuple[float, float]:
    """A figure of the mixed index, of queries of either modality."""
    first, second = (measured.metrics[mixed.name_of(side, treatment, figure)].value for side in "ab")
    return first, second


def _change(metric: Metric) -> str:
    return f"{metric.value:+.3f} ({metric.ci_low:+.3f} to {metric.ci_high:+.3f})"


def _pair(values: tuple[float, float]) -> str:
    return f"{values[0]:.3g} and {values[1]:.3g}"


def _spread(measured: Measurement, names: tuple[str, str]) -> Finding | None:
    within = [measured.metrics[f"energy_within_{letter}"] for letter in "ab"]
    low, high = sorted(range(2), key=lambda side: within[side].value)
    if not (within[high].value > _SPREAD * within[low].value and (within[high].ci_low or 0) > (within[low].ci_high or 0)):
        return None
    return Finding(
        "spread",
        f"{names[high]} is more spread: strangers are {within[high].value:.3g} apart on average, in {names[low]} "
        f"{within[low].value:.3g}.",
        "Unit vectors that are more spread have a shorter mean: their centroids differ by "
        f"{abs(measured.metrics['centroid_norm_a'].value - measured.metrics['centroid_norm_b'].value):.2g} in length.",
    )


def _weak(measured: Measurement) -> Iterator[Finding]:
    found = measured.health.unrelated
    best = max(measured.metrics[f"recall_{way}_at_10"].value for way in ("a_to_b", "b_to_a"))
    if best < _SELDOM and found.share + 2 * found.error < 1:
        yield Finding(
            "weak",
            f"Partners are nearer than strangers on the whole, but among the nearest ten for {best:.0%} of the queries "
            "only, in the "
            f"better direction (chance is {found.chance:.1%}).",
            "More training or cleaner pairs come before any gap.",
        )


def nothing(measured: Measurement) -> Finding:
    """What is said where there is evidence for nothing."""
    gap, raw = measured.metrics["centroid_gap"], measured.metrics["energy_distance"]
    return Finding(
        "nothing",
        f"No difference between the modalities is visible: centroid gap {_tested(gap)}, energy distance {_tested(raw)}.",
        "",
    )


def _sure(measured: Measurement) -> set[str]:
    """What differs for sure: p-values that hold together; without any, intervals that leave 0 out."""
    metrics = {name: measured.metrics[name] for name in ("centroid_gap", "energy_distance", "energy_distance_centred")}
    p_values = {name: one.p_value for name, one in metrics.items() if one.p_value is not None}
    held = {name for name, value in holm(p_values).items() if value <= SIGNIFICANT}
    return held | {name for name, one in metrics.items() if one.p_value is None and one.ci_low is not None and one.ci_low > 0}


def _tested(metric: Metric) -> str:
    tested = "" if metric.p_value is None else f", p = {metric.p_value:.2g}"
    return f"{short(metric.value)} (95 % interval {short(metric.ci_low)} to {short(metric.ci_high)}{tested})"


def short(value: float | None) -> str:
    """Three decimals, or three digits of what has none of them."""
    return f"{value:.3g}" if value is not None and 0 < abs(value) < _FEW else f"{value:.3f}"
