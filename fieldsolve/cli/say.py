"""What is printed: text in which nothing steers the terminal."""

import click

from fieldsolve.numerics.names import printable


def say(text: str, err: bool = False) -> None:
    """Print lines, on stdout or stderr, with characters replaced that are no text: names of files may hold escape sequences."""
    click.echo("\n".join(map(printable, text.split("\n"))), err=err)
