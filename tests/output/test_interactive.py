"""Pages of pictures: what matplotlib has drawn is there for plotly, in its place, with its values."""

import json
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

import fieldsolve as fs
from fieldsolve.cli import main
from fieldsolve.numerics.errors import Advice
from fieldsolve.output import interactive
from fieldsolve.output.converted import converted
from fieldsolve.output.coordinates import plain
from fieldsolve.output.interactive import page_of, plotly_script
from fieldsolve.output.pictures import folder_pictures


def drawn() -> tuple[Figure, Any]:
    figure = Figure()
    return figure, figure.subplots()


def specs(page: str) -> dict[str, Any]:
    text = re.search(r'<script id="data" type="application/json">(.*?)</script>', page, re.DOTALL)
    assert text is not None
    return dict(json.loads(text[1]))


def test_lines_markers_and_limits_are_kept() -> None:
    figure, ax = drawn()
    ax.plot([0.1, 1, 10], [1, 2, np.nan], "s--", color="#D55E00", lw=3, ms=6, label="a < b")
    ax.axhline(1.5, color="grey")
    ax.axvline(2.0, color="grey")
    ax.axline((1, 1), (10, 2), color="black")
    ax.set(xscale="log", xlim=(0.1, 100), ylim=(0, 3), xlabel="here", ylabel="there", title="what")
    ax.legend()
    spec = converted(figure).spec
    lines = {tuple(one["x"]): one for one in spec["data"]}
    first = lines[(0.1, 1.0, 10.0)]
    assert first["y"] == [1.0, 2.0, None]
    assert first["mode"] == "lines+markers"
    assert first["line"]["color"] == "rgba(213,94,0,1)"
    assert first["line"]["dash"] == "dash"
    assert first["line"]["width"] == pytest.approx(4)
    assert first["marker"]["symbol"] == "square"
    assert first["name"] == "a &lt; b"
    (entry,) = (one for one in spec["data"] if one["showlegend"])
    assert (entry["name"], entry["legendgroup"], entry["line"]) == ("a &lt; b", first["legendgroup"], first["line"])
    assert entry["x"] == [None]
    across = next(one for one in spec["data"] if one["y"] == [1.5, 1.5])
    assert across["x"] == pytest.approx([0.1, 100])
    upright = next(one for one in spec["data"] if one["x"] == pytest.approx([2.0, 2.0]))
    assert upright["y"] == pytest.approx([0, 3])
    assert spec["layout"]["xaxis"]["type"] == "log"
    assert spec["layout"]["xaxis"]["range"] == pytest.approx([-1, 2])
    assert spec["layout"]["yaxis"]["range"] == [0, 3]
    assert spec["layout"]["xaxis"]["title"]["text"] == "here"
    assert [one["text"] for one in spec["layout"]["annotations"]] == ["what"]
    box = ax.get_position()
    assert spec["layout"]["xaxis"]["domain"] == [box.x0, box.x1]


def test_areas_bars_and_points_have_their_values_on_logarithmic_axes_too() -> None:
    figure, ax = drawn()
    ax.fill_between([1.0, 10.0], [1.0, 1.0], [2.0, 3.0], color="#009E73")
    ax.bar([1.0, 5.0], [2.0, 4.0], 0.5, bottom=1.0, label="bars")
    ax.scatter([2.0, 3.0], [4.0, 5.0], s=[16, 64], color=["red", "blue"])
    ax.errorbar([1.0], [2.0], [0.5], capsize=3)
    ax.stairs([1.0, 2.0], [1.0, 2.0, 3.0], fill=True)
    ax.set(xscale="log")
    data = converted(figure).spec["data"]
    area = next(one for one in data if one.get("fillcolor") == "rgba(0,158,115,1)")
    assert sorted(set(area["x"])) == pytest.approx([1, 10])
    assert max(area["y"]) == pytest.approx(3)
    bars = next(one for one in data if one["type"] == "bar")
    assert (bars["x"], bars["y"], bars["base"], bars["width"]) == ([1, 5], [2, 4], [1, 1], [0.5, 0.5])
    points = next(one for one in data if one.get("mode") == "markers" and one["x"] == pytest.approx([2.0, 3.0]))
    assert points["marker"]["size"] == pytest.approx([16 / 3, 32 / 3])
    assert points["marker"]["color"] == ["rgba(255,0,0,1)", "rgba(0,0,255,1)"]
    whisker = next(one for one in data if one.get("hoverinfo") == "skip" and one["y"][:2] == pytest.approx([1.5, 2.5]))
    assert whisker["x"][:2] == pytest.approx([1, 1])
    assert any(one.get("fill") == "toself" and sorted(set(one["y"])) == pytest.approx([0, 1, 2]) for one in data)


def test_fields_keep_values_and_colours() -> None:
    figure, ax = drawn()
    mesh = ax.pcolormesh([0, 1, 2], [0, 1, 3], [[1.0, 10.0], [100.0, np.nan]], norm=LogNorm(1, 100), cmap="viridis")
    figure.colorbar(mesh, label="nats")
    heat, bar = converted(figure).spec["data"]
    assert (heat["x"], heat["y"]) == ([0, 1, 2], [0, 1, 3])
    assert heat["z"] == [[0.0, 0.5], [1.0, None]]
    assert heat["customdata"] == [[1.0, 10.0], [100.0, None]]
    shown = bar["marker"]["colorbar"]
    assert shown["title"]["text"] == "nats"
    assert dict(zip(shown["ticktext"], shown["tickvals"], strict=True))["10<sup>1</sup>"] == pytest.approx(0.5)
    assert heat["colorscale"][0] == [0.0, "rgba(68,1,84,1)"]
    figure, ax = drawn()
    ax.imshow([[1.0, 2.0], [3.0, 4.0]], origin="lower", extent=(0, 2, 0, 4))
    (image,) = converted(figure).spec["data"]
    assert (image["x"], image["y"], image["customdata"]) == ([0, 1, 2], [0, 2, 4], [[1, 2], [3, 4]])


def test_maps_of_the_sphere_are_on_a_sphere() -> None:
    grid = fs.Healpix(16)
    figure = Figure()
    ax = figure.subplots(subplot_kw={"projection": "mollweide"})
    grid.sky(ax, grid.points(0, grid.size)[:, 0], "x")
    ax.scatter([0.0], [np.pi / 2], color="red")
    surface = next(one for one in converted(figure).spec["data"] if one["type"] == "surface")
    x, y, z, values = (np.array(surface[name], dtype=float) for name in ("x", "y", "z", "customdata"))
    np.testing.assert_allclose(x**2 + y**2 + z**2, 1, atol=3e-3)
    inside = slice(1, -1)
    np.testing.assert_allclose(values[inside], x[inside], atol=1.5 * grid.spacing)
    np.testing.assert_allclose(x[:, 0], x[:, -1], atol=2e-3)  # closed
    (pole,) = (one for one in converted(figure).spec["data"] if one["type"] == "scatter3d" and one["x"] != [None])
    assert [pole["x"][0], pole["y"][0], pole["z"][0]] == pytest.approx([0, 0, 1], abs=1e-6)


def test_polar_maps_and_other_scales() -> None:
    figure = Figure()
    ax = figure.subplots(subplot_kw={"projection": "polar"})
    ax.pcolormesh(np.linspace(0, 2 * np.pi, 5), [0.0, 1.0, 2.0], np.arange(8.0).reshape(2, 4))
    ax.plot([np.pi / 2], [2.0], "o")
    heat, point = converted(figure).spec["data"]
    assert [point["x"][0], point["y"][0]] == pytest.approx([0, 2], abs=1e-6)
    values, x, y = np.array(heat["customdata"], dtype=float), np.array(heat["x"]), np.array(heat["y"])

    def at(a: float, b: float) -> float:
        return float(values[np.searchsorted(y, b) - 1, np.searchsorted(x, a) - 1])

    assert [at(1.2, 0.7), at(-0.2, 0.3), at(-1.2, -0.9), at(0.3, -0.2)] == [4, 1, 6, 3]
    assert np.isnan(at(1.9, 1.9))
    figure, ax = drawn()
    ax.plot([0, 1], [-1.0, 100.0])
    ax.set_yscale("symlog", linthresh=1.0)
    spec = converted(figure).spec
    assert spec["data"][0]["y"] == pytest.approx(ax.yaxis.get_transform().transform(np.array([-1.0, 100.0])))
    assert "10<sup>1</sup>" in spec["layout"]["yaxis"]["ticktext"]


def test_a_second_scale_shares_the_panel_and_what_is_missing_is_said() -> None:
    figure, ax = drawn()
    ax.plot([0, 1], [0, 1])
    ax.twinx().plot([0, 1], [0, 100])
    ax.secondary_xaxis("top", functions=(lambda x: 1 - x, lambda x: 1 - x))
    found = converted(figure)
    assert found.spec["layout"]["yaxis2"]["overlaying"] == "y"
    assert found.spec["layout"]["yaxis2"]["side"] == "right"
    assert found.spec["data"][1]["yaxis"] == "y2"
    assert found.left_out == ("second axis",)
    assert "Not shown here, see figure.png: second axis." in page_of({"figure": figure})


def test_legends_of_handles_arrows_and_what_plotly_has_no_trace_for() -> None:
    figure, ax = drawn()
    ax.plot([0, 1], [0, 1], label="not in it")
    ax.imshow(np.zeros((2, 2, 3)))
    figure.legend(handles=[Line2D([], [], color="red", ls=":", label="proxy"), Patch(facecolor="blue", label="area")])
    ax.annotate("here", (0.5, 0.5), (0.0, 1.0), arrowprops={"arrowstyle": "->", "color": "green"})
    ax.annotate("", (0.5, 0.5), (0.9, 0.9), xycoords="axes fraction", arrowprops={"arrowstyle": "->"})
    found = converted(figure)
    entries = [one for one in found.spec["data"] if one["showlegend"]]
    assert [one["name"] for one in entries] == ["proxy", "area"]
    assert entries[0]["line"]["color"] == "rgba(255,0,0,1)"
    assert entries[1]["marker"]["color"] == "rgba(0,0,255,1)"
    assert {one["legend"] for one in entries} == {"legend"}
    assert 0 < found.spec["layout"]["legend"]["x"] < 1
    (arrow,) = (one for one in found.spec["layout"]["annotations"] if one["showarrow"])
    tip = figure.transFigure.inverted().transform(ax.transData.transform((0.5, 0.5)))
    assert [arrow["x"], arrow["y"]] == pytest.approx(tip)
    assert arrow["arrowcolor"] == "rgba(0,128,0,1)"
    assert found.left_out == ("AxesImage", "arrow")


def test_a_second_horizontal_scale_is_no_twin() -> None:
    figure, ax = drawn()
    ax.plot([0, 1], [0, 1])
    ax.twiny().plot([0, 100], [0, 1])
    assert "overlaying" not in converted(figure).spec["layout"]["yaxis2"]


def test_the_callers_canvas_stays() -> None:
    figure, _ = drawn()
    canvas = figure.canvas
    converted(figure)
    assert figure.canvas is canvas


def test_a_page_that_cannot_be_made_costs_no_results(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> str:
        raise ValueError("no")

    monkeypatch.setattr(interactive, "page_of", fails)
    with interactive.pages(), pytest.warns(Advice, match="no page: ValueError: no; numbers and pictures are whole"):
        files = folder_pictures(lambda: {"figure": drawn()[0]})
    assert list(files) == ["figure.png"]


def test_texts_end_no_script() -> None:
    hostile = "a <!--<script> b </script> c"
    assert "<" not in interactive.embedded({"label": hostile})
    assert json.loads(interactive.embedded({"label": hostile})) == {"label": hostile}


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a^2.npy", "a^2.npy"),
        (r"C:\times\x", r"C:\times\x"),
        ("costs $5", "costs $5"),
        (r"$\mathdefault{10^{-3}}$", "10<sup>-3</sup>"),
        ("x$^2$", "x<sup>2</sup>"),
        (r"costs \$5 & more", "costs $5 &amp; more"),
        ("two\nlines", "two<br>lines"),
        (r"$\mathdefault{2\times10^{1}}$", "2x10<sup>1</sup>"),
    ],
)
def test_words_are_shown_to_the_letter(text: str, shown: str) -> None:
    assert plain(text) == shown


def test_a_page_asks_for_nothing_and_holds_every_picture() -> None:
    solution = fs.Problem(["two-well"] * 2, 0.3, 0.01, coupling=0.5, nside=8).solve()
    page = page_of({"figure": fs.plot(solution), "again": fs.plot(solution)})
    rest = page.replace(plotly_script(), "")
    assert "http" not in rest
    pictures = specs(page)
    assert len(pictures) == 2
    kinds = [one["type"] for one in pictures["picture-0"]["data"]]
    assert kinds.count("surface") == 5
    words = [one["text"] for one in pictures["picture-0"]["layout"]["annotations"]]
    assert any("divide the sphere" in one for one in words)


@pytest.mark.browser
@pytest.mark.xdist_group("browser")
def test_a_browser_draws_it_without_a_request_or_an_error(browser: Any, tmp_path: Path) -> None:
    solution = fs.Problem(["two-well"] * 2, 0.3, 0.01, coupling=0.5, nside=8).solve()
    path = tmp_path / "page.html"
    path.write_text(page_of({"figure": fs.plot(solution)}), encoding="utf-8")
    browser.get_log("browser")
    browser.get(path.as_uri())
    panels = browser.execute_script(
        "const d = document.getElementById('picture-0'); return [d.data.length, d._fullLayout.scene5.domain]"
    )
    assert panels[0] > 10
    assert len(panels[1]["x"]) == 2
    assert [one for one in browser.get_log("browser") if one["level"] == "SEVERE"] == []


SPEC = '[problem]\npotential = "flat"\nnside = 2\n[axes]\ncoupling = [0.1, 0.3]\nfloor = [0.01, 0.1]\n'


@pytest.mark.parametrize(
    ("words", "page"),
    [
        ("multimodal --nside 4 --coupling 0.3 --tau 0.5", "figure.html"),
        ("stability --tau 0.5 --coupling 0.4", "figure.html"),
        ("encoders simplex:4,0.3 --tau 0.5 --taus 0.3", "figure.html"),
        ("phase-diagram spec.toml --workers 1", "diagram.html"),
        ("reproduce gradient --quick --seeds 2 --workers 1", "figure2.html"),
    ],
)
def test_commands_write_a_page_beside_their_pictures(
    words: str, page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("spec.toml").write_text(SPEC)
    done = CliRunner().invoke(main, [*words.split(), "-o", "run", "--html", "--quiet"])
    assert done.exit_code == 0, done.output
    pictures = specs(Path("run", page).read_text(encoding="utf-8"))
    assert all(one["data"] for one in pictures.values())
    assert len(pictures) == len(list(Path("run").glob("*.png")))
    without = CliRunner().invoke(main, [*words.split(), "-o", "plain", "--quiet"])
    assert without.exit_code == 0, without.output
    assert not list(Path("plain").glob("*.html"))
    again = CliRunner().invoke(main, ["show", "plain", "--html", "--quiet"])
    if words.startswith(("encoders", "stability")):
        assert again.exit_code == 2
        assert "run their command with --html" in again.output
        return
    assert again.exit_code == 0, again.output
    written = Path("plain", page).stat().st_mtime_ns
    again = CliRunner().invoke(main, ["show", "plain", "--quiet"])
    assert again.exit_code == 0, again.output
    assert Path("plain", page).stat().st_mtime_ns > written  # as new as the picture beside it


@pytest.mark.parametrize(
    "words", ["unimodal --html --nside x", "unimodal --html", "show nowhere --html", "unimodal --html --help"]
)
def test_pages_end_with_their_command(words: str) -> None:
    assert CliRunner().invoke(main, words.split()).exit_code in (0, 2, 3)
    assert not interactive.are_wanted()


def test_reports_have_pages_beside_them(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((2, 40, 8))
    np.save(tmp_path / "pairs.npy", rows / np.linalg.norm(rows, axis=-1, keepdims=True))
    arguments = ["diagnose", str(tmp_path / "pairs.npy"), "--tau", "0.1", "-o", str(tmp_path / "out"), "--html", "--quiet"]
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == 0, done.output
    pictures = specs((tmp_path / "out" / "figures.html").read_text(encoding="utf-8"))
    assert len(pictures) == len(list((tmp_path / "out").glob("*.png"))) > 1


def test_pages_need_a_folder_and_plotly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done = CliRunner().invoke(main, ["unimodal", "--nside", "4", "--html"])
    assert done.exit_code == 2
    assert "-o DIR" in done.output
    monkeypatch.setitem(sys.modules, "plotly.offline", None)
    done = CliRunner().invoke(main, ["unimodal", "--nside", "4", "--html", "-o", str(tmp_path / "run")])
    assert done.exit_code == 3
    assert "fieldsolve[web]" in done.output
    assert not (tmp_path / "run").exists()
