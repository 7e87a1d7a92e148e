"""The house: imports go down the floors, and the root stays light."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "wgan_jax"
# A module imports only from lower floors; on one floor, only what stands earlier.
FLOORS = [
    ["types", "terms"],
    [
        "compilation",
        "memory",
        "caches",
        "sharding",
        "images",
        "writers",
        "binding",
        "distributed",
        "schedules",
        "modules",
        "latent_space",
        "optimal_transport",
        "operations",
        "program_text",
        "program_counts",
        "targets",
        "roofline",
        "networks",
    ],
    [
        "optimizers",
        "augmentation",
        "losses",
        "readings",
        "metrics",
        "conditioning",
        "gan",
        "data",
        "evaluation",
    ],
    [
        "initialization",
        "updates",
        "players",
        "corrected",
        "steps",
        "iterations",
        "compiled",
        "replicas",
    ],
    ["sampling", "inventory", "store", "checkpoint"],
    ["schema", "experiment", "sweep", "examination", "report"],
    ["program"],
]
ORDER = [room for floor in FLOORS for room in floor]


def room(dotted):
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
def test_imports_go_down(path):
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    here = ORDER.index(parts[0])
    for dotted in imports(path):
        there = ORDER.index(room(dotted))
        assert there <= here, f"{path.name} imports {dotted} from a higher floor"
        assert there < here or len(parts) > 1, f"{path.name} imports itself"


def test_gan_and_steps_import_no_network_and_no_table():
    for name in ("gan", "initialization", "updates", "players", "steps"):
        found = set(imports(PACKAGE / f"{name}.py"))
        assert not {f for f in found if room(f) == "networks"}
        text = (PACKAGE / f"{name}.py").read_text()
        assert not any(t in text for t in ("OBJECTIVES", "PENALTIES", "CONSTRAINTS"))


def test_library_never_touches_global_config():
    for path in PACKAGE.rglob("*.py"):
        assert "config.update(" not in path.read_text(), path


def test_files_keep_to_one_noun_of_bounded_length():
    for path in PACKAGE.rglob("*.py"):
        assert len(path.read_text().splitlines()) <= 320, path


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
