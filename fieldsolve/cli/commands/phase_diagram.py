"""fieldsolve phase-diagram: solve over one to three parameters, resumably, and draw the phases."""

import sys
from pathlib import Path
from typing import Any

import click

from fieldsolve.cli.options import CELLS_FAILED, NOT_CONVERGED, guard, html_option, printing_options
from fieldsolve.cli.say import say
from fieldsolve.cli.values import FileName, FolderName
from fieldsolve.cli.workers import executor_of, number_of_workers, workers_options

_FAILURES_SHOWN = 3
_START = 3.0  # seconds for workers to start and pictures to be drawn, about


@click.command(name="phase-diagram", short_help="Phases over one to three parameters.")
@click.argument("spec", type=FileName(), metavar="SPEC.toml")
@click.option(
    "-o",
    "--output",
    type=FolderName(),
    metavar="DIR",
    help="Write ledger.sqlite, cells.csv, transitions.csv, branches.csv, diagram.png and .svg; needed unless --dry-run.",
)
@workers_options
@click.option("--dry-run", is_flag=True, help="Check the spec, count the cells and estimate the time; write nothing.")
@click.option("--retry-failed", is_flag=True, help="Try cells again that failed in an earlier run.")
@click.option("--force", is_flag=True, help="Use a folder with the diagram of another spec; common cells are kept.")
@html_option
@printing_options
@guard
def command(**options: Any) -> None:
    """Map the phases of coupled densities over one to three parameters, every cell with its certified gap.

    \b
    Examples:
      fieldsolve phase-diagram examples/coupling_floor.toml -o diagram
      fieldsolve phase-diagram spec.toml -o diagram --scheduler tcp://cluster:8786

    \b
    A spec names the axes and what stays fixed:
      [problem]                 # what stays fixed, if it is not to have its default:
      potential = "two-well"    # or one a modality: ["two-well", "map.fits"]; maps beside the spec
      tau = 0.5                 # and likewise floor = 1e-3, coupling = 1.0
      misalign = 0.0            # degrees
      nside = 16
      critic = "cosine"         # or "rbf", "geodesic"
      energy = "intrinsic"      # or "smoothed"
      terms = []                # added to the energy, as with --term: ["centroid:1"]
      max_steps = 10000         # and tolerance (nats), allow_unresolved = false
      [axes]                    # one to three of the numbers, critic and energy, as lists or ranges
      # "centroid.weight" = [0.5, 1.0, 2.0] would be one over a number of a term
      coupling = { from = 0.0, to = 0.4, steps = 41 }
      floor = { from = 1e-4, to = 0.5, steps = 41, spacing = "geometric" }
      [diagram]                 # may be left out
      colour = "symmetric_kl"   # or "centroid_gap"
      certified_gap = 1e-3      # nats; cells above it are hatched
      hysteresis = true         # over one number, follow its branches up and down too

    Run it again after an interruption: only what is missing is solved. Exit code 5 if cells failed; they are in cells.csv
    with their reasons.
    """
    from fieldsolve.diagrams.spec import read_spec

    executor = executor_of(options)
    if options["output"] is None and not options["dry_run"]:
        raise click.UsageError("give a folder with -o DIR, or --dry-run")
    spec = read_spec(options["spec"])
    if options["dry_run"]:
        _estimate(spec, number_of_workers(options), options["as_json"])
        return
    from fieldsolve.cli.progress import progress
    from fieldsolve.diagrams.diagram import fill

    with progress(options["quiet"]) as watch:
        diagram = fill(spec, options["output"], executor, options["retry_failed"], options["force"], watch)
    report(diagram, write(diagram, options["output"]), options["output"], options["as_json"], options["quiet"])


def write(diagram: Any, folder: Path) -> list[str]:
    """Write the tables and the pictures of a diagram; returns what the user should know."""
    from fieldsolve.diagrams.pictures import write_pictures
    from fieldsolve.diagrams.tables import write_tables

    return [*write_tables(diagram, folder), *write_pictures(diagram, folder)]


def report(diagram: Any, notes: list[str], folder: Path, as_json: bool, quiet: bool) -> None:
    """Say what a diagram holds, and exit with what came of it."""
    from fieldsolve.diagrams.tables import summary
    from fieldsolve.output.tables import to_json

    values = summary(diagram)
    if as_json:
        say(to_json(values))
    elif not quiet:
        for name, value in values.items():
            if name != "schema" and value is not None:
                say(f"{name.replace('_', ' '):<22}{value if not isinstance(value, float) else format(value, '.6g')}")
        say(f"written to {folder}/: {', '.join(sorted(path.name for path in folder.iterdir()))}", err=True)
    if not quiet:
        for note in notes:
            say(f"note: {note}", err=True)
    if diagram.failures:
        for task, outcome in diagram.failures[:_FAILURES_SHOWN]:
            say(f"fieldsolve: {_place(task, diagram.spec)} failed: {outcome.reason}", err=True)
        more = len(diagram.failures) - _FAILURES_SHOWN
        others = f"{more} more failed; " if more > 0 else ""
        say(f"fieldsolve: {others}cells.csv has the reasons of cells, and --retry-failed tries again", err=True)
        sys.exit(CELLS_FAILED)
    if values["not_converged"]:
        say(
            f"fieldsolve: {values['not_converged']} cells did not converge; more max_steps or a larger tolerance may help",
            err=True,
        )
        sys.exit(NOT_CONVERGED)


def _place(task: Any, spec: Any) -> str:
    if task.kind == "branch":
        first, last = task.config["values"][0], task.config["values"][-1]
        return f"the branch along {task.config['along']} from {first:g} to {last:g}"
    name = "the cell" if task.kind == "cell" else "binodal and spinodal"
    return f"{name} at " + ", ".join(f"{axis} {task.config[axis]}" for axis in spec.axes if axis in task.config)


def _estimate(spec: Any, workers: int, as_json: bool) -> None:
    from fieldsolve.cli.progress import duration
    from fieldsolve.diagrams.tasks import estimated_seconds, tasks
    from fieldsolve.output.tables import to_json

    every = tasks(spec)
    seconds = estimated_seconds(every) / workers + _START
    values: dict[str, Any] = {
        "schema": "fieldsolve/phase-diagram-estimate/1",
        "cells": sum(task.kind == "cell" for task in every),
        "transitions": sum(task.kind == "transitions" for task in every),
        "branches": sum(task.kind == "branch" for task in every),
        "workers": workers,
        "seconds": seconds,
    }
    if as_json:
        say(to_json(values))
    else:
        curves = "binodal and spinodal for {transitions} settings, ".format(**values) if values["transitions"] else ""
        say(f"{values['cells']} cells, {curves}{values['branches']} branches to follow")
        say(f"about {duration(seconds)} on {workers} worker{'s' if workers > 1 else ''}, from the time of cells here")
