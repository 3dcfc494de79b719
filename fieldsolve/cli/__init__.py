"""The command line: parse, call the library, print. No numerics here.

A new command is one file in `commands`, with a click command named `command`; its name is that of the file.
"""

import io
import os
import signal
import sys
import threading
from importlib import import_module
from pkgutil import iter_modules

import click

from fieldsolve.cli import commands
from fieldsolve.cli.options import collected_advice


class _Commands(click.Group):
    """The commands in their folder: a module is imported when it is asked for, and none imports anything slow before it runs."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(module.name.replace("_", "-") for module in iter_modules(commands.__path__))

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.list_commands(ctx):
            return None
        command = import_module(f"{commands.__name__}.{cmd_name.replace('-', '_')}").command
        assert isinstance(command, click.Command)
        return command


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="fieldsolve")
@click.pass_context
def main(ctx: click.Context) -> None:
    """Solve the population geometry of contrastive learning on sphere grids.

    Exit codes: 0 done, 1 internal error, 2 usage, 3 input refused, 4 not converged, 5 some
    cells of a diagram or runs failed, 6 a check that was asked for failed, 130 interrupted.
    """
    _set_up_process()
    ctx.obj = ctx.with_resource(collected_advice())  # options of commands are read only after this


def _set_up_process() -> None:
    """Let a termination do what an interruption does, pictures look as ours, and every name be printed."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, signal.default_int_handler)
    os.environ |= {"MPLBACKEND": "agg", "MATPLOTLIBRC": os.devnull}  # matplotlib reads them when it is imported
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # of file names that are no Unicode
