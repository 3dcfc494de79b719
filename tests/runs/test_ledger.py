"""The ledger of a run: what is damaged on the disk is computed again, and never taken for something else."""

import json
import warnings
from pathlib import Path

import numpy as np
import pytest

from fieldsolve.numerics.errors import Advice, InputError
from fieldsolve.runs import LEDGER, Ledger, Outcome, Task, Work, fill_folder, in_this_process

TASKS = [Task.of("cell", {"coupling": index / 7, "floor": 1e-3}) for index in range(12)]
SPEC = json.dumps({"axes": {"coupling": [index / 7 for index in range(12)]}})


def compute(kind: str, config: dict) -> Outcome:
    if config["coupling"] > 1.4:
        return Outcome(None, "too strong", 0.25)
    return Outcome({"energy": -1.2345678901234567 * config["coupling"], "phase": "matched"}, None, 0.125)


def fill(folder: Path) -> dict[str, Outcome]:
    return fill_folder(folder, Work(SPEC, lambda known: known == SPEC, TASKS, compute), in_this_process)


def flipped(content: bytes, bit: int) -> bytes:
    place, mask = bit // 8, 1 << bit % 8
    return content[:place] + bytes([content[place] ^ mask]) + content[place + 1 :]


def test_a_changed_digit_is_noticed_and_computed_again(tmp_path: Path) -> None:
    whole = fill(tmp_path / "run")
    path = tmp_path / "run" / LEDGER
    content = path.read_bytes()
    digits = json.dumps(whole[TASKS[3].key].values).encode()
    assert content.count(digits) == 1
    path.write_bytes(content.replace(digits, digits.replace(b"matched", b"watched")))
    with pytest.warns(Advice, match="1 of 12 rows of its outcomes are damaged"):
        assert fill(tmp_path / "run") == whole
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert fill(tmp_path / "run") == whole


def test_a_damaged_row_is_left_out_by_who_only_reads(tmp_path: Path) -> None:
    whole = fill(tmp_path / "run")
    path = tmp_path / "run" / LEDGER
    content = path.read_bytes()
    path.write_bytes(content.replace(b"too strong", b"too stroog", 1))
    with Ledger(path, write=False) as ledger, pytest.warns(Advice, match="1 of 12 rows"):
        found = ledger.outcomes()
    assert len(found) == 11
    assert found.items() <= whole.items()


def test_a_damaged_spec_is_asked_for_again(tmp_path: Path) -> None:
    whole = fill(tmp_path / "run")
    path = tmp_path / "run" / LEDGER
    path.write_bytes(path.read_bytes().replace(b'{"axes"', b'{"axex"', 1))
    with Ledger(path, write=False) as ledger, pytest.warns(Advice, match="1 of 1 rows of its spec"):
        assert ledger.spec() is None
    with pytest.warns(Advice, match="spec"):
        assert fill(tmp_path / "run") == whole


def test_no_flipped_bit_becomes_a_number(tmp_path: Path) -> None:
    """Wherever it is: what is read is what was written, or less, or a sentence that says what to do."""
    whole = fill(tmp_path / "run")
    content = (tmp_path / "run" / LEDGER).read_bytes()
    ends = {"refused": 0, "less": 0, "whole": 0}
    for number, bit in enumerate(np.random.default_rng(14).integers(0, 8 * len(content), 400).tolist()):
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / LEDGER).write_bytes(flipped(content, bit))
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            try:
                with Ledger(folder / LEDGER) as ledger:
                    assert ledger.spec() in (SPEC, None)
                    found = ledger.outcomes()
            except InputError as error:
                assert "folder" in str(error)  # noqa: PT017 -- what is refused is one of three right ends
                ends["refused"] += 1
                continue
        assert found.items() <= whole.items()
        assert said or len(found) == 12 or len(found) == 0
        ends["whole" if found == whole and not said else "less"] += 1
    assert min(ends.values()) > 0
