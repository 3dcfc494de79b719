"""All metrics: the families in the order of tables, their definitions, and the document that describes them."""

from fieldsolve.diagnose.metrics import (
    alignment,
    cosines,
    direction,
    distribution,
    divergence,
    hubness,
    loss,
    mixed,
    offset,
    retrieval,
    shape,
    spread,
    structure,
)
from fieldsolve.diagnose.metrics.metric import Definition, Family

#: To add metrics: a file like these, and its line here.
FAMILIES: tuple[Family, ...] = (
    offset.FAMILY,
    direction.FAMILY,
    distribution.FAMILY,
    shape.FAMILY,
    divergence.FAMILY,
    cosines.FAMILY,
    alignment.FAMILY,
    retrieval.FAMILY,
    mixed.FAMILY,
    hubness.FAMILY,
    structure.FAMILY,
    loss.FAMILY,
    spread.FAMILY,
)


def definitions() -> dict[str, Definition]:
    """All definitions by the names of their metrics, in the order of tables."""
    return {one.name: one for family in FAMILIES for one in family.definitions}


def documentation() -> str:
    """The tables of docs/metrics.md."""
    lines = []
    for family in FAMILIES:
        lines += [f"## {family.title}", "", "| metric | definition | source | meaning, and what is normal |", "|---|---|---|---|"]
        for one in family.definitions:
            cells = (one.formula, one.source, f"{one.meaning}{' *Of n.*' if one.of_n else ''}")
            lines.append(f"| `{one.name}` | {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |")
        lines.append("")
    return "\n".join(lines)
