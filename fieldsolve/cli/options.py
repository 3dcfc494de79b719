"""Options, generated from the parameters of problems or shared by commands, and how what goes wrong becomes an exit code."""

import functools
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any

import click

from fieldsolve.cli.say import say
from fieldsolve.cli.values import Checked, FigureName, FolderName
from fieldsolve.equilibrium.parameters import PARAMETERS
from fieldsolve.numerics.errors import Advice, InputError
from fieldsolve.output import interactive

INTERNAL, REFUSED, NOT_CONVERGED, CELLS_FAILED, CHECK_FAILED, INTERRUPTED = 1, 3, 4, 5, 6, 130  # click's own: 0 done, 2 usage

Command = Callable[..., Any]

_MOST_THREADS = 4096
_PAGES = "fieldsolve.pages"  # whether --html is given, in the context of a command


def parameter_option(name: str, help_text: str | None = None, automatic: str | None = None) -> Callable[[Command], Command]:
    """The option of a problem's parameter; help_text, automatic: what a command says of it and of its default instead."""
    one = PARAMETERS[name]
    text = help_text or one.help
    if one.kind is bool and one.default:
        return click.option(f"{one.flag}/--no-{one.flag[2:]}", name, default=True, show_default=True, help=text)
    if one.kind is bool:
        return click.option(one.flag, name, is_flag=True, default=one.default, help=text)
    if one.default is None:
        text += f"  [default: {automatic or one.automatic}]"
    metavar = one.unit if one.choices is None or one.unit else f"[{'|'.join(one.choices())}]"
    is_shown = one.default is not None
    return click.option(one.flag, name, type=Checked(one), default=one.default, show_default=is_shown, metavar=metavar, help=text)


def decorate(options: Sequence[Callable[[Any], Any]]) -> Callable[[Command], Command]:
    """All of these options, in the order of the help."""
    return lambda command: functools.reduce(lambda made, option: option(made), reversed(options), command)


def problem_options(starts: str, default_start: str, default_floor: str) -> Callable[[Command], Command]:
    """The options of commands that solve a problem: one for every parameter besides the potentials', and for terms."""
    changes: dict[str, dict[str, str]] = {
        "start": {"help_text": f"{starts}, or a folder with earlier results.", "automatic": default_start},
        "floor": {"automatic": default_floor},
    }
    options = [parameter_option(name, **changes.get(name, {})) for name in PARAMETERS if name not in ("coupling", "misalign")]
    terms = click.option(
        "--term",
        "terms",
        multiple=True,
        metavar="TERM",
        help="Add a term to the energy, as NAME:VALUE,... or NAME:FIELD=VALUE,...; again for more. Penalties: centroid:WEIGHT, "
        "mmd:WEIGHT,TAU, energy-distance:WEIGHT, uniformity:WEIGHT,T, cross-uniformity:WEIGHT,T, noise:TEMPERATURE. "
        "Instead of the cross-entropies: mixture:OWN, tempered:OWN, sigmoid, sigmoid-at:BIAS, temperatures:TAU1,TAU2, "
        'mixing:ROWS ("mixing:0.5 0.5/0.3 0.7").',
    )
    return decorate([*options, terms])


figure_option = click.option(
    "--figure", type=FigureName(), metavar="FILE", help="Write the picture alone, as .pdf, .svg or .png by FILE's name."
)


def _with_pages(ctx: click.Context, _: click.Parameter, is_wanted: bool) -> None:
    ctx.meta[_PAGES] = is_wanted  # opened by `guard`: where options are wrong, nothing would close it


html_option = click.option(
    "--html", is_flag=True, expose_value=False, callback=_with_pages,
    help="Write the pictures as a page too, to turn and to hover over; needs plotly: pip install 'fieldsolve[web]'.",
)  # fmt: skip

threads_option = click.option(
    "--threads", type=click.IntRange(1, _MOST_THREADS), help="Most threads.  [default: all cores; same bits for any number]"
)


def result_options(written: str, has_figure: bool = True) -> Callable[[Command], Command]:
    """The options of commands whose results are printed and can be written; written: what a folder of them holds."""
    return decorate([
        threads_option,
        click.option("-o", "--output", type=FolderName(), metavar="DIR", help=f"Write {written}."),
        html_option,
        *([figure_option] if has_figure else []),
        click.option("--force", is_flag=True, help=f"Replace earlier results in DIR{', and FILE' if has_figure else ''}."),
        *_PRINTING,
    ])  # fmt: skip


_PRINTING = [
    click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of the table."),
    click.option("--quiet", is_flag=True, help="Print nothing but errors (and the JSON object)."),
    click.option("--debug", is_flag=True, help="Show the traceback of an error."),
]

#: The options of commands that only print.
printing_options = decorate(_PRINTING)


def guard(command: Command) -> Command:
    """Turn exceptions of a command into one clear sentence on stderr and an exit code; --debug shows the traceback too."""

    @functools.wraps(command)
    def run(debug: bool, **options: Any) -> None:
        try:
            with interactive.pages() if click.get_current_context().meta.get(_PAGES) else nullcontext():
                _check_pages(options)
                command(**options)
        except (click.ClickException, click.exceptions.Exit, BrokenPipeError):
            raise
        except (KeyboardInterrupt, Exception) as error:
            if debug:
                traceback.print_exc()
            if isinstance(error, KeyboardInterrupt):
                _fail("interrupted; what was written before is as it was, and nothing is half-written", INTERRUPTED)
            elif isinstance(error, InputError):
                _fail(str(error), REFUSED)
            elif isinstance(error, MemoryError):
                _fail("this needs more memory than there is; a coarser grid, fewer rows or other options need less", REFUSED)
            elif isinstance(error, OSError):
                _fail(f"cannot read or write: {error.strerror or error}", REFUSED)
            else:
                _fail(f"internal error: {type(error).__name__}: {error}; run it again with --debug and report it", INTERNAL)
        finally:
            for advice in [] if options.get("quiet") else click.get_current_context().obj or []:
                say(f"note: {advice}", err=True)

    return run


def _check_pages(options: dict[str, Any]) -> None:
    """Refuse pages that would have no folder, or that nothing can make, before anything is computed."""
    if not interactive.are_wanted():
        return
    if "output" in options and options["output"] is None:
        raise click.UsageError("--html writes a page beside the pictures of a folder; give one with -o DIR")
    interactive.plotly_script()


@contextmanager
def collected_advice() -> Iterator[list[str]]:
    """What fieldsolve advises while this is open, each thing once, instead of as warnings; other warnings go their way."""
    said: list[str] = []
    with warnings.catch_warnings():
        others = warnings.showwarning

        def show(message: Warning | str, category: type[Warning], *place: Any, **more: Any) -> None:
            if not issubclass(category, Advice):
                others(message, category, *place, **more)
            elif str(message) not in said:
                said.append(str(message))

        warnings.showwarning = show
        warnings.simplefilter("always", Advice)
        yield said


def _fail(message: str, code: int) -> None:
    say(f"fieldsolve: {message}", err=True)
    sys.exit(code)
