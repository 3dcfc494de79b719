"""Pictures of phase diagrams: what is drawn is what was computed."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fieldsolve.diagrams.diagram import Diagram, fill
from fieldsolve.diagrams.pictures import draw, write_pictures
from fieldsolve.diagrams.spec import spec_of
from fieldsolve.output.pictures import render
from fieldsolve.runs import in_this_process, value_of

COUPLING = {"from": 0.0, "to": 0.4, "steps": 9}


def diagram(folder: Path, axes: dict[str, Any], **more: Any) -> Diagram:
    problem = {name: value for name, value in {"tau": 1.0, "nside": 4, **more.pop("problem", {})}.items() if name not in axes}
    return fill(spec_of({"problem": problem, "axes": axes, **more}), folder / "d", in_this_process)


def labels(ax: Any) -> list[str]:
    return [line.get_label() for line in ax.lines]


def test_one_axis(tmp_path: Path) -> None:
    found = diagram(tmp_path, {"coupling": COUPLING}, diagram={"certified_gap": 1e-9})
    drawn = draw(found)
    energy, order, gap = drawn.axes
    lines = {line.get_label(): line for line in energy.lines}
    np.testing.assert_allclose(lines["lowest state"].get_ydata(), found.field("energy"))
    (_, up), (_, down) = found.branches
    assert list(lines["followed upwards"].get_ydata()) == [state["energy"] for state in value_of(up, "states")]
    assert list(lines["followed downwards"].get_xdata()) == found.branches[1][0].config["values"]
    assert value_of(down, "states")[0]["phase"] == "separated"
    spinodal = next(line for label, line in lines.items() if label.startswith("spinodal at 0.25"))
    assert spinodal.get_xdata()[0] == pytest.approx(0.25, abs=1e-6)
    assert any(label.startswith("binodal") for label in labels(order))
    hatched = [patch for patch in gap.patches if patch.get_hatch()]
    assert 0 < len(hatched) == int((~found.certified()).sum()) < 9
    assert gap.get_yscale() == "log"


def test_one_axis_without_numbers_and_transitions_along_the_floor(tmp_path: Path) -> None:
    words = diagram(tmp_path / "a", {"energy": ["intrinsic", "smoothed"]}, problem={"coupling": 0.2})
    ticks = draw(words).axes[2].get_xticklabels()
    assert [tick.get_text() for tick in ticks] == ["intrinsic", "smoothed"]
    floors = {"from": 1e-3, "to": 0.5, "steps": 9, "spacing": "geometric"}
    along = diagram(tmp_path / "b", {"floor": floors}, problem={"coupling": 0.15})
    axes = draw(along).axes
    assert axes[0].get_xscale() == "log"
    (place,) = [line.get_xdata()[0] for line in axes[0].lines if str(line.get_label()).startswith("binodal")]
    stability = along.words("matched_stability").tolist()
    change = stability.index("stable")
    assert stability == ["metastable"] * change + ["stable"] * (9 - change)
    assert along.spec.axes["floor"][change - 1] < place < along.spec.axes["floor"][change]


def test_two_axes(tmp_path: Path) -> None:
    floors = {"from": 1e-3, "to": 0.5, "steps": 5, "spacing": "geometric"}
    found = diagram(tmp_path, {"floor": floors, "coupling": COUPLING}, diagram={"certified_gap": 1e-9})
    drawn = draw(found)
    ax = drawn.axes[0]
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "linear")
    mesh, hatched = ax.collections
    np.testing.assert_allclose(np.asarray(mesh.get_array()).reshape(9, 5), found.field("symmetric_kl").T)
    assert len(hatched.get_paths()) == int((~found.certified()).sum()) > 0
    binodal, spinodal = ax.lines
    np.testing.assert_allclose(binodal.get_ydata(), [value_of(outcome, "binodal") for _, outcome in found.curves])
    np.testing.assert_allclose(spinodal.get_ydata(), 0.25, atol=1e-6)
    np.testing.assert_allclose(binodal.get_xdata(), found.spec.axes["floor"])
    assert any("gap unknown" in text.get_text() for text in drawn.legends[0].get_texts())


def test_borders_without_a_coupling_axis_follow_the_cells(tmp_path: Path) -> None:
    axes = {"floor": [0.5, 1e-3, 1e-2], "misalign": [0.0, 10.0]}  # in any order
    found = diagram(tmp_path, axes, problem={"coupling": 0.15})
    ax = draw(found).axes[0]
    stable = (found.words("matched_stability") == "stable")[[1, 2, 0]]
    changes = int((stable[1:] != stable[:-1]).sum() + (stable[:, 1:] != stable[:, :-1]).sum())
    assert sum(line.get_linestyle() == "-" for line in ax.lines) == changes > 0


def test_three_axes(tmp_path: Path) -> None:
    found = diagram(tmp_path, {"coupling": [0.0, 0.3], "floor": [1e-3, 1e-2], "energy": ["intrinsic", "smoothed"]})
    drawn = draw(found)
    first, second = drawn.axes[:2]
    assert (first.get_title(), second.get_title()) == ("energy = intrinsic", "energy = smoothed")
    np.testing.assert_allclose(np.asarray(first.collections[0].get_array()).reshape(2, 2), found.field("symmetric_kl")[..., 0].T)
    assert len(second.collections[1].get_paths()) == 4  # smoothed: no bound, hatched
    assert len(first.lines) == 2
    assert len(second.lines) == 0  # transitions are those of the intrinsic energy


def test_too_many_panels_are_left_to_the_table(tmp_path: Path) -> None:
    axes = {"coupling": [0.0], "floor": [0.1], "tau": {"from": 1, "to": 2, "steps": 37}}
    (note,) = write_pictures(diagram(tmp_path, axes), tmp_path / "d")
    assert "36 panels" in note


def test_failed_cells_and_unfinished_diagrams_are_drawn(tmp_path: Path) -> None:
    found = diagram(tmp_path, {"coupling": [0.0, 0.3], "floor": [0.0, 1e-2]})
    drawn = draw(found)
    assert np.ma.is_masked(drawn.axes[0].collections[0].get_array())
    assert any(text.get_text() == "failed" for text in drawn.legends[0].get_texts())
    nothing = Diagram(found.spec, [(task, None) for task, _ in found.cells], [], [])
    assert render(draw(nothing), "png").startswith(b"\x89PNG")


def test_the_same_bytes_every_time(tmp_path: Path) -> None:
    found = diagram(tmp_path, {"coupling": COUPLING})
    for kind in ("png", "svg"):
        assert render(draw(found), kind) == render(draw(found), kind)
