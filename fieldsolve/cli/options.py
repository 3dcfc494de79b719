"""Options that commands share, and how what goes wrong becomes an exit code."""

import functools
import sys
import traceback
from collections.abc import Callable
from typing import Any

import click

INTERNAL, REFUSED, NOT_CONVERGED, CELLS_FAILED, INTERRUPTED = 1, 3, 4, 5, 130  # click's own: 0 done, 2 usage

Command = Callable[..., Any]


def solver_options(default_floor: float, starts: str, default_start: str) -> Callable[[Command], Command]:
    """The options of every solver command, in the order of the help."""
    options = [
        click.option("--tau", type=float, default=0.5, show_default=True, help="Temperature, above 0."),
        click.option(
            "--floor", type=float, default=default_floor, show_default=True,
            help="Least density as a fraction of the uniform density, 0 to below 1.",
        ),
        click.option("--nside", type=int, help="HEALPix resolution, a power of two up to 2048.  [default: 64]"),
        click.option("--circle", type=int, metavar="POINTS", help="Solve on so many points of the circle S^1 instead."),
        click.option(
            "--critic", type=click.Choice(["cosine", "rbf", "geodesic"]), default="cosine", show_default=True,
            help="Similarity behind the kernel exp(s/tau): z.z', -|z-z'|^2 or -angle^2.",
        ),
        click.option(
            "--energy", type=click.Choice(["intrinsic", "smoothed"]), default="intrinsic", show_default=True,
            help="With log rho, or with the log of the kernel-smoothed density.",
        ),
        click.option(
            "--start", metavar="START",
            help=f"{starts}, or a folder with earlier results.  [default: {default_start}]",
        ),
        click.option(
            "--tol", type=float, metavar="NATS", help="Stop at this stationarity.  [default: 1e-9 intrinsic, 1e-3 smoothed]"
        ),
        click.option("--max-steps", type=int, default=10_000, show_default=True, help="Most steps of a descent."),
        click.option(
            "--escape", is_flag=True,
            help="If a smoothed state is a saddle, leave it along its most unstable mode and descend again.",
        ),
        click.option("--allow-unresolved", is_flag=True, help="Smooth by kernels narrower than the grid resolves."),
        click.option("--threads", type=click.IntRange(min=1), help="Most threads.  [default: all cores; same bits for any number]"),
        click.option(
            "-o", "--output", metavar="DIR", help="Write summary.json, fields.fits (.npz on the circle), trace.csv and figure.png."
        ),
        click.option("--force", is_flag=True, help="Replace earlier results in DIR."),
        click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of the table."),
        click.option("--quiet", is_flag=True, help="Print nothing but errors (and the JSON object)."),
        click.option("--debug", is_flag=True, help="Show the traceback of an error."),
    ]  # fmt: skip
    return lambda command: functools.reduce(lambda decorated, option: option(decorated), reversed(options), command)


def guarded(command: Command) -> Command:
    """Turn exceptions of a command into one clear sentence on stderr and an exit code; --debug shows the traceback too."""

    @functools.wraps(command)
    def run(debug: bool, **options: Any) -> None:
        from fieldsolve.errors import InputError

        try:
            command(**options)
        except (click.ClickException, click.exceptions.Exit, BrokenPipeError):
            raise
        except (KeyboardInterrupt, Exception) as error:
            if debug:
                traceback.print_exc()
            if isinstance(error, KeyboardInterrupt):
                _fail("interrupted; nothing finished is lost, nothing was left half-written", INTERRUPTED)
            elif isinstance(error, InputError):
                _fail(str(error), REFUSED)
            elif isinstance(error, OSError):
                _fail(f"cannot read or write: {error.strerror or error}", REFUSED)
            else:
                _fail(f"internal error: {type(error).__name__}: {error}; run it again with --debug and report it", INTERNAL)

    return run


def _fail(message: str, code: int) -> None:
    click.echo(f"fieldsolve: {message}", err=True)
    sys.exit(code)
