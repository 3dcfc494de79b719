"""A diagnosis as rows of text: the few metrics of a terminal, the main ones of a paper's table, p-values and how many hold."""

from typing import Any

from fieldsolve.diagnose.statistics.estimate import SIGNIFICANT
from fieldsolve.diagnose.statistics.ranks import DEPTHS
from fieldsolve.output.tables import short

HEADINGS = ("value", "95 % interval", "p", "noise level", "shuffled")

#: What a terminal shows.
TERMINAL = (
    *("centroid_gap", "energy_distance", "energy_distance_centred", "smoothed_symmetric_kl", "cosine_matched_mean"),
    *("cosine_unmatched_mean", "recall_a_to_b_at_1", "recall_b_to_a_at_1", "infonce", "siglip", "best_temperature", "best_bias"),
)

#: What tables for papers show.
PAPER = (
    *("centroid_gap", "energy_distance", "energy_distance_centred", "mmd2_one", "sliced_w2", "linear_separability"),
    *("smoothed_symmetric_kl", "cosine_matched_mean", "cosine_unmatched_mean", "relative_modality_gap", "alignment"),
    *("uniformity_a", "uniformity_b", "effective_rank_a", "effective_rank_b"),
    *(f"recall_{direction}_at_{depth}" for direction in ("a_to_b", "b_to_a") for depth in DEPTHS),
    *("infonce", "siglip", "best_temperature"),
)


#: The figures of the mixed index, and their headings.
_MIXED = {
    "other_share_at_10": "share of the other modality in ten",
    "partner_median_rank": "partner's median rank",
    "partner_recall_at_1": "recall@1 in one index",
    "recall_at_1": "recall@1 across",
}


def table(metrics: dict[str, Any], names: tuple[str, ...]) -> list[list[str]]:
    """Metrics as rows of text, headings first; metrics by name, as JSON has them."""
    return [["metric", *HEADINGS], *([name, *cells(metrics[name])] for name in names if name in metrics)]


def mixed_table(mixed: dict[str, Any]) -> list[list[str]]:
    """The mixed index as rows of text, headings first; by side, treatment and figure, as JSON has it."""
    rows = [["queries", "rows", *_MIXED.values()]]
    for side, treatments in mixed.items():
        for treatment, figures in treatments.items():
            rows.append([side, treatment, *(_with_interval(figures[name]) for name in _MIXED)])
    return rows


def mixed_sentences(mixed: dict[str, Any]) -> list[str]:
    """The same in a line a side, without intervals."""
    said = []
    for side, treatments in mixed.items():
        shares, ranks = (
            ", ".join(short(one[name]["value"], 3) for one in treatments.values())
            for name in ("other_share_at_10", "partner_median_rank")
        )
        said.append(
            f"in one index of both ({', '.join(treatments)}), queries of {side}: other modality among ten {shares}; partner's "
            f"median rank {ranks}"
        )
    return said


def group_table(groups: list[dict[str, Any]]) -> list[list[str]]:
    """What groups of pairs differ in as rows of text, headings first; as JSON has them."""
    names = list(dict.fromkeys(name for one in groups for name in one["metrics"]))
    rows = [["group", "clusters", *names]]
    for one in groups:
        found = [one["metrics"].get(name) for name in names]
        rows.append([one["label"], str(one["clusters"]), *("-" if cell is None else _with_interval(cell) for cell in found)])
    return rows


def _with_interval(metric: dict[str, Any]) -> str:
    return f"{short(metric['value'], 3)} ({short(metric['ci_low'], 3)} to {short(metric['ci_high'], 3)})"


def cells(metric: dict[str, Any]) -> list[str]:
    """A metric's value, interval, p-value, noise level and shuffle control; a dash where it has none."""
    low, high = metric["ci_low"], metric["ci_high"]
    interval = "-" if low is None else f"{short(low, 4)} to {short(high, 4)}"
    return [short(metric["value"], 4), interval, *(short(metric[name], 4) for name in ("p_value", "noise_level", "shuffled"))]


def tests_sentence(adjusted: dict[str, float]) -> str:
    """How many p-values there are, and which hold together; from those that are adjusted for their number."""
    if not adjusted:
        return "There are no p-values."
    lost = [name for name, value in adjusted.items() if value > SIGNIFICANT]
    held = len(adjusted) - len(lost)
    if len(lost) == len(adjusted) and min(adjusted.values()) < 1:
        return (
            f"{len(adjusted)} p-values of all metrics; none hold together at 5 % (Holm): more than {20 * len(adjusted)} "
            "--exchanges can tell."
        )
    if not lost:
        return f"{len(adjusted)} p-values of all metrics; all hold together at 5 % (Holm)."
    listed = f"all but {', '.join(lost)}" if held > len(lost) else ", ".join(one for one in adjusted if one not in lost)
    return (
        f"{len(adjusted)} p-values of all metrics; {held or 'none'} hold together at 5 % (Holm){': ' + listed if held else ''}."
    )


def latex(rows: list[list[str]]) -> str:
    """Rows of text as a tabular, headings first."""
    body = [" & ".join(map(_in_latex, row)) + r" \\" for row in rows]
    columns = "l" + "r" * (len(rows[0]) - 1)
    begin = rf"\begin{{tabular}}{{{columns}}}"
    return "\n".join([begin, r"\hline", body[0], r"\hline", *body[1:], r"\hline", r"\end{tabular}", ""])


def _in_latex(text: str) -> str:
    """Text as LaTeX shows it to the letter."""
    special = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
    special |= {character: f"\\{character}" for character in "&%$#_{}"}
    return "".join(special.get(character, character) for character in text)
