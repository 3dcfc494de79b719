"""Direction: where the gap between the centroids points, and how far apart Gaussians of both modalities are."""

from dataclasses import replace
from math import nan

import numpy as np

from fieldsolve.diagnose.metrics.metric import Definition, Family, Metric, of_estimate
from fieldsolve.diagnose.statistics.estimate import left_out
from fieldsolve.diagnose.statistics.matched import Matched
from fieldsolve.numerics.arrays import Array

LEADING = 10

_CHUNK = 4096  # rows at a time

_FRECHET = "Dowson and Landau 1982, J. Multivariate Analysis 12:450; Heusel et al. 2017, arXiv 1706.08500"

DEFINITIONS = (
    Definition(
        "gap_in_top_coordinates",
        f"share of the gap in its {LEADING} largest coordinates",
        f"sum of the {LEADING} largest (m_a - m_b)_k^2 over |m_a - m_b|^2",
        "Schrodi et al. 2024, arXiv 2404.07983",
        f"{LEADING}/d and little more where the gap is spread over all components; in CLIP models few hold most of it. It "
        "depends on the axes.",
        least=0.0,
        most=1.0,
        of_n=True,
    ),
    *(
        Definition(
            f"gap_in_leading_{one}",
            f"share of the gap in the leading directions of {one}",
            f"squared cosine of the angle between m_a - m_b and the {LEADING} leading principal directions of {one}",
            "Liang et al. 2022, arXiv 2203.02053",
            "By noise of the means alone the share of the variance that these directions hold. Near 0 the gap is orthogonal to "
            "what the modality varies in; taking it off costs little.",
            least=0.0,
            most=1.0,
            of_n=True,
        )
        for one in "ab"
    ),
    Definition(
        "frechet_distance",
        "Frechet distance of Gaussians, squared",
        "|m_a - m_b|^2 + tr(S_a + S_b - 2 (S_a S_b)^(1/2)), S covariances",
        _FRECHET,
        "W_2^2 between Gaussians with the modalities' means and covariances: the sum of both parts below. It falls with n.",
        least=0.0,
        of_n=True,
    ),
    Definition(
        "frechet_means",
        "its part from means",
        "|m_a - m_b|^2",
        _FRECHET,
        "What a translation closes.",
        least=0.0,
        of_n=True,
    ),
    Definition(
        "frechet_covariances",
        "its part from covariances",
        "tr(S_a + S_b - 2 (S_a S_b)^(1/2))",
        _FRECHET,
        "What no translation closes. Of few rows it is not small even where nothing differs.",
        least=0.0,
        of_n=True,
    ),
)


def measure(pooled: Matched, rng: np.random.Generator) -> dict[str, Metric]:
    """All of them; errors by leaving groups out, and by how leading directions turn with them."""
    gaps = _gaps(pooled)
    lengths = np.sum(gaps**2, axis=1)
    names = ("gap_in_top_coordinates", "gap_in_leading_a", "gap_in_leading_b")
    found = {name: Metric(nan) for name in names}  # of no gap, and of few components
    if lengths.min() > 0 and gaps.shape[1] > LEADING:
        largest = np.argsort(-np.abs(gaps[0]), kind="stable")[:LEADING]
        shares = {"gap_in_top_coordinates": np.sum(gaps[:, largest] ** 2, axis=1) / lengths}
        found = {name: of_estimate(left_out(float(values[0]), values[1:])) for name, values in shares.items()}
        for side, letter in enumerate("ab"):
            leading = pooled.cloud.spectra[side][1][:, -LEADING:]
            values = np.sum((gaps @ leading) ** 2, axis=1) / lengths
            estimate = left_out(float(values[0]), values[1:])
            turned = replace(estimate, single=estimate.single + _turned(pooled, side, gaps[0]))
            found[f"gap_in_leading_{letter}"] = of_estimate(turned)
    covariances = _between_covariances(pooled)
    found["frechet_distance"] = Metric(float(lengths[0]) + covariances)
    return found | {"frechet_means": Metric(float(lengths[0])), "frechet_covariances": Metric(covariances)}


def _gaps(pooled: Matched) -> Array:
    """m_a - m_b of all rows, and without each group, (1 + G, d)."""
    design, shift = pooled.design, pooled.cloud.shift
    means = []
    for part in (slice(0, design.groups), slice(design.groups, None)):
        counts, sums = design.counts[part], pooled.row_sums[part]
        means.append(-sums / (counts.sum() - counts)[:, None])
    return np.concatenate([shift[None], shift + means[0] - means[1]])


def _turned(pooled: Matched, side: int, gap: Array) -> Array:
    """What groups add to the share of the gap in leading directions by turning them, (groups,) [perturbation of eigenvectors].

    A row x turns v_k towards v_l by (x.v_k)(x.v_l)/(n (l_k - l_l)), and the share changes by 2 (u.v_k)(u.v_l)/|u|^2 as much.
    """
    variances, vectors = pooled.cloud.spectra[side]
    part = pooled.cloud.parts[side]
    along = vectors.T @ gap
    weights = np.outer(along[:-LEADING], along[-LEADING:]) / np.maximum(
        variances[-LEADING:] - variances[:-LEADING, None], np.finfo(float).tiny
    )
    added = np.zeros(pooled.design.groups)
    groups = pooled.design.group_of_row[part]
    for at in range(0, part.stop - part.start, _CHUNK):
        rows = pooled.cloud.rows[part][at : at + _CHUNK].astype(np.float64) @ vectors
        values = np.sum((rows[:, :-LEADING] @ weights) * rows[:, -LEADING:], axis=1)
        added += np.bincount(groups[at : at + _CHUNK], values, pooled.design.groups)
    return np.asarray(2 * added / (float(gap @ gap) * (part.stop - part.start)))


def _between_covariances(pooled: Matched) -> float:
    """The Bures distance of covariances, squared: through the table of inner products where rows are fewer than components."""
    cloud = pooled.cloud
    traces = sum(float(cloud.lengths[part].mean()) for part in cloud.parts)
    counts = [part.stop - part.start for part in cloud.parts]
    if min(counts) < cloud.rows.shape[1]:
        one, other = (
            cloud.rows[part].astype(np.float64) / np.sqrt(count) for part, count in zip(cloud.parts, counts, strict=True)
        )
        fidelity = float(np.linalg.svd(one @ other.T, compute_uv=False).sum())
    else:
        roots = [vectors * np.sqrt(np.maximum(variances, 0)) for variances, vectors in cloud.spectra]
        fidelity = float(np.linalg.svd(roots[0].T @ roots[1], compute_uv=False).sum())
    return max(traces - 2 * fidelity, 0.0)


FAMILY = Family("direction", "Direction of the gap, and Gaussians", DEFINITIONS, measure)
