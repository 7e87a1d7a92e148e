"""The list of slow tests names functions and fixtures that exist."""

import ast
from pathlib import Path

from slow_tests import FIXTURES, FUNCTIONS, ONCE, is_slow

TESTS = Path(__file__).parent


def test_listed_functions_and_fixtures_exist():
    trees = (ast.parse(path.read_text()) for path in TESTS.rglob("*.py"))
    nodes = (node for tree in trees for node in ast.walk(tree))
    names = {node.name for node in nodes if isinstance(node, ast.FunctionDef)}
    assert not {*FUNCTIONS, *FIXTURES, *ONCE} - names


def test_cases_are_selected():
    networks = "tests/networks/test_networks.py"
    assert is_slow(networks, "test_initial_deviation", "resnet64-3", ())
    assert not is_slow(networks, "test_shapes_and_range_at_the_start", "resnet64", ())
    assert not is_slow(networks, "test_initial_deviation", "mlp", ())
    assert not is_slow("tests/test_sampling.py", "test_it", "resnet64", ())
    assert is_slow("tests/test_contract.py", "test_it", "article", ())
    assert is_slow("tests/test_it.py", "test_it", "", ["tmp_path", "rehearsed"])
    assert is_slow("tests/data/test_it.py", "test_real_sets", "fashion_mnist", ())
    assert not is_slow("tests/data/test_it.py", "test_real_sets", "cifar10", ())
