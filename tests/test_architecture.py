"""The shape of the package: imports run one way, the front door is in order, nothing compiles at import."""

import ast
from pathlib import Path

import fieldsolve

PACKAGE = Path(fieldsolve.__file__).parent
ROOT = PACKAGE.parent

# From the bottom up: a module imports from rows above its own only, or within a package from its own row.
LAYERS = [
    ["arrays", "errors", "threads", "exponential"],
    ["kernels", "pixelwise"],
    ["infonce"],
    ["grids", "pointwise"],
    ["densities", "potentials", "solution"],
    ["pairs", "energies"],
    ["laws"],
    ["batches"],
    ["expectations"],
    ["consistency"],
    ["descent", "equilibria", "dispersion", "curvature"],
    ["bounds", "sharpness"],
    ["starts"],
    ["matched"],
    ["solve"],
    ["problems"],
    ["continuation"],
    ["plotting", "charts"],
    ["archive"],
    ["runs"],
    ["sweeps", "reproduce", "diagnose"],
    ["diagrams"],
    ["cli"],
    ["__main__"],
]


def layer(module: str) -> int:
    return next(level for level, names in enumerate(LAYERS) if module in names)


def imports(path: Path) -> set[str]:
    """The modules of the package that a file imports, anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "fieldsolve":
            parts = node.module.split(".")
            found |= {parts[1]} if len(parts) > 1 else {alias.name for alias in node.names}
    return found


def test_imports_run_one_way() -> None:
    files = [path for path in PACKAGE.rglob("*.py") if path.parent != PACKAGE or path.name != "__init__.py"]
    assert len(files) > 20
    for path in files:
        own = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
        for other in imports(path) - {own}:
            assert layer(other) < layer(own), f"{path.relative_to(PACKAGE)} imports {other}"


def test_public_names_exist_and_are_few() -> None:
    assert len(fieldsolve.__all__) <= 20
    for name in fieldsolve.__all__:
        assert getattr(fieldsolve, name).__doc__, name


def test_the_two_rooms_at_the_front_door_are_links() -> None:
    for name in ("cli", "grids"):
        if (ROOT / "pyproject.toml").exists():
            assert (ROOT / name).is_symlink()
            assert (ROOT / name).resolve() == (PACKAGE / name).resolve()


def test_public_functions_say_what_they_do() -> None:
    for path in PACKAGE.rglob("*.py"):
        tree = ast.parse(path.read_text())
        assert ast.get_docstring(tree), path
        for node in tree.body:
            if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_") and path.parent.name != "cli":
                assert ast.get_docstring(node), f"{path.name}: {node.name}"
