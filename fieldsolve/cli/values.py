"""What options may be: values of a problem's parameters, numbers within bounds, names of files and of folders."""

import os
from math import inf
from pathlib import Path
from typing import Any

import click

from fieldsolve.equilibrium.parameters import Parameter
from fieldsolve.numerics.errors import InputError
from fieldsolve.numerics.names import printable

_LONGEST_NAME, _DEEPEST = 4095, 200  # bytes, and folders in each other

#: How a picture's name may end.
FIGURES = (".png", ".svg", ".pdf")

#: What a user writes who takes a folder for a file.
_FILES = (*FIGURES, ".jpg", ".jpeg", ".json", ".csv", ".npy", ".npz", ".html")


class Checked(click.ParamType):  # type: ignore[type-arg, unused-ignore]
    """The values that a parameter allows; others are errors of usage."""

    def __init__(self, parameter: Parameter) -> None:
        self.parameter, self.name = parameter, parameter.kind.__name__

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if isinstance(value, str) and self.parameter.is_number:
            kind: Any = click.FLOAT if self.parameter.kind is float else click.INT
            value = kind.convert(value, param, ctx)
        try:
            return self.parameter.check(value)
        except InputError as error:
            self.fail(str(error), param, ctx)


class Between(click.ParamType):  # type: ignore[type-arg, unused-ignore]
    """Numbers from the least, or above it, to the most; NaN is none."""

    name = "float"

    def __init__(self, least: float, most: float = inf, above: bool = False) -> None:
        self.least, self.most, self.above = least, most, above

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        number = click.FLOAT.convert(value, param, ctx)
        if not self.least <= number <= self.most or (self.above and number == self.least):
            lower = f"above {self.least:g}" if self.above else f"of at least {self.least:g}"
            upper = "" if self.most == inf else f" and at most {self.most:g}"
            self.fail(f"{value} is not a number {lower}{upper}.", param, ctx)
        return number


#: Numbers above 0.
POSITIVE = Between(0.0, above=True)


class FileName(click.Path):
    """Names of files and folders; those that no file system takes are errors of usage."""

    def __init__(self) -> None:
        super().__init__(path_type=Path)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        name = os.fsencode(value)
        if not name or b"\0" in name or len(name) > _LONGEST_NAME or name.count(b"/") > _DEEPEST:
            self.fail(
                f"a name has from 1 to {_LONGEST_NAME} bytes, none of them zero, in at most {_DEEPEST} folders.", param, ctx
            )
        return super().convert(value, param, ctx)


class FigureName(FileName):
    """Names of pictures, whose end says of what kind they are."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        path: Path = super().convert(value, param, ctx)
        if path.suffix.lower() not in FIGURES:
            self.fail(f"{printable(str(path))}: a picture is written as {', '.join(FIGURES)}.", param, ctx)
        return path


class PageName(FileName):
    """Names of pages."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        path: Path = super().convert(value, param, ctx)
        if path.suffix.lower() != ".html":
            self.fail(f"{printable(str(path))}: a page is written as .html.", param, ctx)
        return path


class FolderName(FileName):
    """Names of folders for results; one that ends like a file's is an error of usage, since a folder would get it."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        path: Path = super().convert(value, param, ctx)
        if path.suffix.lower() in _FILES and not path.is_dir():
            options = [] if ctx is None else [one.name for one in ctx.command.params]
            instead = "; a picture alone is written by --figure FILE" if "figure" in options else ""
            self.fail(f"{printable(str(path))} looks like a file, and results are written to a folder{instead}.", param, ctx)
        return path
