"""Imports are layered, and importing the package stays cheap."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "wgan_jax"
# A module imports only from what stands before it; within a package, from anything.
LAYERS = [
    "types",
    "errors",
    "memory",
    "ranges",
    "io",
    "parallel",
    "schedules",
    "modules",
    "latents",
    "networks",
    "losses",
    "optimizers",
    "augmentation",
    "conditioning",
    "gan",
    "metrics",
    "data",
    "evaluation",
    "training",
    "sampling",
    "planning",
    "checkpointing",
    "config",
    "zoo",
    "export",
    "report",
    "program",
]
MOST_MODULES = 12  # directly in the package, without __init__ and __main__


def layer(dotted):
    parts = dotted.split(".")
    return parts[1] if len(parts) > 1 else "__init__"


def imports(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            if node.module == "wgan_jax":
                yield from (f"wgan_jax.{alias.name}" for alias in node.names)
            elif node.module.startswith("wgan_jax"):
                yield node.module
        elif isinstance(node, ast.Import):
            yield from (a.name for a in node.names if a.name.startswith("wgan_jax"))


def files():
    return [p for p in sorted(PACKAGE.rglob("*.py")) if p.name != "__init__.py"]


@pytest.mark.parametrize("path", files(), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_are_layered(path):
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    if parts == ("__main__",):
        return
    here = LAYERS.index(parts[0])
    for dotted in imports(path):
        if dotted == "wgan_jax":
            continue  # of the program, which prints the version
        there = LAYERS.index(layer(dotted))
        assert there <= here, f"{path.name} imports {dotted}, which is a higher layer"
        assert there < here or len(parts) > 1, f"{path.name} imports itself"


def test_the_package_has_few_modules_at_its_top():
    found = [p.name for p in PACKAGE.glob("*.py") if not p.name.startswith("__")]
    assert len(found) <= MOST_MODULES, sorted(found)


def test_gan_and_training_import_no_network_and_no_table():
    for path in (PACKAGE / "gan.py", *(PACKAGE / "training").glob("*.py")):
        assert not {f for f in imports(path) if layer(f) == "networks"}, path
        tables = ("OBJECTIVES", "PENALTIES", "CONSTRAINTS")
        assert not any(t in path.read_text() for t in tables), path


def test_library_never_touches_global_config():
    for path in PACKAGE.rglob("*.py"):
        if path != PACKAGE / "program" / "environment.py":
            assert "config.update(" not in path.read_text(), path


def test_root_import_is_light():
    heavy = (
        "tensorflow_datasets tensorflow orbax matplotlib grain sklearn PIL tensorboardX"
    )
    code = (
        "import sys, wgan_jax\n"
        f"print([m for m in {heavy.split()} if m in sys.modules])\n"
        "print([n for n in wgan_jax.__all__ if not hasattr(wgan_jax, n)])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout.split("\n")[:2] == ["[]", "[]"]
