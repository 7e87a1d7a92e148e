"""Changes the library in small ways, and counts the changes that no test notices.

    python benchmarks/mutation.py map --out=MAP
    python benchmarks/mutation.py run --map=MAP --sample=400 --out=docs/mutation.jsonl
    python benchmarks/mutation.py table docs/mutation.jsonl

A mutant is one file with one change by an operator of cosmic-ray: another arithmetic
operator, comparison or number, a removed decorator, an inverted condition, and so on.
``map`` runs the tests under coverage and notes which test executes which line. ``run``
tries a random sample of the mutants. The tests that execute the changed line run first,
then those that execute anything in the file, and all others in the same modules, the
shortest ones before. Mutants that cannot be compiled or imported, changes of
annotations, and of how an argument can be passed, do not count.

Needs the packages of ``pip install -e '.[test,mutation]'`` and POSIX.
"""

import argparse
import ast
import hashlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ElementTree
from collections import defaultdict
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).parents[1]
SOURCES = (
    "wgan_jax/losses",
    "wgan_jax/training",
    "wgan_jax/networks/conv.py",
    "wgan_jax/checkpointing",
)
TESTS = (
    "tests/losses",
    "tests/training",
    "tests/networks",
    "tests/checkpointing",
    "tests/program/test_disk.py",
    "tests/test_bad_calls.py",
    "tests/test_contract.py",
)
# Operators that need the name of a variable, and those that put operations on bits
# into arithmetic, which nearly always end in a TypeError.
UNUSED = ("variable", "shift", "bitor", "bitand", "bitxor")
LIMIT = 240.0  # predicted seconds of the tests of one mutant, at most
DEADLINE = 900.0  # seconds after which a mutant counts as one that does not end


class Mutant(NamedTuple):
    """One change of one file.

    Attributes:
        file: path below the root of the repository.
        operator: name of the operator.
        occurrence: number of the place in the file.
        line: line of the place.
        before: text of this line.
        after: text of the first line that differs.
    """

    file: str
    operator: str
    occurrence: int
    line: int
    before: str
    after: str


class Map:
    """Tests by the lines that they execute.

    Args:
        folder: what ``map`` wrote.
    """

    def __init__(self, folder: Path) -> None:
        from coverage import CoverageData

        self._data = CoverageData(basename=str(folder / "coverage"))
        self._data.read()
        self._root = json.loads((folder / "about.json").read_text())["root"]
        self._seconds: dict[str, float] = {}
        for case in ElementTree.parse(folder / "tests.xml").iter("testcase"):
            file = case.attrib["classname"].replace(".", "/") + ".py"
            name = f"{file}::{case.attrib['name']}"
            self._seconds[name] = float(case.attrib["time"])

    def tests(self, file: str, line: int | None = None) -> list[str]:
        """Returns the tests that execute a line, or anything in a file."""
        found: set[str] = set()
        by_line = self._data.contexts_by_lineno(str(Path(self._root, file)))
        for number, contexts in by_line.items():
            if line is None or number == line:
                found |= {text.rpartition("|")[0] for text in contexts}
        return sorted(found & self._seconds.keys(), key=self._seconds.__getitem__)

    def beside(self, file: str) -> list[str]:
        """Returns all tests of the modules with a test that executes a file.

        A range of an argument is checked before the function begins, so tests of it
        execute nothing in the file.
        """
        modules = {test.partition("::")[0] for test in self.tests(file)}
        found = [t for t in self._seconds if t.partition("::")[0] in modules]
        return sorted(found, key=self._seconds.__getitem__)

    def shortest(self, tests: list[str], limit: float) -> tuple[list[str], float]:
        """Returns the tests that fit in a number of seconds, and their seconds."""
        kept, total = [], 0.0
        for test in tests:
            if total + self._seconds[test] > limit:
                break
            kept.append(test)
            total += self._seconds[test]
        return kept, total


def annotations(source: str) -> set[tuple[int, int]]:
    """Returns the lines and columns that are inside annotations."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        for field in ("annotation", "returns"):
            part = getattr(node, field, None)
            for inner in ast.walk(part) if part is not None else ():
                if isinstance(inner, ast.BinOp):
                    lines = range(inner.lineno, (inner.end_lineno or 0) + 1)
                    found |= {(n, c) for n in lines for c in range(200)}
    return found


def behaviour(source: str) -> str:
    """Returns a text of what a source computes.

    Whether an argument can be passed by position or by name is left out: another
    signature for the same calls is no change that a test of values can notice.
    """
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.arguments):
            node.args = [*node.posonlyargs, *node.args, *node.kwonlyargs]
            node.defaults += [value for value in node.kw_defaults if value is not None]
            node.posonlyargs, node.kwonlyargs, node.kw_defaults = [], [], []
    return ast.dump(tree)


def mutants(file: str) -> list[Mutant]:
    """Returns the mutants of a file that can be compiled and differ from it."""
    from cosmic_ray.ast import ast_nodes, get_ast
    from cosmic_ray.plugins import get_operator, operator_names

    source = (ROOT / file).read_text()
    typed, plain = annotations(source), behaviour(source)
    found = []
    for name in operator_names():
        if any(word in name.lower() for word in UNUSED):
            continue
        operator = get_operator(name)()
        places = [
            start
            for node in ast_nodes(get_ast(source))
            for start, _ in operator.mutation_positions(node)
        ]
        for occurrence, (line, column) in enumerate(places):
            if (line, column) in typed:
                continue
            changed = mutated(source, name, occurrence)
            try:
                if changed is None or behaviour(changed) == plain:
                    continue
                compile(changed, file, "exec")
            except SyntaxError:
                continue
            old, new = source.splitlines(), changed.splitlines()
            first = next(
                (k for k, (a, b) in enumerate(zip(old, new, strict=False)) if a != b),
                line - 1,
            )
            texts = old[line - 1].strip(), new[first].strip()
            found.append(Mutant(file, name, occurrence, line, *texts))
    return found


def mutated(source: str, operator: str, occurrence: int) -> str | None:
    """Returns the changed source."""
    from cosmic_ray.mutating import mutate_code
    from cosmic_ray.plugins import get_operator

    changed: str | None = mutate_code(source, get_operator(operator)(), occurrence)
    return changed


def order(mutant: Mutant, seed: int) -> str:
    """Returns a pseudorandom key, the same on every machine."""
    text = f"{seed} {mutant.file} {mutant.operator} {mutant.occurrence}"
    return hashlib.sha256(text.encode()).hexdigest()


class _First:
    """Plugin of pytest that notes the first failure."""

    failed: str | None = None
    collected = True

    def pytest_runtest_logreport(self, report: Any) -> None:
        if report.failed and self.failed is None:
            self.failed = report.nodeid

    def pytest_collectreport(self, report: Any) -> None:
        if report.failed:
            self.collected = False


def try_tests(tree: Path, tests: list[str]) -> dict[str, Any]:
    """Runs tests in a forked process that has imported the dependencies.

    Returns:
        ``outcome``: ``"survived"``, ``"killed"``, ``"import"`` or ``"timeout"``, and
        ``by``, the first test that failed.
    """
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.setsid()
        _run_in_child(tree, tests, write)
    os.close(write)
    began = time.monotonic()
    with os.fdopen(read) as stream:
        signal.signal(signal.SIGALRM, lambda *_: os.killpg(child, signal.SIGKILL))
        signal.alarm(int(DEADLINE))
        text = stream.read()
        signal.alarm(0)
    os.waitpid(child, 0)
    if not text:
        late = time.monotonic() - began >= DEADLINE - 1
        return {"outcome": "timeout" if late else "killed", "by": None}
    found: dict[str, Any] = json.loads(text)
    return found


def _run_in_child(tree: Path, tests: list[str], write: int) -> None:
    import pytest

    os.chdir(tree)
    quiet = os.open(os.devnull, os.O_WRONLY)
    os.dup2(quiet, 1)
    os.dup2(quiet, 2)
    first = _First()
    options = ["-x", "-q", "-n", "0", "-p", "no:cacheprovider", "-m", ""]
    code = pytest.main([*options, *tests], plugins=[first])
    outcome = "survived" if code == 0 else "killed"
    if not first.collected:
        outcome = "import"
    with os.fdopen(write, "w") as stream:
        json.dump({"outcome": outcome, "by": first.failed}, stream)
    os._exit(0)


def map_tests(options: argparse.Namespace) -> int:
    """Runs the tests under coverage."""
    options.out.mkdir(parents=True, exist_ok=True)
    out = options.out.resolve()
    (out / "about.json").write_text(json.dumps({"root": str(ROOT)}))
    # With --dist, pytest-cov would wait for workers and note no contexts.
    alone = ["-n", "0", "--dist", "no"]
    command = [sys.executable, "-m", "pytest", "-q", *alone, *TESTS]
    command += ["--cov=wgan_jax", "--cov-context=test", "--cov-report="]
    command += [f"--junitxml={out / 'tests.xml'}", "-o", "junit_family=xunit1"]
    environment = os.environ | {"COVERAGE_FILE": str(out / "coverage")}
    return subprocess.run(command, cwd=ROOT, env=environment).returncode


def run(options: argparse.Namespace) -> int:
    """Tries mutants and appends one line for each to a file."""
    known = Map(options.map)
    files = sorted(
        path.relative_to(ROOT).as_posix()
        for source in SOURCES
        for path in (
            [ROOT / source] if source.endswith(".py") else (ROOT / source).glob("*.py")
        )
    )
    everything = [mutant for file in files for mutant in mutants(file)]
    everything.sort(key=lambda mutant: order(mutant, options.seed))
    part, parts = (int(text) for text in options.part.split("/"))
    done = set()
    if options.out.exists():
        rows = [json.loads(line) for line in options.out.open()]
        done = {(row["file"], row["operator"], row["occurrence"]) for row in rows}
    print(f"{len(everything)} mutants, {len(done)} tried", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder, "tree")
        copy(tree)
        os.environ["JAX_COMPILATION_CACHE_DIR"] = str(tree / ".jax_cache")
        _import_dependencies()
        for mutant in everything[: options.sample][part::parts]:
            if mutant[:3] in done:
                continue
            row = mutant._asdict() | _try(mutant, tree, known)
            with options.out.open("a") as stream:
                stream.write(json.dumps(row) + "\n")
            print(row["outcome"], mutant.file, mutant.line, mutant.after, flush=True)
    return 0


def _try(mutant: Mutant, tree: Path, known: Map) -> dict[str, Any]:
    path, began = tree / mutant.file, time.monotonic()
    source = path.read_text()
    changed = mutated(source, mutant.operator, mutant.occurrence)
    assert changed is not None
    path.write_text(changed)
    # Its compiled file could have the same size and second.
    for stale in (path.parent / "__pycache__").glob(f"{path.stem}.*"):
        stale.unlink()
    try:
        near = known.tests(mutant.file, mutant.line)
        first, seconds = known.shortest(near, LIMIT)
        found = try_tests(tree, first) if first else {"outcome": "survived", "by": None}
        if found["outcome"] == "survived":
            far = [t for t in known.beside(mutant.file) if t not in set(first)]
            rest, _ = known.shortest(far, LIMIT - seconds)
            if rest:
                found = try_tests(tree, rest)
            first = first + rest
    finally:
        path.write_text(source)
        for stale in (path.parent / "__pycache__").glob(f"{path.stem}.*"):
            stale.unlink()
    seconds = round(time.monotonic() - began, 1)
    return found | {"tests": len(first), "seconds": seconds}


def copy(tree: Path) -> None:
    """Copies the repository's tracked files as they are, and the compilation cache."""
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True
    )
    tree.mkdir()
    subprocess.run(
        ["tar", "-c", "--null", "-T", "-", "-f", str(tree.parent / "tree.tar")],
        cwd=ROOT,
        check=True,
        input=listed.stdout,
        text=True,
    )
    subprocess.run(
        ["tar", "-x", "-f", str(tree.parent / "tree.tar")], cwd=tree, check=True
    )


def _import_dependencies() -> None:
    import chex  # noqa: F401
    import flax.linen  # noqa: F401
    import jax  # noqa: F401
    import ml_collections  # noqa: F401
    import optax  # noqa: F401
    import orbax.checkpoint  # noqa: F401
    import pytest  # noqa: F401
    import scipy.stats  # noqa: F401


def table(options: argparse.Namespace) -> int:
    """Prints the scores by module, and the mutants that survived."""
    rows = [json.loads(line) for line in options.file.open()]
    counts: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for row in rows:
        for group in (row["file"], "all"):
            counts[group][row["outcome"]] += 1
    print("| file | tried | killed | survived | score |\n|---|---|---|---|---|")
    for file, count in sorted(counts.items()):
        killed = count["killed"] + count["timeout"]
        tried = killed + count["survived"]
        score = killed / max(1, tried)
        print(f"| `{file}` | {tried} | {killed} | {count['survived']} | {score:.2f} |")
    print()
    for row in sorted(rows, key=lambda row: (row["file"], row["line"])):
        if row["outcome"] == "survived":
            change = f"`{row['before']}` -> `{row['after']}`"
            print(f"- `{row['file']}:{row['line']}`: {change}")
    return 0


def main() -> int:
    """Maps tests to lines, tries mutants, or prints a table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    commands = parser.add_subparsers(required=True)
    command = commands.add_parser("map", help="run the tests under coverage")
    command.add_argument("--out", type=Path, required=True, help="folder to write")
    command.set_defaults(run=map_tests)
    command = commands.add_parser("run", help="try mutants")
    command.add_argument("--map", type=Path, required=True, help="folder of map")
    command.add_argument("--out", type=Path, required=True, help="file of JSON lines")
    command.add_argument("--sample", type=int, default=400, help="number of mutants")
    command.add_argument("--seed", type=int, default=0, help="seed of the sample")
    command.add_argument("--part", default="0/1", help="K/N: every N-th from K")
    command.set_defaults(run=run)
    command = commands.add_parser("table", help="print scores and survivors")
    command.add_argument("file", type=Path, help="file of JSON lines")
    command.set_defaults(run=table)
    options = parser.parse_args()
    code: int = options.run(options)
    return code


if __name__ == "__main__":
    sys.exit(main())
