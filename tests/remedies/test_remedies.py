"""Remedies: critical weights by formula, by finite differences and by descents; states; free encoders; the lines of code."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch_stub
from click.testing import CliRunner

import fieldsolve as fs
from fieldsolve.cli import main
from fieldsolve.diagrams.spec import spec_of
from fieldsolve.encoders.laws import law_from_table, law_named
from fieldsolve.encoders.problem import EncoderProblem
from fieldsolve.equilibrium.densities import normalise
from fieldsolve.equilibrium.descent import descend
from fieldsolve.equilibrium.energy import Energy
from fieldsolve.equilibrium.terms import TERMS
from fieldsolve.grids import Healpix, Kernel, Modes
from fieldsolve.numerics.errors import InputError
from fieldsolve.remedies.effect import effect, published_sentences
from fieldsolve.remedies.free import LEAST_FREE
from fieldsolve.remedies.published import PUBLISHED, remedy_of
from fieldsolve.remedies.remedy import curvature
from fieldsolve.remedies.states import states_of
from fieldsolve.remedies.study import closing, closing_sentence
from fieldsolve.remedies.table import REMEDIES

CLIP = Kernel("cosine", 0.01), 512
SPHERE = Kernel("cosine", 0.3), 3


def of(text: str) -> Any:
    return remedy_of(text)[0]


@pytest.mark.parametrize(
    ("text", "space", "degree", "weight"),
    [
        ("in-modal-negatives", CLIP, 1, 1.208),
        ("uniformity:2", CLIP, 1, 26.389),
        ("uniformity:2", CLIP, 2, 592.085),
        ("uniformity:50", CLIP, 1, 1.0942),
        ("uniformity:2", SPHERE, 1, 1.26465),
        ("symmetric-kl", CLIP, 1, 0.547101),
        ("centroid", SPHERE, 1, 0.712),
    ],
)
def test_critical_weights(text: str, space: tuple[Kernel, int], degree: int, weight: float) -> None:
    assert effect(of(text), 0.0, *space).critical[degree - 1] == pytest.approx(weight, rel=1e-4)


@pytest.mark.parametrize("dimension", [2, 3, 8, 512])
@pytest.mark.parametrize("tau", [0.01, 0.1, 1.0])
def test_a_joint_softmax_is_stable_from_one_half_on_at_every_temperature_and_dimension(dimension: int, tau: float) -> None:
    kernel = Kernel("cosine", tau)
    for text in ("joint-softmax", "tempered-reference"):
        below, above = (effect(of(text), weight, kernel, dimension) for weight in (0.49, 0.5))
        assert below.unstable_degrees
        assert not above.unstable_degrees
    clip = effect(of("in-modal-negatives"), 0.5, kernel, dimension)
    assert clip.coupling == pytest.approx(2 / 3)
    assert clip.unstable_degrees[0] == 1  # AlignCLIP's coupling, at every temperature


@pytest.mark.parametrize("name", sorted(REMEDIES))
@pytest.mark.parametrize("space", [CLIP, SPHERE, (Kernel("rbf", 0.5), 2)])
def test_at_its_critical_weight_a_mode_neither_grows_nor_shrinks(name: str, space: tuple[Kernel, int]) -> None:
    """The formulas against what the terms say of themselves, which contracts check against differences."""
    remedy, modes = REMEDIES[name](), Modes(space[1] - 1, 6)
    factors = modes.factors(space[0])
    for degree, weight in enumerate(remedy.critical_weights(modes, space[0])[1:], start=1):
        if not np.isfinite(weight) or weight > remedy.most:
            heavy = remedy.weights[-1] if remedy.weights else min(100.0, remedy.most)
            assert curvature(remedy, heavy, modes, space[0])[degree] < 0
            continue
        scale = factors[degree] * (1 + weight)
        assert curvature(remedy, weight, modes, space[0])[degree] == pytest.approx(0, abs=1e-10 * scale)
        assert curvature(remedy, weight * 0.9, modes, space[0])[degree] < 0


@pytest.mark.parametrize(
    "name", ["in-modal-negatives", "joint-softmax", "symmetric-kl", "tempered-reference", "uniformity:2", "mmd:0.1"]
)
def test_descents_from_next_to_uniform_confirm_the_weight_on_both_sides(name: str) -> None:
    grid, remedy, kernel = Healpix(8), of(name), SPHERE[0]
    critical = effect(remedy, 0.0, *SPHERE).whole_weight
    height = grid.points()[:, 2]
    start = normalise(1e-2 * np.stack([height, -height]), 0.0)
    gaps = []
    for weight in (0.93 * critical, min(1.06 * critical, remedy.most)):
        setting = remedy.setting(weight)
        energy = Energy(grid, np.zeros((2, grid.size)), kernel.tau, setting.coupling, kernel, setting.terms)
        density = descend(energy, start, 1e-6, 400).state.density()
        gaps.append(float(np.linalg.norm(np.subtract(*grid.centroid(density)))))
    assert gaps[0] > 0.1
    assert gaps[1] < 2e-3


def test_a_centroid_penalty_closes_centroids_and_leaves_distributions_open() -> None:
    """S^2, tau .3, weight 1, flat potentials: the lowest state found has its gap closed and is nats apart in even degrees."""
    solution = fs.Problem(["flat"] * 2, 0.3, 1e-3, energy="smoothed", nside=8, terms=["centroid:1"]).solve()
    assert solution.centroid_gap < 1e-2
    assert solution.symmetric_kl > 4
    apart = solution.density[0] - solution.density[1]
    power = solution.grid.analysis(apart, 6) ** 2
    content = np.bincount(solution.grid.degrees(6), power, 7)
    assert content[2] > 100 * content[1]
    states = states_of(of("centroid"), fs.Problem(["flat"] * 2, 0.3, 1e-3, energy="smoothed", nside=8), [0.0, 1.4])
    assert states.columns()["state"] == ["apart", "centroids together"]
    assert "apart all the same" in closing_sentence(states)
    assert closing(states) is None


def test_wide_kernels_leave_the_small_scales_and_narrow_ones_close() -> None:
    wide, narrow = (effect(of(text), 3.0, *SPHERE) for text in ("mmd:1.0", "mmd:0.1"))
    assert wide.unstable_degrees
    assert min(wide.unstable_degrees) > 1
    assert not np.isfinite(wide.whole_weight)
    assert not narrow.unstable_degrees
    assert np.isfinite(narrow.whole_weight)


def test_free_encoders_need_another_weight() -> None:
    """psym(0) at half its critical temperature: beta/alpha .029738, own share b/(1 + b), centroid penalty .17688."""
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((6, 2)) * 1.2
    weights = rng.dirichlet(np.ones(6))
    table = np.exp(rows @ rows.T) * np.outer(weights, weights)
    table = table / table.sum()
    problem = EncoderProblem(law_from_table((table + table.T) / 2, "psym"), 0.5 * 0.2343017)
    assert of("in-modal-negatives").free_weight(problem) == pytest.approx(0.02973825, abs=1e-7)
    assert of("joint-softmax").free_weight(problem) == pytest.approx(0.02973825 / 1.02973825, abs=1e-7)
    assert of("centroid").free_weight(problem) == pytest.approx(0.17688, abs=2e-4)
    assert of("mmd").free_weight(problem) is None


@pytest.mark.parametrize("law", ["ring:8,5", "blocks:3,2,0.2"])
def test_any_weight_of_in_modal_negatives_closes_the_gap_of_laws_that_a_group_acts_on(law: str) -> None:
    problem = EncoderProblem(law_named(law), 0.1)
    assert of("in-modal-negatives").free_weight(problem) == LEAST_FREE


def test_what_published_losses_are() -> None:
    lines = published_sentences(*CLIP)
    assert len(lines) == len(PUBLISHED)
    (align,) = (line for line in lines if line.startswith("AlignCLIP"))
    assert "coupling 0.667" in align
    assert "every mode grows" in align
    assert "from weight 1.208" in align
    (joint,) = (line for line in lines if line.startswith("one softmax"))
    assert "marginally" in joint


def added_by(line: str, image: np.ndarray, text: np.ndarray, tau: float) -> float:
    """What a line of code of open_clip's adds to the loss, on a stub of torch."""
    scope: dict[str, Any] = {
        "torch": torch_stub, "F": torch_stub.functional, "image": torch_stub.Tensor(image), "text": torch_stub.Tensor(text),
        "labels": np.arange(len(image)), "total_loss": torch_stub.Tensor(0.0), "logit_scale": 1 / tau,
    }  # fmt: skip
    exec(line, scope)
    return float(scope["total_loss"])


@pytest.mark.parametrize("name", sorted(REMEDIES))
def test_the_line_of_code_is_the_term(name: str) -> None:
    """Rows drawn from two densities: the line is the term's large-batch value, with log n and alignment where they belong."""
    remedy, rng, n, tau = REMEDIES[name](), np.random.default_rng(5), 900, 0.5
    grid, kernel = Healpix(16), Kernel("cosine", 0.5)
    weight = 0.5 if name == "joint-softmax" else 1.0
    line = remedy.code_at(weight, kernel, 3).open_clip
    assert remedy.code_at(0.0, kernel, 3).open_clip is None
    if line is None or line.startswith("--"):
        assert line in (None, "--siglip")
        return
    points = grid.points()
    density = np.exp(np.stack([1.5 * points[:, 0], points[:, 1] + points[:, 2]]))
    density /= density.mean(axis=1, keepdims=True)
    image, text = (points[rng.choice(grid.size, n, p=one / grid.size)] for one in density)
    volume = kernel.log_volume(2)
    found = added_by(line, image, text, tau)
    setting = remedy.setting(weight)
    energy = Energy(grid, np.zeros((2, grid.size)), tau, 1.0, kernel)
    cross_entropy = energy.cross_entropies(density)
    alignment = float((image * text).sum(axis=1).mean()) / tau
    if name == "in-modal-negatives":
        expected = -float(np.mean(np.diag(cross_entropy))) + volume + np.log(n) - alignment
    elif name == "symmetric-kl":
        expected = float(np.mean(cross_entropy[[0, 1], [1, 0]] - np.diag(cross_entropy)))
    elif name == "joint-softmax":
        mixed = remedy.setting(0.5).terms[0].within(energy.mixing, kernel)
        expected = mixed.evaluate(grid, density)[0] + volume + np.log(2 * n) - alignment
    else:
        (term,) = setting.terms
        expected = term.evaluate(grid, density)[0]
        if "uniformity" in name:
            expected += Kernel("rbf", 0.5).log_volume(2)  # the loss does not divide by the volume
    assert found == pytest.approx(expected, abs=0.03 + 0.03 * abs(expected))
    assert abs(expected) > 0.1


def run(*arguments: Any) -> Any:
    return CliRunner().invoke(main, [str(one) for one in arguments])


def test_the_command(tmp_path: Path) -> None:
    every = run("remedy", "--tau", 0.01, "--dimension", 512, "--json")
    assert every.exit_code == 0, every.output
    values = json.loads(every.stdout)
    assert values["centroid_weight"][values["remedy"].index("in-modal-negatives")] == pytest.approx(1.208, abs=1e-3)
    assert len(values["remedies"]) == len(REMEDIES)
    folder = tmp_path / "alignclip"
    one = run(
        "remedy",
        "alignclip",
        "--tau",
        0.5,
        "--nside",
        4,
        "--weights",
        "0,1,9",
        "--potential",
        "flat",
        "--law",
        "ring:6,2",
        "-o",
        folder,
    )
    assert one.exit_code == 0, one.output
    assert "weight 0.5 is coupling 0.667" in one.stdout
    assert "Eslami" in one.stdout
    assert run("remedy", "AlignCLIP", "--no-states").exit_code == 0
    assert "free encoders" in one.stdout
    assert "diagonal_scatter" in one.stdout
    assert sorted(path.name for path in folder.iterdir()) == ["figure.png", "summary.json", "table.csv"]
    assert (folder / "table.csv").read_text().count("\n") == 4
    shown = run("show", folder)
    assert shown.stdout == one.stdout
    modes = run("remedy", "mmd:1", "--no-states", "--weight", 2)
    assert modes.exit_code == 0
    assert "no weight holds every mode" in modes.stdout


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("nothing",), 3, "unknown remedy"),
        (("mmd:tau=x",), 3, "number"),
        (("uniformity:-1", "--no-states"), 3, "positive"),
        (("joint-softmax", "--weight", 2), 3, "from 0 to 1"),
        (("centroid", "--weight", "nan"), 2, "nan"),
        (("centroid", "--weight", -1), 2, "-1"),
        (("all", "--weight", 1), 2, "name it"),
        (("centroid", "--dimension", 512, "--states"), 2, "dimension 2 and 3"),
        (("centroid", "--no-states", "--nside", 4), 2, "no-states"),
        (("centroid", "--circle", 64), 2, "--nside"),
        (("sigmoid", "--weight", 0.5, "--no-states"), 3, "0 or 1"),
        (("alignclip:3",), 3, "unknown remedy"),
        (("centroid", "--weights", "a,b"), 2, "separated by commas"),
        (("centroid", "--weights", "1,-1", "--nside", 4), 3, "at least 0"),
        (("centroid", "--tau", 0.001, "--nside", 4), 3, "wide"),
        (("centroid", "--law", "nowhere", "--no-states"), 3, "nowhere"),
    ],
)
def test_bad_input_is_refused_in_one_sentence(arguments: tuple[Any, ...], code: int, message: str) -> None:
    refused = run("remedy", *arguments)
    assert refused.exit_code == code, refused.output
    assert message in refused.stderr
    assert refused.stdout == ""


def test_states_are_of_clip_s_own_problem() -> None:
    with pytest.raises(InputError, match="coupling 1"):
        states_of(of("centroid"), fs.Problem(["flat"] * 2, coupling=0.5, nside=4), [1.0])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("centroid:-1", "finite number of at least 0"), ("mmd:inf,0.5", "finite number of at least 0"), ("mmd:1,0", "positive"),
        ("mixture:1.5", "between 0 and 1"), ("tempered:-0.1", "between 0 and 1"), ("mixing:0.5 0.6/0.3 0.7", "rows of sum 1"),
        ("mixing:0.5 0.5/0.3", "as many numbers"), ("temperatures:0.1", "too little"), ("temperatures:0.1,-1", "positive"),
        ("sigmoid-at:nan", "bias"), ("uniformity:1,0", "positive"), ("mmd:1,0.0001", "narrower"),
    ],
)  # fmt: skip
def test_bad_terms_are_refused_in_one_sentence(text: str, message: str) -> None:
    refused = run("multimodal", "--term", text, "--nside", 4)
    assert refused.exit_code == 3, refused.output
    assert message in refused.stderr
    assert "Traceback" not in refused.output


def test_two_contrasts_and_a_coupling_beside_one_are_refused() -> None:
    with pytest.raises(InputError, match="both take"):
        fs.Problem(["flat"] * 2, nside=2, terms=["mixture", "sigmoid"]).solve()
    with pytest.raises(InputError, match="so does the coupling"):
        fs.Problem(["flat"] * 2, coupling=0.3, terms=["mixture"])
    with pytest.raises(InputError, match="pairs of them"):
        fs.Problem("flat", nside=2, floor=0.1, terms=["sigmoid"]).solve()
    assert fs.Problem(["flat"] * 2, coupling=0.3, terms=["temperatures:0.5,0.3"], nside=2).solve().converged
    matrix = fs.Problem(["flat"] * 2, terms=["mixing:0.5 0.5/0.3 0.7"])
    assert matrix.terms == ()
    assert matrix.coupling.tolist() == [[0.5, 0.5], [0.3, 0.7]]


def test_axes_over_numbers_of_terms() -> None:
    problem = fs.Problem(["flat"] * 2, 0.5, 0.01, nside=2, terms=["centroid:1", "mmd:2,0.9"])
    assert [str(term) for term in problem.at("mmd.weight", 3.0).terms] == ["centroid:1.0", "mmd:weight=3.0,tau=0.9"]
    with pytest.raises(InputError, match=r"centroid\.weight, mmd\.tau, mmd\.weight"):
        problem.at("mmd.wight", 1.0)
    up = fs.follow(problem.at("energy", "intrinsic").at("terms", "centroid:0"), "centroid.weight", [0.0, 1.0], start="tilted")
    assert up[1].centroid_gap < up[0].centroid_gap


PAGE = Path(__file__).parents[2] / "docs" / "remedies.md"


@pytest.mark.parametrize(
    "block", re.findall(r"```console\n\$ fieldsolve (.*?)\n(.*?)\n```", PAGE.read_text(), re.DOTALL), ids=lambda block: block[0]
)
def test_what_the_page_prints_is_what_the_command_prints(block: tuple[str, str]) -> None:
    assert run(*block[0].split()).stdout.rstrip() == block[1]


def test_every_term_is_in_the_help() -> None:
    text = run("multimodal", "--help").stdout
    assert all(f"{name}:" in text or name == "sigmoid" for name in TERMS)


@pytest.mark.parametrize(("coupling", "axis"), [(0.5, None), (None, [0.1, 0.5])])
def test_a_spec_with_a_coupling_beside_a_contrast_is_refused_at_once(coupling: float | None, axis: list[float] | None) -> None:
    raw: dict[str, Any] = {"problem": {"terms": ["mixture:0.5"]}, "axes": {"tau": [0.5]}}
    if coupling is not None:
        raw["problem"]["coupling"] = coupling
    if axis is not None:
        raw["axes"]["coupling"] = axis
    with pytest.raises(InputError, match="so does the coupling"):
        spec_of(raw)


def test_dotted_axes_may_be_tables() -> None:
    raw = {"problem": {"terms": ["mmd:1,0.5"]}, "axes": {"mmd": {"weight": [0.5, 1.0]}}}
    assert spec_of(raw).axes == {"mmd.weight": [0.5, 1.0]}
