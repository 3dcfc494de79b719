"""Everything registered keeps its contract, and something new is registered from outside: in test files alone."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil, pi, sqrt
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from matplotlib.figure import Figure

import fieldsolve as fs
from fieldsolve.cli import main
from fieldsolve.diagrams.diagram import fill
from fieldsolve.diagrams.spec import spec_of
from fieldsolve.equilibrium.terms import TERMS, Binding, Contrast, CrossEntropy, Term, term_of
from fieldsolve.equilibrium.terms.cross_entropy import coupling_matrix
from fieldsolve.grids import CRITICS, GRIDS, Circle, Critic, Grid, Healpix, Kernel, Modes, Smoother, Zonal, grid_of
from fieldsolve.grids.critics import critic_of
from fieldsolve.numerics.errors import InputError
from fieldsolve.runs.executors import in_this_process
from fieldsolve.testing import check_critic, check_grid, check_term

Array = np.ndarray


@dataclass(frozen=True)
class Torus(Grid):
    """The flat torus (cos a, sin a, cos b, sin b)/sqrt 2 in R^4, count x count points."""

    count: int

    name = "torus"
    dim = 2
    components = 4  # type: ignore[assignment]

    @property
    def size(self) -> int:  # type: ignore[override]
        return self.count**2

    @property
    def spacing(self) -> float:
        return 2 * pi / (sqrt(2) * self.count)

    def points(self, first: int = 0, last: int | None = None) -> Array:
        a, b = np.divmod(np.arange(self.size)[first:last], self.count)
        a, b = (2 * pi / self.count * one for one in (a, b))
        return np.stack([np.cos(a), np.sin(a), np.cos(b), np.sin(b)], axis=1) / sqrt(2)

    def finer(self, spacing: float) -> str:
        return f"torus:{ceil(2 * pi / (sqrt(2) * spacing))}"


@dataclass(frozen=True)
class Mmd(Term):
    """gamma times the squared maximum mean discrepancy of two densities."""

    gamma: float = 1.0
    tau: float = 0.5

    name = "discrepancy"
    modalities = 2

    def _kernel(self) -> Kernel:
        return Kernel("cosine", self.tau)

    def evaluate(self, grid: Grid, density: Array) -> tuple[float, Array]:
        apart = density[0] - density[1]
        smoothed = Smoother(grid, self._kernel()).smooth(apart)
        return self.gamma * float(np.mean(apart * smoothed)), 2 * self.gamma * np.stack([smoothed, -smoothed])

    def smoothness(self, grid: Grid, modalities: int) -> float:
        return 4 * modalities * self.gamma * float(np.exp(grid.log_peak(self._kernel())))

    def spectrum(self, modes: Modes, modalities: int) -> Array:
        apart = np.array([[1.0, -1.0], [-1.0, 1.0]])
        return 2 * modalities * self.gamma * modes.factors(self._kernel())[:, None, None] * apart


@pytest.fixture
def torus(monkeypatch: pytest.MonkeyPatch) -> Torus:
    monkeypatch.setitem(GRIDS, "torus", Torus)
    return Torus(20)


@pytest.fixture
def mmd(monkeypatch: pytest.MonkeyPatch) -> type[Mmd]:
    monkeypatch.setitem(TERMS, "discrepancy", Mmd)
    return Mmd


@pytest.fixture
def quartic() -> Iterator[Critic]:
    """s = z.z' + (z.z')^3/4, which is not linear, and narrower than cosine; a class with a name is registered at once."""

    @dataclass(frozen=True)
    class Quartic(Critic):
        name = "quartic"
        peak = 1.25

        def profile(self, angle: Array) -> Array:
            t = np.cos(angle)
            return -2.0 * np.sin(np.asarray(angle) / 2) ** 2 * (1 + (1 + t + t**2) / 4)

        def slope(self, angle: Array) -> Array:
            return -np.sin(angle) * (1 + 0.75 * np.cos(angle) ** 2)

    yield Quartic()
    del CRITICS["quartic"]


@pytest.mark.parametrize("grid", [Healpix(8), Circle(96), Zonal(3, 24), Zonal(6, 40), Zonal(7, 40), Zonal(512)], ids=str)
def test_grids_keep_their_contract(grid: Grid) -> None:
    check_grid(grid)
    assert type(grid) in GRIDS.values()


@pytest.mark.parametrize("name", sorted(CRITICS))
def test_critics_keep_their_contract(name: str) -> None:
    check_critic(critic_of(name))


EXAMPLES = {
    "centroid": ["centroid:1", "centroid:30"],
    "cross-uniformity": ["cross-uniformity:0.7,2", "cross-uniformity:0"],
    "energy-distance": ["energy-distance:2"],
    "mixing": ["mixing:0.5 0.5/0.3 0.7", "mixing:0 0.6 0.4/0.5 0.5 0/0.2 0.2 0.6"],
    "mixture": ["mixture:0", "mixture:0.3", "mixture:0.5", "mixture:1"],
    "mmd": ["mmd:1,0.5", "mmd:20,0.1"],
    "noise": ["noise:1", "noise:0.05"],
    "sigmoid": ["sigmoid"],
    "sigmoid-at": ["sigmoid-at:0", "sigmoid-at:-1.5"],
    "temperatures": ["temperatures:0.5,0.3"],
    "tempered": ["tempered:0", "tempered:0.4", "tempered:1"],
    "uniformity": ["uniformity:1,2", "uniformity:30,5"],
}


def settings(text: str) -> list[Term]:
    """A term as it is, and a contrast in smoothed problems too."""
    term = term_of(text)
    if not isinstance(term, Contrast) or term.name == "mixing":
        return [term]
    kernel = Kernel("cosine", 0.4)
    return [term, *(term.within(coupling_matrix(coupling, 2), kernel) for coupling in (1.0, 0.3)[: 1 + term.needs_coupling])]


@pytest.mark.parametrize("name", sorted(TERMS))
def test_registered_terms_keep_their_contract(name: str) -> None:
    for number, term in enumerate(one for text in EXAMPLES[name] for one in settings(text)):
        fitting = [term.modalities] if term.modalities else [2, 3]
        for modalities in fitting:
            check_term(term, Circle(96), modalities, steps=1000 if modalities == 2 and number < 2 else 20)
        if 2 in fitting:
            check_term(term, Healpix(8))


@pytest.mark.parametrize("name", sorted(TERMS))
def test_registered_terms_are_solved_with_saved_loaded_and_run_by_name(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In both energies; a bound, where one is known, is below; the same words in JSON, TOML and on the command line."""
    monkeypatch.setattr("fieldsolve.equilibrium.pictures.plot", lambda solution: Figure())  # drawn in other tests, a second each
    for energy in ("intrinsic", "smoothed"):
        problem = fs.Problem(["flat", "two-well"], 0.5, 0.01, energy=energy, nside=4, terms=[EXAMPLES[name][0]], max_steps=100)
        solution = problem.solve()
        assert solution.bound is None or solution.gap >= -1e-9 * (1 + abs(solution.energy))
        assert (solution.bound is None) == any("there is no bound" in note for note in solution.notes)
        assert np.diff(solution.trace.energy).max(initial=0.0) <= 1e-8 * (1 + abs(solution.energy))
        fs.save(solution, tmp_path / energy)
        again = fs.load(tmp_path / energy)
        assert again.problem.terms == problem.terms
        assert again.summary() == solution.summary()
        np.testing.assert_array_equal(again.problem.solve().density, solution.density)
        options = ["--term", EXAMPLES[name][0], "--energy", energy, "--nside", "4", "--tau", "0.5", "--floor", "0.01", "--json"]
        run = CliRunner().invoke(
            main, ["multimodal", "--potential", "flat", "--potential", "two-well", "--max-steps", "100", *options]
        )
        assert run.exit_code in (0, 4), run.output
        assert json.loads(run.stdout)["energy"] == pytest.approx(solution.energy, rel=1e-9)
    raw = {"problem": {"potential": ["flat", "two-well"], "nside": 4, "terms": [EXAMPLES[name][0]]}, "axes": {"tau": [1.0]}}
    assert not fill(spec_of(raw), tmp_path / "diagram", in_this_process).failures


@pytest.mark.parametrize("modalities", [1, 2, 3])
@pytest.mark.parametrize("kernel", [None, Kernel("cosine", 0.5)], ids=["intrinsic", "smoothed"])
def test_the_terms_that_are_always_there_keep_their_contract(modalities: int, kernel: Kernel | None) -> None:
    grid = Circle(96)
    potentials = np.random.default_rng(1).uniform(-1, 1, (modalities, grid.size))
    check_term(Binding(potentials, 0.5), grid, modalities)
    for coupling in (0.0, 0.3, 1.0):
        check_term(CrossEntropy(coupling_matrix(coupling, modalities), kernel), grid, modalities)
    lopsided = np.random.default_rng(2).dirichlet(np.ones(modalities), modalities)
    check_term(CrossEntropy(lopsided, kernel), grid, modalities)


def test_every_grid_and_critic_is_solved_on_saved_and_loaded(
    tmp_path: Path, torus: Torus, quartic: Critic, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fieldsolve.equilibrium.pictures.plot", lambda solution: Figure())  # drawn in other tests, a second each
    for number, (grid, critic) in enumerate((g, c) for g in ("healpix:8", "circle:96", "torus:20") for c in sorted(CRITICS)):
        problem = fs.Problem(["flat"] * 2, 0.5, 0.01, 0.8, "smoothed", grid=grid, critic=critic, max_steps=5)
        folder = tmp_path / str(number)
        fs.save(problem.solve(), folder)
        again = fs.load(folder).problem
        assert (again.grid, again.critic) == (grid_of(grid), critic)
        assert json.loads((folder / "summary.json").read_text())["problem"]["grid"] == grid
        np.testing.assert_array_equal(again.solve().density, fs.load(folder).density)
    assert type(fs.load(tmp_path / "11").grid) is Torus


def test_a_new_critic(quartic: Critic) -> None:
    check_critic(quartic, tau=0.6)
    with pytest.raises(InputError, match=r"unknown critic 'quintic'.*quartic"):
        Kernel("quintic", 0.5)
    run = CliRunner().invoke(
        main, ["unimodal", "--critic", "quartic", "--energy", "smoothed", "--nside", "4", "--tau", "1", "--json"]
    )
    assert run.exit_code == 0, run.output
    figures = json.loads(run.stdout)
    assert figures["problem"]["critic"] == "quartic"
    assert figures["energy"] > fs.Problem("two-well", 1.0, energy="smoothed", nside=4).solve().energy  # a kernel of its own


def test_a_new_grid(torus: Torus, tmp_path: Path) -> None:
    check_grid(torus)
    kernel = Kernel("cosine", 0.5)
    # V = (int exp(cos a / (2 tau)) da / 2 pi)^2 = I_0(1)^2, and no sphere's.
    assert np.exp(torus.log_volume(kernel)) == pytest.approx(np.i0(1.0) ** 2, rel=1e-12)
    assert abs(torus.log_volume(kernel) - kernel.log_volume(2)) > 0.05
    energy = lambda points: -points[:, 0] - 0.5 * points[:, 3]  # noqa: E731
    solution = fs.Problem(energy, tau=0.3, grid=torus).solve()
    assert solution.gap == pytest.approx(0, abs=1e-12)
    assert solution.energy == pytest.approx(-np.log(np.i0(1 / (0.3 * sqrt(2))) * np.i0(0.5 / (0.3 * sqrt(2)))), abs=1e-9)
    pair = fs.Problem([energy, energy], 0.3, 0.01, 0.5, misalign=40.0, grid=torus).solve()
    assert pair.converged
    assert pair.gap is not None
    assert -1e-12 < pair.gap < 0.1
    fs.save(pair, tmp_path / "run")
    assert isinstance(fs.load(tmp_path / "run").grid, Torus)
    np.testing.assert_array_equal(fs.load(tmp_path / "run").problem.solve().density, pair.density)
    with pytest.raises(InputError, match="torus:"):
        fs.Problem([energy] * 2, 0.01, energy="smoothed", grid=torus).solve()
    run = CliRunner().invoke(
        main, ["multimodal", "--grid", "torus:12", "--coupling", "0.3", "-o", str(tmp_path / "cli"), "--json"]
    )
    assert run.exit_code == 0, run.output
    assert json.loads(run.stdout)["problem"]["grid"] == "torus:12"


@pytest.mark.parametrize("gamma", [0.1, 1.0, 10.0])
@pytest.mark.parametrize("kind", ["intrinsic", "smoothed"])
def test_a_new_term(gamma: float, kind: str, mmd: type[Mmd], tmp_path: Path) -> None:
    term = mmd(gamma, 0.5)
    check_term(term, Circle(96))
    assert term_of(str(term)) == term
    tolerance = 1e-9 if kind == "intrinsic" else 1e-3
    wells, grid = "vmf:6@1,0*0.7+6@-1,0*0.3", Circle(96)
    problem = fs.Problem([wells] * 2, 0.5, 0.01, 0.5, kind, grid=grid, terms=[term], start="tilted", tolerance=tolerance)
    energy, _ = problem.functional()
    assert energy.safe_length < 1 / (1 + 8 * gamma)
    assert not any([energy.has_dual, energy.has_vertices, energy.has_gibbs_form, energy.has_phases])
    solution = problem.solve()
    assert solution.converged, solution.status
    assert solution.bound is None  # neither its convexity nor a least value is promised
    assert np.diff(solution.trace.energy).max() <= 1e-9
    free = problem.at("terms", ()).solve(start="tilted")
    assert term.evaluate(grid, solution.density)[0] < term.evaluate(grid, free.density)[0]
    assert solution.added[0] == pytest.approx(term.evaluate(grid, solution.density)[0], rel=1e-9)
    fs.save(solution, tmp_path / "run")
    again = fs.load(tmp_path / "run")
    assert again.problem.terms == (term,)
    assert again.summary() == solution.summary()
    np.testing.assert_array_equal(again.problem.solve().density, solution.density)


def test_a_new_term_on_the_command_line(mmd: type[Mmd]) -> None:
    options = ["--nside", "4", "--coupling", "0.3", "--json"]
    figures = json.loads(CliRunner().invoke(main, ["multimodal", "--term", "discrepancy:gamma=2,tau=0.6", *options]).stdout)
    assert figures["problem"]["terms"] == ["discrepancy:gamma=2.0,tau=0.6"]
    assert figures["terms"]["discrepancy:gamma=2.0,tau=0.6"] >= 0
    for wrong, message in (
        ("discrepancy:gama=2", "gama"),
        ("discrepancy:gamma=x", "number"),
        ("mdm", "unknown term"),
        ("discrepancy:1,2,3", "each once"),
    ):
        refused = CliRunner().invoke(main, ["multimodal", "--term", wrong, *options])
        assert refused.exit_code == 3, refused.output
        assert message in refused.stderr
    one = CliRunner().invoke(main, ["unimodal", "--term", "discrepancy", "--nside", "4"])
    assert (one.exit_code, "2 modalities" in one.stderr) == (3, True)


def test_contracts_fail_where_they_are_broken(mmd: type[Mmd], torus: Torus) -> None:
    class Steeper(Mmd):
        def smoothness(self, grid: Grid, modalities: int) -> float:
            return super().smoothness(grid, modalities) / 1000

    class Lopsided(Mmd):
        def evaluate(self, grid: Grid, density: Array) -> tuple[float, Array]:
            value, variation = super().evaluate(grid, density)
            return value, 1.1 * variation

    class Flatter(Mmd):
        def spectrum(self, modes: Modes, modalities: int) -> Array:
            return super().spectrum(modes, modalities) / 2

    for broken, message in ((Steeper, "smoothness"), (Lopsided, "variation"), (Flatter, "second variation")):
        TERMS["discrepancy"] = broken  # the fixture puts back what was there
        with pytest.raises(AssertionError, match=message):
            check_term(broken(1.0, 0.5), Circle(96))

    class Heavier(Torus):
        def log_peak(self, kernel: Kernel) -> float:
            return kernel.log_peak(2)

    with pytest.raises(AssertionError, match="name"):
        check_grid(Heavier(20))
    GRIDS["torus"] = Heavier
    with pytest.raises(AssertionError, match="volume"):
        check_grid(Heavier(20))
