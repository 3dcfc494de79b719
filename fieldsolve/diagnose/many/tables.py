"""Runs side by side as rows of text, from their JSON: main metrics with intervals, and what they differ by."""

from typing import Any

from fieldsolve.output.tables import short

#: Runs from which on each is a row, with few metrics.
_MANY = 5

#: Those metrics.
_FEW = (
    *("centroid_gap", "recall_a_to_b_at_1", "recall_b_to_a_at_1", "mixed_a_raw_other_share_at_10"),
    *("mixed_a_centred_other_share_at_10", "debiased_cka", "infonce", "siglip"),
)


def rows_of(summary: dict[str, Any]) -> list[list[str]]:
    """Headings, then a row a metric and one for its difference, a column a run; of five runs and more a row a run."""
    if len(summary["runs"]) >= _MANY:
        return _by_run(summary)
    runs = summary["runs"]
    rows = [["", *(one["label"] for one in runs)]]
    if "step" in summary["columns"]:
        rows.append(["step", *(short(one["step"], 6) for one in runs)])
    rows.append(["pairs", *(str(one["pairs"]) for one in runs)])
    for name in [one for one in summary["columns"] if one not in ("run", "step", "pairs")]:
        rows.append([name, *(_with_interval(one["metrics"].get(name)) for one in runs)])
        found = [one["differences"].get(name) for one in runs]
        if any(found):
            rows.append([f"  - {summary['against']}", *("" if one is None else _difference(one) for one in found)])
    return rows


def _by_run(summary: dict[str, Any]) -> list[list[str]]:
    names = [name for name in _FEW if name in summary["columns"]]
    has_steps = "step" in summary["columns"]
    rows = [["", *(["step"] if has_steps else []), *names, f"gap - {summary['against']}"]]
    for one in summary["runs"]:
        found = one["differences"].get("centroid_gap")
        cells = [*([short(one["step"], 6)] if has_steps else []), *(_with_interval(one["metrics"].get(name)) for name in names)]
        rows.append([one["label"], *cells, "" if found is None else _difference(found)])
    return rows


def _with_interval(metric: dict[str, Any] | None) -> str:
    if metric is None:
        return "-"
    interval = "" if metric["ci_low"] is None else f" ({short(metric['ci_low'], 3)} to {short(metric['ci_high'], 3)})"
    return f"{short(metric['value'], 4)}{interval}"


def _difference(found: dict[str, Any]) -> str:
    is_unsure = found["ci_low"] is not None and found["ci_low"] <= 0 <= found["ci_high"]
    paired = "" if found["p_value"] is None else " *"
    return f"{_with_interval(found)}{paired}{' n.s.' if is_unsure else ''}"
