"""What the numbers say, in sentences."""

from fieldsolve.diagnose.measure import Measurement
from fieldsolve.diagnose.metric import Metric
from fieldsolve.diagnose.sample import Sample
from fieldsolve.diagnose.theory import Place

_SIGNIFICANT = 0.05
_FEW = 1e-2  # below, three decimals are too few
_VISIBLE = 1e-6  # centroid gap below which there is none to explain


def verdict(sample: Sample, measured: Measurement, place: Place) -> list[str]:
    """Sentences with numbers: offset, shape, cosines, retrieval, divergence, and the theory beside them."""
    metrics, (a, b) = measured.metrics, (sample.first.name, sample.second.name)
    return [
        _offset(metrics, a, b),
        _shape(metrics),
        _cosines(metrics),
        _retrieval(metrics, sample, a, b),
        _divergence(metrics, measured.tau, a, b),
        _equilibrium(place, metrics["centroid_gap"]),
        _dispersion(place),
    ]


def _offset(metrics: dict[str, Metric], a: str, b: str) -> str:
    gap, separability = metrics["centroid_gap"], metrics["linear_separability"]
    said = f"centroid gap {_tested(gap)}; two halves of one modality, with half the rows, have {gap.floor:.3g}"
    classified = f"A hyperplane tells them apart on {separability.value:.1%} of unseen rows."
    if gap.p_value is None:
        return f"The centroids of {a} and {b}: {said}. {classified}"
    if gap.p_value <= _SIGNIFICANT:
        return f"{a} and {b} lie apart: {said}. {classified}"
    return f"No offset between {a} and {b} is visible: {said}. {classified}"


def _shape(metrics: dict[str, Metric]) -> str:
    raw, centred = metrics["energy_distance"], metrics["energy_distance_centred"]
    if raw.p_value is not None and raw.p_value > _SIGNIFICANT:
        return f"Their distributions do not differ visibly: energy distance {raw.value:.3g} (p = {raw.p_value:.3g})."
    left = f"{raw.value:.3g} to {centred.value:.3g}"
    if 0 < centred.value < raw.value:
        said = (
            f"taking each modality's centroid off takes {1 - centred.value / raw.value:.1%} of the energy distance away ({left})"
        )
    else:
        said = f"taking each modality's centroid off brings the energy distance from {left}"
    if centred.p_value is None:
        return f"Offset and shape: {said}."
    rest = "the shapes differ as well" if centred.p_value <= _SIGNIFICANT else "no difference of shape is left to see"
    return f"Offset and shape: {said}; {rest} (p = {centred.p_value:.3g})."


def _cosines(metrics: dict[str, Metric]) -> str:
    matched, unmatched, spread = metrics["cosine_matched_mean"], metrics["cosine_unmatched_mean"], metrics["cosine_unmatched_sd"]
    apart = f"{(matched.value - unmatched.value) / spread.value:.1f}" if spread.value > 0 else "no"
    centroids = metrics["centroid_norm_a"].value * metrics["centroid_norm_b"].value * metrics["centroid_cosine"].value
    return (
        f"Matched cosines are {matched.value:.3f} on average and unmatched ones {unmatched.value:.3f}, about the product of "
        f"the centroids ({centroids:.3f}): the centroids set the level. Partners stand out from strangers by {apart} standard "
        "deviations."
    )


def _retrieval(metrics: dict[str, Metric], sample: Sample, a: str, b: str) -> str:
    forth, back = metrics["recall_a_to_b_at_1"], metrics["recall_b_to_a_at_1"]
    return (
        f"Recall@1 is {_interval(forth)} from {a} to {b} among {len(sample.second.rows)} and {_interval(back)} back among "
        f"{len(sample.first.rows)}; with partners shuffled {forth.shuffled:.3g} and {back.shuffled:.3g}."
    )


def _divergence(metrics: dict[str, Metric], tau: float, a: str, b: str) -> str:
    whole, forth, back = (metrics[name] for name in ("smoothed_symmetric_kl", "smoothed_kl_a_b", "smoothed_kl_b_a"))
    tested = "" if whole.p_value is None else f" (p = {whole.p_value:.3g})"
    return (
        f"At temperature {tau:g} the smoothed symmetric KL is {whole.value:.3g} nats{tested}: {forth.value:.3g} from {a} to "
        f"{b}, {back.value:.3g} back. Symmetric InfoNCE carries minus half of it: the term that the theory holds responsible "
        "for the gap."
    )


def _equilibrium(place: Place, gap: Metric) -> str:
    if not place.is_resolved or place.centroid_gap < _VISIBLE:
        return (
            "The pairs lie closer together than the finest sphere here resolves: nothing can be said of equilibria of their "
            "potentials."
        )
    least, most, observed = float(place.equilibrium_gaps[0]), float(place.equilibrium_gaps[-1]), place.centroid_gap
    said = (
        f"On the sphere of the three leading directions ({place.pairs.retained_fraction:.1%} of the squared length) the "
        f"centroid gap is {observed:.3f}. The equilibrium of the data's own potentials, held fixed, has {least:.3f} at "
        f"coupling 0 and {most:.3f} at coupling 1 (CLIP); the sample's energy is {place.excess[0]:.3g} and "
        f"{place.excess[-1]:.3g} nats above them."
    )
    if gap.value < _VISIBLE or (gap.p_value is not None and gap.p_value > _SIGNIFICANT):
        return said
    if least > 0.5 * observed:
        return (
            f"{said} The potentials alone hold a gap of that size: each modality is pulled to where its partners are, across "
            "the gap, so that a penalty on the divergence (beta = 1 - coupling) does not close it by itself."
        )
    share = f"The potentials alone hold {least / observed:.0%} of the gap"
    return f"{said} {share}: a penalty on the divergence (beta = 1 - coupling) can close the rest."


def _dispersion(place: Place) -> str:
    critical = place.dispersion.breaks_at
    return (
        f"In {place.dispersion.dimension} dimensions at temperature {place.tau:g}, two matched uniform densities part beyond "
        f"the coupling {critical:.4f}, along degree {place.dispersion.mode} (1 is a centroid gap): only a penalty beta above "
        f"{1 - critical:.4f} on the smoothed symmetric KL keeps them together."
    )


def _tested(metric: Metric) -> str:
    tested = "" if metric.p_value is None else f", p = {metric.p_value:.3g}"
    return f"{_short(metric.value)} (95 % interval {_short(metric.ci_low)} to {_short(metric.ci_high)}{tested})"


def _interval(metric: Metric) -> str:
    return f"{metric.value:.3f} (95 % interval {metric.ci_low:.3f} to {metric.ci_high:.3f})"


def _short(value: float | None) -> str:
    """Three decimals, or three digits of what has none of them."""
    return f"{value:.3g}" if value is not None and 0 < abs(value) < _FEW else f"{value:.3f}"
