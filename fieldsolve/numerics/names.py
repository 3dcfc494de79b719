"""Short texts for small immutable objects, the same on the command line, in TOML and JSON: healpix:64, name:key=value; names."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, TypeVar

from fieldsolve.numerics.errors import InputError

_T = TypeVar("_T")

_CONVERTED = {int: int, float: float, str: str, "int": int, "float": float, "str": str}


def text_of(thing: Any) -> str:
    """NAME:VALUE of a dataclass with one field, NAME:FIELD=VALUE,... of one with several, NAME of one with none.

    The values come back to the last bit. thing: a dataclass instance with a class attribute `name` and plain fields; those that
    its repr leaves out are no part of the name.
    """
    values = {field.name: getattr(thing, field.name) for field in fields(thing) if field.repr}
    written = [f"{value!r}" if isinstance(value, float) else str(value) for value in values.values()]
    if len(values) > 1:
        written = [f"{name}={value}" for name, value in zip(values, written, strict=True)]
    return f"{thing.name}:{','.join(written)}" if values else str(thing.name)


def made_of(text: str, table: Mapping[str, type[_T]], what: str) -> _T:
    """The object of a class in a table that a text names, as `text_of` writes it; values may come in order or by name.

    Raises InputError for a name that is not in the table, fields that the class does not have, and values of another type.
    """
    name, _, rest = text.partition(":")
    if name not in table:
        raise InputError(f"unknown {what} {text!r}; there is {', '.join(sorted(table))}")
    made: Any = table[name]
    known = {field.name: field.type for field in fields(made) if field.repr}
    values: dict[str, Any] = {}
    for index, part in enumerate(filter(None, rest.split(","))):
        key, is_named, value = part.partition("=")
        key, value = (key.strip(), value) if is_named else (list(known)[index] if index < len(known) else part, key)
        if key not in known or key in values:
            raise InputError(f"cannot read {part!r} in {text!r}: {what} {name} has {', '.join(known) or 'no values'}, each once")
        try:
            values[key] = _CONVERTED[known[key]](value)
        except ValueError:
            raise InputError(f"cannot read {part!r} in {text!r}: {key} is a number") from None
    try:
        result: _T = made(**values)
    except TypeError:
        raise InputError(f"{text!r} says too little: {what} {name} needs {', '.join(known)}") from None
    return result


def printable(name: str) -> str:
    """A user's name with what cannot be shown (bytes that are no Unicode, escape characters) replaced."""
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in name)
