"""The shape of the house: imports run down only, files are of one idea, the front door is in order, gates see everything."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import fieldsolve

PACKAGE = Path(fieldsolve.__file__).parent
ROOT = PACKAGE.parent

#: From the ground up. A file imports from its own wing and from wings in rows above its own's; wings of one row do not meet.
WINGS = [
    {"numerics"},
    {"output", "runs"},
    {"grids"},
    {"equilibrium"},
    {"embeddings"},
    {"theorems"},
    {"encoders"},
    {"remedies"},
    {"diagnose", "reproduce", "diagrams", "testing", "explorer"},
    {"cli"},
    {"__main__"},
]

#: Imports of our own inside functions, or for types only: what start-up must not load, and the one circle of nouns.
HIDDEN = {
    "equilibrium.parameters": {"grids.critics", "equilibrium.batches"},  # help is printed without numpy
    # a problem solves itself, and what a notebook shows of it has a picture, which loads matplotlib
    "equilibrium.problem": {"equilibrium.solve", "equilibrium.solution", "equilibrium.pictures"},
    "equilibrium.solution": {"equilibrium.pictures"},
    "equilibrium.storage": {"equilibrium.pictures", "output.pictures"},  # matplotlib
    "output.page": {"output.pictures"},
    "output.interactive": {"output.converted"},
    "diagrams.diagram": {"diagrams.pictures"},
    # a first answer loads no equilibria
    "diagnose.diagnosis": {"diagnose.theory", "diagnose.freedom", "diagnose.pictures"},
}

#: The bodies of commands import what they call: anything in wings above the command line.
BODIES = "cli."

#: Packages that are slow to import, or extras: inside functions only.
SLOW = {
    "healpy",
    "astropy",
    "clarabel",
    "matplotlib",
    "distributed",
    "torch",
    "pyarrow",
    "xarray",
    "rich",
    "safetensors",
    "scipy",
}

#: Files that may load them at once: pictures, which only pictures and bodies of commands import, and wings that no solve loads.
LOADS_SLOW = re.compile(
    r"(.*\.)?pictures|output\.(artists|converted|coordinates|fields)|theorems\.sharpness|encoders\..*|diagnose\.report|reproduce\..*"
)

#: The files that import by a computed name, and what for.
COMPUTED = {"__init__": "public names when they are first used", "cli.__init__": "a command when it is asked for"}

Import = tuple[str, bool, int]  # of what, hidden in a function or for types only, line


def sources() -> dict[str, str]:
    """Every module of the package by its dotted name below it, with its text."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        found[".".join(path.relative_to(PACKAGE).with_suffix("").parts)] = path.read_text()
    return found


def imports(name: str, text: str, modules: set[str]) -> Iterator[Import]:
    """Everything that a module imports, in every form: import, from, relative, import_module and __import__, in functions too."""
    tree = ast.parse(text)
    hidden = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        or (isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test))
        for inner in ast.walk(node)
    }
    package = ["fieldsolve", *name.split(".")][:-1]
    for node in ast.walk(tree):
        for target in _targets(node, package):
            yield from ((one, id(node) in hidden, getattr(node, "lineno", 0)) for one in _modules(target, modules))


def _targets(node: ast.AST, package: list[str]) -> list[tuple[str, list[str]]]:
    """(module, names taken from it) of one node."""
    if isinstance(node, ast.Import):
        return [(alias.name, []) for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        base = package[: len(package) - node.level + 1] if node.level else []
        return [(".".join([*base, *filter(None, [node.module])]), [alias.name for alias in node.names])]
    if isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] in ("import_module", "__import__"):
        argument = node.args[0] if node.args else None
        text = argument.value if isinstance(argument, ast.Constant) else "<computed>"
        return [(str(text), [])]
    return []


def _modules(target: tuple[str, list[str]], modules: set[str]) -> Iterator[str]:
    module, names = target
    top, *rest = module.split(".")
    if top != "fieldsolve":
        yield f"external:{module}"
        return
    below = ".".join(rest)
    found = [".".join([*rest, one]) for one in names if _file(".".join([*rest, one]), modules)]
    if not found or set(names) - {one.split(".")[-1] for one in found}:
        found.append(below)
    for one in found:
        yield _file(one, modules) or "__init__"


def _file(dotted: str, modules: set[str]) -> str | None:
    """The file of a dotted name: a module, or a package's own."""
    return dotted if dotted in modules else f"{dotted}.__init__" if f"{dotted}.__init__" in modules else None


def row(name: str) -> int:
    wing = name.split(".")[0]
    return next(level for level, wings in enumerate(WINGS) if wing in wings)


def violations(files: dict[str, str]) -> list[str]:
    """What is wrong with the imports of these files."""
    modules, wrong, graph = set(files), [], {}
    for name, text in files.items():
        graph[name] = set()
        for target, is_hidden, line in imports(name, text, modules):
            place = f"{name}:{line} imports {target}"
            if target.startswith("external:"):
                package = target.removeprefix("external:").split(".")[0]
                if package == "<computed>" and name not in COMPUTED:
                    wrong.append(f"{place}, a computed name")
                if package in SLOW and not is_hidden and not LOADS_SLOW.fullmatch(name):
                    wrong.append(f"{place}, which is slow, at once")
                continue
            if name == "__init__" or target == "__init__":
                continue  # public names, lazily; the version
            if name.split(".")[0] != target.split(".")[0] and row(target) >= row(name):
                wrong.append(f"{place}, which is not below it")
            if is_hidden and target not in HIDDEN.get(name, set()) and not name.startswith(BODIES):
                wrong.append(f"{place} inside a function; HIDDEN does not say why")
            if not is_hidden:
                graph[name].add(target)
    return wrong + [f"a circle of imports: {' -> '.join(circle)}" for circle in circles(graph)]


def circles(graph: dict[str, set[str]]) -> list[list[str]]:
    """Circles of imports between files; a package's own file is part of one only through what it does itself."""
    done: set[str] = set()
    found: list[list[str]] = []

    def visit(name: str, trail: list[str]) -> None:
        if name in trail:
            found.append([*trail[trail.index(name) :], name])
            return
        if name in done:
            return
        for other in sorted(graph.get(name, set())):
            visit(other, [*trail, name])
        done.add(name)

    for name in sorted(graph):
        visit(name, [])
    return found


def test_imports_run_down_only() -> None:
    files = sources()
    assert len(files) > 100
    assert violations(files) == []


@pytest.mark.parametrize(
    ("name", "line", "message"),
    [
        ("grids.kernels", "def f():\n    import fieldsolve.cli.options\n", "not below"),
        ("numerics.errors", "from importlib import import_module\nimport_module('fieldsolve.cli')\n", "not below"),
        ("numerics.errors", "__import__('fieldsolve.grids.kernels')\n", "not below"),
        ("diagnose.measure", "from fieldsolve.diagnose import report\n", "circle"),
        ("diagnose.measure", "from fieldsolve.diagnose.report import files\n", "circle"),
        ("equilibrium.energy", "from .solve import solve\n", "circle"),
        ("equilibrium.energy", "def f():\n    from fieldsolve.equilibrium import solve\n", "inside a function"),
        ("equilibrium.energy", "if TYPE_CHECKING:\n    import fieldsolve.equilibrium.solve\n", "HIDDEN"),
        ("runs.tasks", "from fieldsolve.output import tables\n", "not below"),
        ("reproduce.plan", "from fieldsolve.diagrams import spec\n", "not below"),
        ("output.tables", "import matplotlib.figure\n", "slow"),
        ("grids.grid", "import importlib\ndef f(x):\n    return importlib.import_module(x)\n", "computed"),
    ],
)  # fmt: skip
def test_the_test_of_imports_sees_every_form(name: str, line: str, message: str) -> None:
    files = sources()
    files[name] += line
    assert any(message in one for one in violations(files)), violations(files)


def test_every_wing_says_what_may_be_done_there() -> None:
    wings = set().union(*WINGS) - {"__main__", "testing"}
    assert {path.name for path in PACKAGE.iterdir() if path.is_dir() and path.name != "__pycache__"} == wings
    for wing in wings:
        said = ast.get_docstring(ast.parse((PACKAGE / wing / "__init__.py").read_text()))
        assert said is not None
        assert len(said) > 60, wing


def test_public_names_exist_and_are_few() -> None:
    assert len(fieldsolve.__all__) <= 24
    for name in fieldsolve.__all__:
        assert getattr(fieldsolve, name).__doc__, name
        assert callable(getattr(fieldsolve, name)), name


def test_a_wing_of_a_function_s_name_is_called_like_it() -> None:
    code = "import fieldsolve as fs, fieldsolve.diagnose.sample; import numpy as np\ntry: fs.diagnose(np.ones((3, 2)))\n"
    code += "except fs.InputError as error: print(error)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "between two modalities" in done.stdout


@pytest.mark.parametrize("name", ["cli", "grids"])
def test_the_two_rooms_at_the_front_door_are_links(name: str) -> None:
    door = ROOT / name
    if not door.exists():
        pytest.skip("not in a checkout: archives have no links")
    if door.is_file():  # what git leaves where there can be no links
        assert door.read_text() == f"fieldsolve/{name}"
    else:
        assert door.is_symlink()
        assert door.resolve() == (PACKAGE / name).resolve()


def functions(tree: ast.Module) -> Iterator[ast.FunctionDef]:
    """Functions of a module and methods of its classes."""
    for node in tree.body:
        yield from ([node] if isinstance(node, ast.FunctionDef) else [])
        if isinstance(node, ast.ClassDef):
            yield from (inner for inner in node.body if isinstance(inner, ast.FunctionDef))


def test_files_and_signatures_stay_small() -> None:
    """Ratchets: 360 lines a file, 8 parameters a public function; compiled passes take their arrays one by one."""
    for name, text in sources().items():
        assert text.count("\n") <= 360, name
        for node in functions(ast.parse(text)):
            every = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
            named = [one.arg for one in every if one.arg not in ("self", "cls")]
            is_compiled = any(ast.unparse(one).startswith("jit(") for one in node.decorator_list)
            if not node.name.startswith("_") and not is_compiled:
                assert len(named) + (node.args.vararg is not None) <= 8, f"{name}: {node.name}"


def test_public_functions_say_what_they_do() -> None:
    for name, text in sources().items():
        tree = ast.parse(text)
        assert ast.get_docstring(tree), name
        for node in tree.body:
            if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_") and ".commands" not in name:
                assert ast.get_docstring(node), f"{name}: {node.name}"


@pytest.mark.skipif(not (ROOT / "pyproject.toml").exists(), reason="not in a checkout")
def test_lint_and_types_see_every_file() -> None:
    command = [sys.executable, "-m", "ruff", "check", "--show-files"]
    shown = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    linted = {Path(line).resolve() for line in shown.splitlines()}
    every = {
        path.resolve() for folder in ("fieldsolve", "tests", "examples", "benchmarks") for path in (ROOT / folder).rglob("*.py")
    }
    assert every <= linted, sorted(every - linted)[:5]
    settings = (ROOT / "pyproject.toml").read_text()
    assert "extend-exclude" not in settings
    code = (
        "from mypy.config_parser import parse_config_file; from mypy.options import Options; import sys\n"
        "from mypy.main import process_options; sources, options = process_options([])\n"
        "print(*[source.path for source in sources], sep='\\n')"
    )
    typed = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert {path.resolve() for path in PACKAGE.rglob("*.py")} <= {(ROOT / line).resolve() for line in typed.splitlines()}


def test_nothing_compiles_at_import() -> None:
    code = (
        "import numba.core.dispatcher as d\ndef no(*a, **k): raise SystemExit('compiled at import')\n"
        "d.Dispatcher.compile = no\nimport importlib, pkgutil, fieldsolve\n"
        "for m in pkgutil.walk_packages(fieldsolve.__path__, 'fieldsolve.'):\n"
        "    if m.name != 'fieldsolve.__main__': importlib.import_module(m.name)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env={"PATH": str(Path(sys.executable).parent), "MPLBACKEND": "Agg"})


def test_docstrings_have_no_stray_quotes() -> None:
    """As a line breaker leaves them that takes a docstring for a literal."""
    for path in [*PACKAGE.rglob("*.py"), *(PACKAGE.parent / "examples").glob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Module | ast.FunctionDef | ast.ClassDef):
                said = ast.get_docstring(node) or ""
                assert not re.search(r'"\n\s*"', said), (path, getattr(node, "name", "module"))
