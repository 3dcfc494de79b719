"""fieldsolve move-gap: move the centroid gap of stored embeddings without changing a cross-modal ranking."""

from pathlib import Path
from typing import Any

import click

from fieldsolve.cli.options import guard, printing_options, threads_option
from fieldsolve.cli.say import say
from fieldsolve.cli.studies import check_file, running
from fieldsolve.cli.values import FileName


@click.command(name="move-gap", short_help="Move the gap of embeddings; keep every cross-modal ranking.")
@click.argument("sources", nargs=-1, required=True, metavar="A [B]")
@click.option("--to", metavar="GAP", help="min, max, or a gap within the window.  [default: min]")
@click.option("--directions", type=click.IntRange(2, 32), metavar="K", help="How many directions are mapped.  [default: 2]")
@click.option("--use", type=FileName(), metavar="MAP.npz", help="Apply an earlier map instead of fitting one.")
@click.option("-o", "--output", type=FileName(), metavar="MAP.npz", help="Write the map.")
@click.option(
    "--moved",
    type=FileName(),
    multiple=True,
    metavar="FILE.npy",
    help="Write the moved rows: once for both modalities (2, n, d'), or twice, one each.",
)
@click.option("--normalize", is_flag=True, help="Scale rows to unit length instead of refusing others.")
@click.option("--force", is_flag=True, help="Replace files that are there.")
@threads_option
@printing_options
@guard
def command(sources: tuple[str, ...], **options: Any) -> None:
    """Fit, or apply, a map of both modalities that changes their centroid gap and no similarity across them but by one constant.

    \b
    Examples:
      fieldsolve move-gap images.npy captions.npy --to min -o map.npz
      fieldsolve move-gap new.npy --use map.npz --moved new-moved.npy

    Files are those of diagnose; rows need to be matched only for what is said of retrieval. Moved rows have d + 2 K + 2 columns
    and lengths of at most 1. Search them by inner product and do not scale them to unit length: that would move rankings.
    Rankings across modalities, recall and loss stay as they are; those among rows of both change. New rows that
    would be longer than 1 are shortened and counted, and do change. Nothing is trained.
    """
    from fieldsolve.embeddings.files import tables_in
    from fieldsolve.encoders.moved import Measure
    from fieldsolve.encoders.moving import GapMap, Table, fit_gap
    from fieldsolve.numerics.errors import InputError

    moved: tuple[Path, ...] = options["moved"]
    if options["use"] is not None and any(options[name] is not None for name in ("to", "directions", "output")):
        raise click.UsageError("--use applies a map as it is; leave out --to, --directions and -o")
    if len(moved) > 2:
        raise click.UsageError("--moved is given once for both modalities, or twice")
    _check_ends(options["output"], moved)
    for path in [*([options["output"]] if options["output"] else []), *moved]:
        check_file(path, options["force"])
    parts = tables_in(sources)
    if len(parts) > 2:
        raise InputError(f"{', '.join(sources)}: hold {len(parts)} tables; a gap is moved between two")
    first, second = (Table(one.name, one.load(), options["normalize"], one.kind) for one in parts)
    if len(moved) == 1 and len(first.array) != len(second.array):
        raise InputError(f"{moved[0]}: {len(first.array)} and {len(second.array)} rows are no one array; give --moved twice")
    with running(options) as watch:
        if options["use"] is not None:
            gap_map = GapMap.load(options["use"])
        else:
            gap_map = fit_gap((first, second), options["to"] or "min", options["directions"] or 2, watch)
        measure = Measure(gap_map, (first, second))
        _move(gap_map, (first, second), measure, moved)
        found = measure.result()
    if options["output"] is not None:
        gap_map.save(options["output"])
    _print(found.summary(), options)
    for path in [*moved, *([options["output"]] if options["output"] else [])]:
        if not options["quiet"] and not options["as_json"]:
            say(f"written to {path}", err=True)


def _check_ends(output: Path | None, moved: tuple[Path, ...]) -> None:
    if output is not None and output.suffix.lower() != ".npz":
        raise click.UsageError(f"{output}: a map is written as .npz")
    if any(one.suffix.lower() != ".npy" for one in moved):
        raise click.UsageError("--moved rows are written as .npy")
    named = [one.resolve() for one in moved]
    if len(set(named)) < len(named):
        raise click.UsageError("--moved names one file twice")


def _move(gap_map: Any, tables: tuple[Any, Any], measure: Any, moved: tuple[Path, ...]) -> None:
    """Measure all rows, block by block, and write them where they are asked for: each file whole, or none."""
    from contextlib import ExitStack

    import numpy as np

    from fieldsolve.output.folders import whole_file

    kinds = [np.float64 if one.storage == "float64" else np.float32 for one in tables]
    shapes = [(len(one.array), gap_map.columns) for one in tables]
    with ExitStack() as stack:
        parts = [stack.enter_context(whole_file(path)) for path in moved]
        if len(parts) == 1:
            whole = np.lib.format.open_memmap(parts[0], "w+", max(kinds, key=lambda kind: kind(0).nbytes), (2, *shapes[0]))
            targets = [whole[0], whole[1]]
        else:
            targets = [np.lib.format.open_memmap(*one) for one in zip(parts, ["w+"] * 2, kinds, shapes, strict=False)]
        for modality, table in enumerate(tables):
            for begin, rows, shortened in gap_map.blocks(table, modality):
                if targets:
                    targets[modality][begin : begin + len(rows)] = rows
                    rows = targets[modality][begin : begin + len(rows)].astype(np.float64)
                measure.add(modality, begin, rows, shortened)
        for target in targets:
            (target if isinstance(target, np.memmap) else target.base).flush()


def _print(summary: dict[str, Any], options: dict[str, Any]) -> None:
    from fieldsolve.output.tables import to_json

    if options["as_json"]:
        say(to_json(summary))
    elif not options["quiet"]:
        for sentence in summary["report"]:
            say(sentence)
