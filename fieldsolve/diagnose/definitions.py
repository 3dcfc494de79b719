"""What each metric is: its formula, where it comes from, what it means and what is normal."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Definition:
    """A metric as docs/metrics.md, the report and the tables describe it.

    name: as in the JSON; group: what it is about; title: a few words; formula; source; meaning: what it says, and what is normal;
    paired: whether it depends on which rows match.
    """

    name: str
    group: str
    title: str
    formula: str
    source: str
    meaning: str
    paired: bool = False


_LIANG = "Liang et al. 2022, arXiv 2203.02053"
_SZEKELY = "Szekely and Rizzo 2013, doi 10.1016/j.jspi.2013.03.018"
_GRETTON = "Gretton et al. 2012, JMLR 13:723"
_BONNEEL = "Bonneel et al. 2015, doi 10.1007/s10851-014-0506-3"
_WANG = "Wang and Isola 2020, arXiv 2005.10242"
_THEORY = "Cai et al. 2026, arXiv 2601.19597, Def. 4.3 and App. E"
_SHIFTED = (
    "of the modalities with their own centroids taken off: what differs besides the offset. Centring uses up the offset's "
    "noise, so that values where nothing differs are a little below 0 (see the floor)."
)

_OF_COSINES = {"mean": "mean", "sd": "standard deviation", "p05": "5 % quantile", "p50": "median", "p95": "95 % quantile"}


def _definitions() -> list[Definition]:
    found = [
        Definition(
            "centroid_gap",
            "offset",
            "centroid gap",
            "|m_a - m_b|, m the mean of the unit rows",
            _LIANG,
            "How far apart the modalities' means are, from 0 to 2. Trained CLIP models have 0.7 to 1.0; 0.05 or less is "
            "closed. Noise alone gives the floor.",
        ),
        Definition(
            "centroid_cosine",
            "offset",
            "cosine of the centroids",
            "m_a.m_b/(|m_a| |m_b|)",
            _LIANG,
            "1 if both means point the same way. With narrow modalities matched cosines cannot be far from this one times "
            "both norms.",
        ),
    ]
    found += [
        Definition(
            f"centroid_norm_{one}",
            "offset",
            f"norm of centroid {one}",
            f"|m_{one}|",
            "mean resultant length, Mardia and Jupp 2000",
            "1 if all rows are the same, 0 if they balance: how narrow the modality's cone is. Trained CLIP models have "
            "0.6 to 0.8.",
        )
        for one in "ab"
    ]
    found += [
        Definition(
            "energy_distance",
            "distribution",
            "energy distance",
            "2 E|X - Y| - E|X - X'| - E|Y - Y'|, pairs within a modality of different rows",
            _SZEKELY,
            "0 if and only if both modalities have one distribution. Offsets dominate it: compare the centred one.",
        ),
        Definition(
            "energy_cross",
            "distribution",
            "its part across",
            "E|X - Y|, over all pairs of rows across modalities",
            _SZEKELY,
            "The mean distance across; sqrt(2) for orthogonal modalities.",
        ),
    ]
    for one, letter in zip("ab", "XY", strict=True):
        found.append(
            Definition(
                f"energy_within_{one}",
                "distribution",
                f"its part within {one}",
                f"E|{letter} - {letter}'|",
                _SZEKELY,
                "The mean distance within a modality: its spread.",
            )
        )
    for name, factor in (("half", "0.5"), ("one", "1"), ("double", "2")):
        found.append(
            Definition(
                f"mmd2_{name}",
                "distribution",
                f"MMD^2, bandwidth {factor}",
                f"E k(X, X') + E k(Y, Y') - 2 E k(X, Y), k = exp(-|x - y|^2/(2 sigma^2)), sigma = {factor} times the median "
                "distance across; U-statistic within",
                _GRETTON,
                "0 for one distribution; at most 2. Small bandwidths see fine structure, large ones the offset.",
            )
        )
    found.append(
        Definition(
            "sliced_w2",
            "distribution",
            "sliced Wasserstein-2",
            "root of the mean over orthonormal directions of W_2^2 of the projections; a whole basis for up to 2.56 million "
            "projections, at least 64 directions",
            _BONNEEL,
            "How far mass has to move along a direction; of order (centroid gap)/sqrt(d) for a pure offset.",
        )
    )
    for name, title in (
        ("energy_distance", "energy distance"),
        ("mmd2_half", "MMD^2, bandwidth 0.5"),
        ("mmd2_one", "MMD^2, bandwidth 1"),
        ("mmd2_double", "MMD^2, bandwidth 2"),
        ("sliced_w2", "sliced Wasserstein-2"),
    ):
        source = {"e": _SZEKELY, "m": _GRETTON, "s": _BONNEEL}[name[0]]
        found.append(
            Definition(
                f"{name}_centred",
                "shape",
                f"{title}, centred",
                f"{name} of x - m_a and y - m_b, same bandwidths",
                source,
                f"The same {_SHIFTED}",
            )
        )
    found.append(
        Definition(
            "linear_separability",
            "distribution",
            "linear separability",
            "balanced accuracy of ridge classification (penalty 1) of the modality, 5-fold cross-validated by pair",
            "Lopez-Paz and Oquab 2017, arXiv 1610.06545",
            "1 if a hyperplane tells the modalities apart, 0.5 if nothing linear does. It stays at 1 for offsets far "
            "smaller than those that matter elsewhere.",
        )
    )
    for one, other in ("ab", "ba"):
        found.append(
            Definition(
                f"cross_entropy_{one}_{other}",
                "divergence",
                f"cross-entropy of {one} with {other}",
                f"-E_{one} log K q_{other}, K the von Mises-Fisher kernel exp(cos/tau)/V; the row's own cluster left out",
                _THEORY,
                f"What InfoNCE's denominator is to anchors of {one}, in nats against the uniform density. Low if {one} lies "
                f"where {other} is dense; the loss pushes it up: this is the barrier.",
            )
        )
        found.append(
            Definition(
                f"cross_entropy_{one}_{one}",
                "divergence",
                f"cross-entropy of {one} with itself",
                f"-E_{one} log K q_{one}, the row's own cluster left out",
                _THEORY,
                f"The smoothed entropy of modality {one} with its sign: low if it is concentrated.",
            )
        )
        found.append(
            Definition(
                f"smoothed_kl_{one}_{other}",
                "divergence",
                f"smoothed KL, {one} to {other}",
                f"E_{one} [log K q_{one} - log K q_{other}]",
                _THEORY,
                "One direction of the symmetric KL, in nats. With smoothed densities a direction can be negative, where the "
                "other modality is the denser one.",
            )
        )
    found.append(
        Definition(
            "smoothed_symmetric_kl",
            "divergence",
            "smoothed symmetric KL",
            "sum of both directions, D_K = int (q_a - q_b)(log K q_a - log K q_b)",
            _THEORY,
            "What symmetric InfoNCE carries with a negative sign: the larger, the lower the loss. 0 if the modalities "
            "coincide at this temperature. It grows like 1/tau. At low temperatures only the nearest rows count, and the "
            "estimate depends on how many there are.",
        )
    )
    for name in ("smoothed_kl_a_b", "smoothed_kl_b_a", "smoothed_symmetric_kl"):
        title = {"smoothed_kl_a_b": "smoothed KL, a to b", "smoothed_kl_b_a": "smoothed KL, b to a"}.get(
            name, "smoothed symmetric KL"
        )
        found.append(
            Definition(
                f"{name}_centred",
                "shape",
                f"{title}, centred",
                f"{name} of x - m_a and y - m_b, kernel exp(-|x - y|^2/(2 tau))",
                _THEORY,
                f"The same {_SHIFTED}",
            )
        )
    for suffix, title in _OF_COSINES.items():
        found.append(
            Definition(
                f"cosine_matched_{suffix}",
                "cosines",
                f"matched cosines, {title}",
                "x_i.y_i of matched rows",
                "Radford et al. 2021, arXiv 2103.00020",
                "Matched cosines of trained CLIP models are 0.2 to 0.35: the offset caps them. Their level means nothing "
                "without the unmatched ones.",
                True,
            )
        )
    for suffix, title in _OF_COSINES.items():
        found.append(
            Definition(
                f"cosine_unmatched_{suffix}",
                "cosines",
                f"unmatched cosines, {title}",
                "x_i.y_j of rows of different clusters" + ("" if suffix == "mean" else "; of at most 2000 rows of each modality"),
                "Radford et al. 2021, arXiv 2103.00020",
                "What matched cosines have to exceed; the mean is about the product of the centroids.",
                True,
            )
        )
    for one in "ab":
        found.append(
            Definition(
                f"cosine_within_{one}_mean",
                "cosines",
                f"mean cosine within {one}",
                f"E x.x' over different rows of {one}",
                "Ethayarajh 2019, arXiv 1909.00512",
                "About the squared norm of the centroid: how narrow the cone is. Larger within than across is the modality "
                "gap seen in cosines.",
            )
        )
    found += [
        Definition(
            "alignment",
            "alignment",
            "alignment across",
            "E|x - y|^2 of matched rows = 2 - 2 (mean matched cosine)",
            _WANG,
            "0 if partners coincide; offsets alone add about the squared centroid gap. Trained CLIP models have 1.3 to 1.6.",
            True,
        ),
        *(
            Definition(
                f"alignment_within_{one}",
                "alignment",
                f"alignment within {one}",
                f"E|z - z'|^2 of different rows of {one} with a common partner",
                _WANG,
                "How close five captions of one image are, say; only for many-to-one matchings.",
                True,
            )
            for one in "ab"
        ),
        *(
            Definition(
                f"uniformity_{one}",
                "alignment",
                f"uniformity of {one}",
                f"log E exp(-2 |z - z'|^2) over different rows of {one}",
                _WANG,
                "-4 for a uniform density in many dimensions (exp(-2 |z - z'|^2) at distance sqrt(2)), 0 for a point. Lower "
                "is more spread.",
            )
            for one in "ab"
        ),
        Definition(
            "uniformity_across",
            "alignment",
            "uniformity across",
            "log E exp(-2 |x - y|^2) over all pairs of rows across modalities",
            _WANG,
            "As within, between modalities: lower than within is the gap.",
        ),
        Definition(
            "relative_modality_gap",
            "alignment",
            "relative modality gap",
            "p/(p + w), p = E(1 - x.y)/2 of matched rows, w = the mean of E(1 - z.z')/2 within both modalities",
            "Schrodi et al. 2024, arXiv 2404.07983",
            "Partners' distance as a share of itself plus the distance of strangers within a modality. Well below 0.5: "
            "partners are closer than strangers; above 0.5: even partners are farther than strangers of one modality.",
            True,
        ),
    ]
    for one, other in ("ab", "ba"):
        for depth in (1, 5, 10):
            found.append(
                Definition(
                    f"recall_{one}_to_{other}_at_{depth}",
                    "retrieval",
                    f"recall@{depth}, {one} to {other}",
                    f"share of rows of {one} that have a partner among the {depth} rows of {other} with the largest cosines; "
                    "ties broken at random, in expectation",
                    "Karpathy and Fei-Fei 2015, arXiv 1412.2306",
                    "Depends on how many rows there are to find: chance is about k/n. Intervals resample queries, the "
                    "gallery stays.",
                    True,
                )
            )
    for one in "ab":
        found.append(
            Definition(
                f"effective_rank_{one}",
                "spread",
                f"effective rank of {one}",
                "exp of the entropy of the singular values of the centred rows, scaled to sum 1",
                "Roy and Vetterli 2007, EUSIPCO",
                "How many directions the modality uses, at most d or n - 1. Below a tenth of d is a dimensional collapse. "
                "It rises with n until n is far above d; the interval is a jackknife's.",
            )
        )
    return found


#: All metrics by name, in the order of tables.
DEFINITIONS: dict[str, Definition] = {one.name: one for one in _definitions()}

GROUPS = {
    "offset": "Offset: where the modalities are",
    "distribution": "Distribution: whether the modalities are alike",
    "shape": "Shape: whether they are alike but for the offset",
    "divergence": "Divergence: what the loss sees",
    "cosines": "Cosines",
    "alignment": "Alignment and uniformity",
    "retrieval": "Retrieval",
    "spread": "Spread",
}


def documentation() -> str:
    """The tables of docs/metrics.md."""
    lines = []
    for group, title in GROUPS.items():
        lines += [f"## {title}", "", "| metric | definition | source | meaning, and what is normal |", "|---|---|---|---|"]
        for one in DEFINITIONS.values():
            if one.group == group:
                lines.append(
                    f"| `{one.name}` | {one.formula.replace('|', chr(92) + '|')} | {one.source} | "
                    f"{one.meaning.replace('|', chr(92) + '|')} |"
                )
        lines.append("")
    return "\n".join(lines)
