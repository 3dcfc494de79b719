"""The command line: parse, call the library, print."""

from importlib import import_module

import click

# A command's module is imported when it is asked for; none imports anything slow before it runs.
_COMMANDS = ("unimodal", "multimodal", "phase-diagram", "stability", "consistency", "sharpness", "reproduce", "diagnose", "show")


class _Commands(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        module = cmd_name.replace("-", "_")
        command = getattr(import_module(f"fieldsolve.cli.{module}"), module)
        assert isinstance(command, click.Command)
        return command


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="fieldsolve")
def main() -> None:
    """Solve the population geometry of contrastive learning on sphere grids.

    Exit codes: 0 done, 1 internal error, 2 usage, 3 input refused, 4 not converged, 5 some
    cells of a diagram failed, 130 interrupted.
    """
