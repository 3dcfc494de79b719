"""The default page in a real browser: no request, no error, and every control does what it says."""

import json
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fieldsolve as fs
from fieldsolve.explorer import Explorer, Stops, explore, html
from fieldsolve.explorer.tasks import FIGURES
from fieldsolve.runs import in_processes

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser"), pytest.mark.timeout(600)]

LARGEST = 8_000_000  # bytes
PATIENCE = 20.0  # seconds


HOSTILE = "two-well <!--<script> & </script> \N{SNOWMAN}"


@pytest.fixture(scope="module")
def found() -> Explorer:
    return explore(fs.Problem(["two-well"] * 2, 0.3, 0.01, coupling=0.3, nside=16), run=in_processes(2))


@pytest.fixture(scope="module")
def page(found: Explorer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("page") / "explorer.html"
    path.write_text(html(found), encoding="utf-8")
    return path


@pytest.fixture
def opened(browser: Any, page: Path) -> Any:
    resize(browser, 1280)
    browser.get(page.as_uri())
    wait(browser, lambda: browser.execute_script("return document.querySelectorAll('#spheres canvas').length > 0"))
    return browser


def resize(browser: Any, width: int) -> None:
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)


def wait(browser: Any, is_there: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE
    while not is_there():
        assert time.monotonic() < end, browser.execute_script("return document.getElementById('status').textContent")
        time.sleep(0.05)


def text(browser: Any, name: str) -> str:
    return str(browser.execute_script("return document.getElementById(arguments[0]).textContent", name))


def change(browser: Any, name: str, value: object, event: str = "input") -> None:
    before = browser.execute_script("return document.body.dataset.updates")
    browser.execute_script(
        "const e = document.getElementById(arguments[0]); e.value = arguments[1]; e.dispatchEvent(new Event(arguments[2]))",
        name, value, event,
    )  # fmt: skip
    wait(browser, lambda: browser.execute_script("return document.body.dataset.updates") != before)


def setting(browser: Any) -> dict[str, float]:
    return dict(browser.execute_script("return Explorer.setting"))


def test_the_file_is_small_and_all_of_it_is_certified(found: Explorer, page: Path) -> None:
    assert page.stat().st_size < LARGEST
    assert found.gaps.size >= 21 * 21 * 5
    assert found.gaps.max() < 1e-5


def test_it_opens_without_a_request_or_an_error(opened: Any, page: Path) -> None:
    sent = [json.loads(one["message"])["message"] for one in opened.get_log("performance")]
    addresses = [one["params"]["request"]["url"] for one in sent if one["method"] == "Network.requestWillBeSent"]
    assert page.as_uri() in addresses
    assert [one for one in addresses if not one.startswith(("data:", "blob:")) and one != page.as_uri()] == []
    assert [one for one in opened.get_log("browser") if one["level"] == "SEVERE"] == []
    assert text(opened, "status").startswith("Certified")


def test_its_states_are_the_packages(opened: Any, found: Explorer) -> None:
    stops, rng = found.stops, np.random.default_rng(1)
    at = [tuple(int(rng.integers(count)) for count in stops.shape) for _ in range(40)]
    script = (
        "const found = []; for (const [m, t, f, c] of arguments[0]) { const s = Data.stops;"
        "Object.assign(Explorer.setting, {misalign: s.misalign[m], tau: s.tau[t], floor: s.floor[f], coupling: s.coupling[c]});"
        "const {figures, bound} = Explorer.state(); found.push([figures.energy, bound, figures.centroid_gap]); } return found"
    )
    states = np.array(opened.execute_script(script, at))
    expected = np.array([found.table[place] for place in at])
    energy, bound = expected[:, FIGURES.index("energy")], expected[:, FIGURES.index("bound")]
    np.testing.assert_array_equal(states[:, 1], bound)
    assert np.all(states[:, 0] - bound >= -1e-9)
    np.testing.assert_allclose(states[:, 0], energy, atol=1e-5)
    np.testing.assert_allclose(states[:, 2], expected[:, FIGURES.index("centroid_gap")], atol=0.05)


@pytest.mark.parametrize(("tau", "coupling", "floor", "misalign"), [(0.25, 0.137, 0.003, 0.0), (0.8, 0.45, 0.07, 30.0)])
def test_states_between_entries_are_as_low_as_solve_finds(
    opened: Any, tau: float, coupling: float, floor: float, misalign: float
) -> None:
    asked = {"tau": tau, "coupling": coupling, "floor": floor, "misalign": misalign}
    energy, bound, at = opened.execute_script(
        "Object.assign(Explorer.setting, arguments[0]); const s = Explorer.state(); return [s.figures.energy, s.bound, s.at]",
        asked,
    )
    solution = fs.Problem(["two-well"] * 2, tau, floor, coupling=coupling, misalign=misalign, nside=16).solve()
    assert at is None
    assert energy == pytest.approx(solution.energy, abs=1e-5)
    assert bound == pytest.approx(solution.bound, abs=1e-5)


def test_labels_are_shown_to_the_letter(browser: Any, tmp_path: Path) -> None:
    potential = replace(fs.two_well(), label=HOSTILE, name=None)
    stops = Stops((0.3, 0.5), (0.1, 0.4), (0.01, 0.1), (0.0,), (0.0, 0.4))
    path = tmp_path / "page.html"
    path.write_text(html(explore(fs.Problem([potential] * 2, 0.3, 0.1, coupling=0.4, nside=4), stops)), encoding="utf-8")
    browser.get(path.as_uri())
    wait(browser, lambda: text(browser, "status").startswith("Certified"))
    assert HOSTILE in browser.execute_script("return document.querySelector('header').textContent")
    assert browser.execute_script("return document.scripts.length") == 3
    titles = "return Array.from(document.querySelectorAll('#spheres .annotation')).map((e) => e.textContent)"
    assert browser.execute_script(titles)[0].startswith("modality 1: two-well <!--<scrip")
    assert browser.execute_script("return document.getElementById('misalign').disabled")


def test_a_slider_moves_pixels_and_numbers(opened: Any) -> None:
    def seen() -> tuple[str, str, str]:
        colours = "return Array.from(document.getElementById('spheres').data[0].intensity.slice(0, 4000)).join()"
        return opened.execute_script(colours), text(opened, "figures"), text(opened, "coupling-value")

    before, picture = seen(), opened.get_screenshot_as_png()
    change(opened, "coupling", 50)
    after = seen()
    assert all(one != other for one, other in zip(before, after, strict=True))
    assert opened.get_screenshot_as_png() != picture
    assert text(opened, "status").startswith("Certified")  # 0.05 is an entry
    change(opened, "coupling", 233)
    assert text(opened, "status").startswith("Between certified entries")
    opened.execute_script("document.getElementById('snap').click()")
    wait(opened, lambda: text(opened, "status").startswith("Certified"))
    assert setting(opened)["coupling"] == 0.225


def test_every_view_and_the_stored_sweeps_are_drawn(opened: Any) -> None:
    pictures = [opened.get_screenshot_as_png()]
    for name, value in (("show", "effective"), ("show", "potential"), ("show", "ratio"), ("colour", "energy"), ("along", "tau")):
        change(opened, name, value, "change")
        pictures.append(opened.get_screenshot_as_png())
    assert len(set(pictures)) == len(pictures)
    opened.execute_script("document.querySelector('input[value=down]').click()")
    wait(opened, lambda: "stored state" in text(opened, "status"))
    assert opened.execute_script("return document.getElementById('tau').disabled")
    change(opened, "coupling", 14)
    assert float(text(opened, "coupling-value")) == 1.0
    assert [one for one in opened.get_log("browser") if one["level"] == "SEVERE"] == []


def test_a_click_in_the_diagram_goes_to_that_cell(opened: Any, found: Explorer) -> None:
    from selenium.webdriver import ActionChains

    wanted = {"coupling": found.stops.coupling[15], "floor": found.stops.floor[4]}
    opened.execute_script("document.getElementById('diagram').scrollIntoView()")
    x, y = opened.execute_script(
        "const d = document.getElementById('diagram'), l = d._fullLayout, r = d.getBoundingClientRect();"
        "return [r.left + l.xaxis._offset + l.xaxis.d2p(arguments[0]), r.top + l.yaxis._offset + l.yaxis.d2p(arguments[1])]",
        *wanted.values(),
    )
    actions = ActionChains(opened)
    actions.w3c_actions.pointer_action.move_to_location(int(x) - 20, int(y) + 20)
    actions.w3c_actions.pointer_action.move_to_location(int(x), int(y)).click()
    actions.perform()
    wait(opened, lambda: {name: setting(opened)[name] for name in wanted} == wanted)
    assert text(opened, "status").startswith("Certified")


def test_both_spheres_turn_together(opened: Any) -> None:
    from selenium.webdriver import ActionChains, Keys

    def eyes() -> list[list[float]]:
        script = (
            "const l = document.getElementById('spheres')._fullLayout;"
            "return [l.scene, l.scene2].map((s) => { const {x, y, z} = s._scene.getCamera().eye; return [x, y, z]; })"
        )
        return [[round(part, 6) for part in eye] for eye in opened.execute_script(script)]

    before = eyes()
    box = opened.execute_script("const r = document.getElementById('spheres').getBoundingClientRect(); return [r.left, r.top]")
    actions = ActionChains(opened)
    pointer = actions.w3c_actions.pointer_action
    pointer.move_to_location(int(box[0]) + 120, int(box[1]) + 200)
    pointer.pointer_down()
    pointer.move_to_location(int(box[0]) + 160, int(box[1]) + 210)
    pointer.pointer_up()
    actions.perform()
    wait(opened, lambda: eyes()[0] != before[0] and eyes()[0] == eyes()[1])
    dragged = eyes()
    opened.execute_script("document.getElementById('spheres').focus()")
    ActionChains(opened).send_keys(Keys.ARROW_LEFT).perform()
    wait(opened, lambda: eyes()[0] != dragged[0] and eyes()[0] == eyes()[1])


def test_hovering_tells_a_pixels_values(opened: Any) -> None:
    from selenium.webdriver import ActionChains

    box = opened.execute_script("const r = document.getElementById('spheres').getBoundingClientRect(); return [r.left, r.top]")
    for shift in range(0, 30, 3):
        actions = ActionChains(opened)
        actions.w3c_actions.pointer_action.move_to_location(int(box[0]) + 110 + shift, int(box[1]) + 200)
        actions.perform()
        time.sleep(0.1)
        if "density" in opened.execute_script("return document.querySelector('.tip').textContent"):
            break
    shown = opened.execute_script("const t = document.querySelector('.tip'); return [t.hidden, t.textContent]")
    assert shown[0] is False
    densities = opened.execute_script("return Explorer.state().densities.map((one) => Array.from(one))")
    assert min(abs(float(shown[1].split()[1]) / np.array(densities[0]) - 1)) < 1e-3


def test_a_stored_state_leaves_the_setting_alone(opened: Any) -> None:
    before = setting(opened)
    opened.execute_script("document.querySelector('input[value=up]').click()")
    wait(opened, lambda: "stored state" in text(opened, "status"))
    change(opened, "coupling", 14)
    opened.execute_script("document.querySelector('input[value=intrinsic]').click()")
    wait(opened, lambda: text(opened, "status").startswith("Certified"))
    assert setting(opened) == before


def test_the_keyboard_reaches_everything(opened: Any) -> None:
    from selenium.webdriver import ActionChains, Keys

    reached = set()
    for _ in range(40):
        ActionChains(opened).send_keys(Keys.TAB).perform()
        reached.add(opened.execute_script("return document.activeElement.id || document.activeElement.name || ''"))
    assert {
        "energy",
        "spheres",
        "coupling",
        "tau",
        "floor",
        "misalign",
        "show",
        "colour",
        "along",
        "diagram",
        "weight",
        "warmth",
    } <= reached
    before = setting(opened)
    opened.execute_script("document.getElementById('diagram').focus()")
    ActionChains(opened).send_keys(Keys.ARROW_RIGHT).send_keys(Keys.ARROW_UP).perform()
    wait(opened, lambda: setting(opened)["floor"] > before["floor"])
    assert setting(opened)["coupling"] > before["coupling"]
    opened.execute_script("document.getElementById('tau').focus()")
    ActionChains(opened).send_keys(Keys.ARROW_LEFT).perform()
    wait(opened, lambda: setting(opened)["tau"] < before["tau"])


@pytest.mark.parametrize("width", [1280, 390])
def test_everything_has_room(opened: Any, width: int) -> None:
    resize(opened, width)
    time.sleep(0.5)
    wide, too_far = opened.execute_script(
        "const w = document.documentElement.clientWidth, out = (e) => e.getBoundingClientRect().right > w + 1;"
        "const all = [...document.querySelectorAll('input, select, button, h1, h2, p, table, #spheres, #diagram, #curves')];"
        "return [document.documentElement.scrollWidth - w, all.filter(out).map((e) => e.id || e.tagName)]"
    )
    assert too_far == []
    assert wide <= 0


def test_words_stand_out_and_colours_differ_for_every_kind_of_sight(opened: Any) -> None:
    pairs = opened.execute_script(
        "const back = (e) => { for (; e; e = e.parentElement) { const c = getComputedStyle(e).backgroundColor;"
        "if (!/, 0\\)$/.test(c)) return c; } return 'rgb(255, 255, 255)'; };"
        "return [...document.querySelectorAll('h1, h2, p, label, output, th, td, button, select, legend')]"
        ".filter((e) => e.textContent.trim()).map((e) => [getComputedStyle(e).color, back(e)])"
    )
    assert len(pairs) > 30
    assert min(contrast(rgb(ink), rgb(paper)) for ink, paper in pairs) >= 4.5
    in_plots = opened.execute_script(
        "const words = [...document.querySelectorAll('svg text')].filter((e) => e.textContent.trim());"
        "return words.map((e) => getComputedStyle(e).fill)"
    )
    assert len(in_plots) > 20
    backs = {True: [0.33] * 3, False: [1.0] * 3}  # of the diagram's legend, and of the page
    assert min(contrast(rgb(ink), backs[min(rgb(ink)) > 0.9]) for ink in in_plots) >= 4.5
    lines = opened.execute_script("const {cool, warm, ink} = Data.colours; return [cool, warm, ink]")
    for sight in SIGHTS.values():
        seen = [sight @ linear([int(one[k : k + 2], 16) / 255 for k in (1, 3, 5)]) for one in lines]
        apart = [np.linalg.norm(seen[i] - seen[j]) for i in range(3) for j in range(i)]
        assert min(apart) > 0.15


#: What colours become without one kind of cone (Machado, Oliveira and Fernandes 2009, severity 1).
SIGHTS = {
    "protan": np.array([[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]),
    "deutan": np.array([[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]),
    "tritan": np.array([[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]]),
}


def rgb(colour: str) -> list[float]:
    return [float(part) / 255 for part in colour[colour.index("(") + 1 : -1].split(",")[:3]]


def linear(colour: list[float]) -> np.ndarray:
    """Intensities of a colour as screens store it."""
    parts = np.array(colour)
    return np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)


def contrast(one: list[float], other: list[float]) -> float:
    """The ratio of WCAG 2."""

    low, high = sorted(float(np.dot([0.2126, 0.7152, 0.0722], linear(colour))) for colour in (one, other))
    return (high + 0.05) / (low + 0.05)
