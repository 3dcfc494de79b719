"""Short texts for small objects: what is written is read, to the last bit."""

from dataclasses import dataclass
from typing import ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fieldsolve.numerics.errors import InputError
from fieldsolve.numerics.names import made_of, text_of


@dataclass(frozen=True)
class Nothing:
    name: ClassVar[str] = "nothing"


@dataclass(frozen=True)
class One:
    count: int
    name: ClassVar[str] = "one"


@dataclass(frozen=True)
class Many:
    weight: float
    count: int = 3
    kind: str = "a"
    name: ClassVar[str] = "many"


TABLE = {one.name: one for one in (Nothing, One, Many)}


@given(weight=st.floats(allow_nan=False, allow_infinity=False), count=st.integers(), kind=st.sampled_from(["a", "b-c", ""]))
def test_what_is_written_is_read(weight: float, count: int, kind: str) -> None:
    for thing in (Nothing(), One(count), Many(weight, count, kind)):
        assert made_of(text_of(thing), TABLE, "thing") == thing


def test_how_it_is_written() -> None:
    assert (text_of(Nothing()), text_of(One(64)), text_of(Many(0.5))) == ("nothing", "one:64", "many:weight=0.5,count=3,kind=a")
    assert made_of("many:2,count=5", TABLE, "thing") == Many(2.0, 5)
    assert made_of("many: weight=2", TABLE, "thing") == Many(2.0)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("two", "unknown thing 'two'; there is many, nothing, one"), ("one:x", "count is a number"), ("one:1,2", "each once"),
        ("one", "says too little"), ("many:weight=1,weight=2", "each once"), ("many:height=1", "has weight, count, kind"),
        ("nothing:1", "has no values"), ("one:1.5", "number"),
    ],
)  # fmt: skip
def test_what_names_nothing_is_refused(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        made_of(text, TABLE, "thing")
