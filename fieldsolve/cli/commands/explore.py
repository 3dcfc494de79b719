"""fieldsolve explore: one offline page with two spheres that answer when a slider moves."""

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from fieldsolve.cli.options import NOT_CONVERGED, guard, printing_options
from fieldsolve.cli.say import say
from fieldsolve.cli.values import POSITIVE, Between, Checked, FileName, PageName
from fieldsolve.cli.workers import executor_of, workers_options
from fieldsolve.equilibrium.parameters import PARAMETERS

_TAU, _COUPLING, _FLOOR, _NSIDE = 0.3, 0.3, 0.01, 16  # where the page opens


@click.command(name="explore", short_help="An offline page with spheres to play with.")
@click.argument("spec", type=FileName(), required=False, metavar="[SPEC.toml]")
@click.option("-o", "--output", type=PageName(), required=True, metavar="FILE.html", help="Write the page.")
@click.option(
    "--potential", multiple=True, metavar="U",
    help="flat, two-well, vmf:KAPPA@x,y,z[*WEIGHT][+...] or a HEALPix map; once for two modalities alike, or once for each.  "
    "[default: two-well]",
)  # fmt: skip
@click.option("--pairs", multiple=True, metavar="FILE", help="Potentials from matched embeddings, as in multimodal.")
@click.option(
    "--bandwidth", type=POSITIVE, metavar="RAD", help="Of the kernel regression from pairs.  [default: spread n^(-1/6)]"
)
@click.option("--normalize", is_flag=True, help="Scale rows of pairs to unit length instead of refusing others.")
@click.option(
    "--misalign",
    type=Checked(PARAMETERS["misalign"]),
    metavar="DEG",
    help="Misalignment at which it opens, in degrees.  [default: 0]",
)
@click.option("--tau", type=POSITIVE, metavar="TAU", help=f"Temperature at which it opens, and of its sweeps.  [default: {_TAU}]")
@click.option(
    "--coupling", type=click.FloatRange(0, 1), metavar="LAMBDA", help=f"Coupling at which it opens.  [default: {_COUPLING}]"
)
@click.option("--floor", type=Between(1e-12, 0.999), help=f"Floor at which it opens.  [default: {_FLOOR}]")
@click.option(
    "--nside", type=click.IntRange(2, 32), metavar="NSIDE", help=f"HEALPix resolution, a power of two.  [default: {_NSIDE}]"
)
@click.option("--law", metavar="LAW", help="Law of pairs of the free encoders, as in encoders.  [default: three uneven symbols]")
@click.option("--force", is_flag=True, help="Replace FILE.html.")
@workers_options
@printing_options
@guard
def command(**options: Any) -> None:
    """Write a page with two spheres, a phase diagram and curves that answer when a slider moves.

    \b
    Examples:
      fieldsolve explore -o explorer.html
      fieldsolve explore --pairs features.npy --tau 0.1 -o clip.html
      fieldsolve explore spec.toml -o mine.html

    It is one file that makes no request. Some 7000 states are solved here and certified; the page's own script finds those
    between them, and says so. A SPEC.toml is that of phase-diagram: axes over coupling, floor, tau and misalign become the
    sliders' stops. Needs plotly: pip install 'fieldsolve[web]'.
    """
    from fieldsolve.cli.progress import progress
    from fieldsolve.cli.studies import check_file
    from fieldsolve.encoders.laws import law_named
    from fieldsolve.explorer import explore, html
    from fieldsolve.output.folders import write_whole
    from fieldsolve.output.interactive import plotly_script
    from fieldsolve.output.tables import to_json

    path: Path = options["output"]
    check_file(path, options["force"])
    plotly_script()  # before anything is computed
    executor = executor_of(options)
    problem, stops, certified_gap = _asked(options)
    law = None if options["law"] is None else law_named(options["law"])
    with progress(options["quiet"]) as watch:
        found = replace(explore(problem, stops, law, executor, watch), certified_gap=certified_gap)
    page = html(found).encode()
    write_whole(path, page)
    values = found.summary() | {"bytes": len(page)}
    if options["as_json"]:
        say(to_json(values))
    elif not options["quiet"]:
        say(f"{values['certified']} of {values['entries']} entries certified, the worst to {values['worst_gap']:.1e} nats")
        for name, reason in zip(("rising", "falling"), values["sweeps"], strict=True):
            if reason != "done":
                say(f"note: no sweep with {name} coupling: {reason}", err=True)
        say(f"written to {path}: {len(page) / 1e6:.1f} MB", err=True)
    if values["certified"] < values["entries"]:
        say(
            f"fieldsolve: {values['entries'] - values['certified']} entries may be more than {certified_gap:g} nats above the "
            "lowest state; a larger --nside makes gaps smaller",
            err=True,
        )
        sys.exit(NOT_CONVERGED)


def _asked(options: dict[str, Any]) -> tuple[Any, Any, float]:
    """The problem at which the page opens, the sliders' stops, and up to which gap an entry counts as certified."""
    from fieldsolve.diagrams.spec import read_spec
    from fieldsolve.embeddings.pairs import read_pairs
    from fieldsolve.equilibrium.problem import Problem
    from fieldsolve.explorer import Stops
    from fieldsolve.explorer.explorer import CERTIFIED

    names, pairs = options["potential"], options["pairs"]
    if pairs and (names or options["misalign"]):
        raise click.UsageError("--pairs gives both potentials; leave out --potential and --misalign")
    if (options["bandwidth"] is not None or options["normalize"]) and not pairs:
        raise click.UsageError("--bandwidth and --normalize go with --pairs")
    if options["spec"] is not None and (names or pairs):
        raise click.UsageError("SPEC.toml names the potentials; leave out --potential and --pairs")
    given = {name: options[name] for name in ("tau", "coupling", "floor", "misalign", "nside") if options[name] is not None}
    opening = {"tau": _TAU, "coupling": _COUPLING, "floor": _FLOOR, "nside": _NSIDE}
    if options["spec"] is not None:
        spec = read_spec(options["spec"])
        stops = Stops.of_axes(spec.axes)
        fixed = {name: value for name, value in spec.fixed.items() if name not in ("potential", "energy")}
        centre = {name: values[len(values) // 2] for name, values in vars(stops).items() if name in spec.axes}
        potentials, settings, certified_gap = spec.fixed["potential"], opening | fixed | centre | given, spec.certified_gap
        if any(name in fixed for name in ("circle", "dimension", "grid")):
            del settings["nside"]
    else:
        potentials = read_pairs(pairs, options["normalize"]).potentials(options["bandwidth"]) if pairs else names or ["two-well"]
        stops, settings, certified_gap = Stops(), opening | given, CERTIFIED
    both = list(potentials) * 2 if len(potentials) == 1 else list(potentials)
    return Problem(both, **settings), stops, certified_gap
