"""Tests of docs/extending.md: adds each example as printed, and trains with all.

A part in a new file becomes a module of that name. A part that belongs in the file of
its table is executed in the namespace of that module.
"""

import functools
import importlib
import json
import os
import re
import shutil
import subprocess
import sys
from types import ModuleType, SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from table_rows import GOLDEN, ROOT, TABLES, missing, missing_in_config

from wgan_jax import Gan, critic_step, gradient_penalty, init_state
from wgan_jax.config.build import build_gan
from wgan_jax.config.loading import load_config
from wgan_jax.data import load_source
from wgan_jax.losses import OBJECTIVES
from wgan_jax.networks import CRITICS, GENERATORS
from wgan_jax.program.cli import main

PAGE = (ROOT / "docs/extending.md").read_text()
GUIDE = (ROOT / "docs/development.md").read_text()


def sections():
    """Returns the code blocks of each kind of part, by heading."""
    return {
        heading.lower(): re.findall(r"```python\n# (.+?)\n(.*?)```", text, re.DOTALL)
        for heading, text in re.findall(
            r"^## (.+?)\n(.*?)(?=^## |\Z)", PAGE, re.DOTALL | re.MULTILINE
        )
    }


def kinds():
    """Returns the tables of each kind of part in the development guide."""
    table = GUIDE[GUIDE.index("| to add |") :].split("\n\n")[0]
    rows = [line.strip("| ").split(" | ") for line in table.splitlines()[2:]]
    return {kind: re.findall(r"`([A-Z_]+)`", where) for kind, _, where in rows}


def rows_of(blocks):
    """Yields the table, its module and the text of each row in some blocks."""
    for title, code in blocks:
        if match := re.fullmatch(r"a row of (\w+) in (wgan_jax/[\w/]+)\.py", title):
            module = match[2].replace("/", ".").removesuffix(".__init__")
            yield match[1], module, code


def run_module(path, code, folder):
    """Executes the code of a file, and returns the names that it defines."""
    name = path.removesuffix(".py").replace("/", ".")
    file = folder / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(code)
    compiled = compile(code, str(file), "exec")
    if (ROOT / path).exists():  # beside its table
        names = dict(vars(importlib.import_module(name)))
        before = set(names)
        exec(compiled, names)
        return {k: v for k, v in names.items() if k not in before}
    module = ModuleType(name)
    sys.modules[name] = module  # dataclasses look their module up
    exec(compiled, vars(module))
    return {name.split(".")[-1]: module} | vars(module)


@pytest.fixture
def added(monkeypatch, tmp_path):
    """Adds all parts of the page to their tables, and writes its config."""
    added = SimpleNamespace(rows=[], config=None)
    before = set(sys.modules)
    for blocks in sections().values():
        names = {}
        for path, code in blocks:
            if path.startswith("wgan_jax/"):
                names |= run_module(path, code, tmp_path)
            if path.startswith("configs/"):
                added.config = tmp_path / path
                added.config.parent.mkdir()
                added.config.write_text(code)
        for table, module, text in rows_of(blocks):
            about = vars(importlib.import_module(module))
            ((name, row),) = eval(f"{{{text}}}", {**about, **names}).items()
            assert about[table] is TABLES[table]
            monkeypatch.setitem(TABLES[table], name, row)
            added.rows.append((table, name, row))
    yield added
    for name in set(sys.modules) - before:
        if name.startswith("wgan_jax."):
            del sys.modules[name]


def test_page_has_an_example_of_each_kind():
    assert list(sections()) == list(kinds())
    found = {
        kind: [table for table, _, _ in rows_of(blocks)]
        for kind, blocks in sections().items()
    }
    assert found == kinds()
    assert {table for tables in found.values() for table in tables} == set(TABLES)
    for kind, blocks in sections().items():
        files = [path for path, _ in blocks if "/" in path.split()[0]]
        makers = [path for path in files if path.startswith("tests/losses/golden/")]
        assert len(files) - len(makers) == 1, f"{kind} is one file of code"
        assert len(makers) == any(table in GOLDEN for table in kinds()[kind])


def test_examples_miss_only_golden_files_and_docs(added):
    for table, name, row in added.rows:
        found = list(missing(table, name, row))
        assert len(found) == (3 if table in GOLDEN else 1), found
        assert "is in none of docs/" in found[-1]
    (sentence,) = missing_in_config(added.config)
    assert "is in none of docs/" in sentence


def test_config_trains_with_one_part_of_each_kind(added, tmp_path, monkeypatch):
    monkeypatch.setenv("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
    workdir = tmp_path / "run"
    sizes = {
        "training.iterations": 2,
        "training.n_critic": 2,
        "training.batch_size": 16,
        "samples.count": 4,
        "log.every": 1,
        "evaluation.every": 2,
        "evaluation.count": 40,
    }
    flags = [f"--config.{name}={value}" for name, value in sizes.items()]
    argv = ["launch.py", f"--config={added.config}", f"--workdir={workdir}", *flags]
    assert main(argv) == 0
    lines = (workdir / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == [1, 2]
    metrics = json.loads(lines[-1])
    assert all(np.isfinite(value) for value in metrics.values())
    assert metrics["critic/gradient_norm_mean"] > 0
    assert metrics["generator/regularizer"] > 0
    found = json.loads((workdir / "evaluations.jsonl").read_text().splitlines()[-1])
    results = {r["protocol"]["metric"]: r for r in found["results"]}
    assert set(results) == {"frechet_distance", "mean_gap"}
    protocol = results["frechet_distance"]["protocol"]
    assert protocol["features"] == "thumbnails/2"
    record = json.loads((workdir / "config.json").read_text())
    assert record["config"]["objective"] == {"name": "margin_hinge", "margin": 0.5}
    assert record["data"]["name"] == "bars"
    named = json.dumps(record["config"])
    for table, name, _ in added.rows:  # of the parametrizations see below
        assert f'"{name}"' in named or table == "PARAMETRIZATIONS", name


def test_config_builds_the_parts_with_their_options(added):
    config = load_config(added.config)
    gan = build_gan(config)
    scores = jnp.array([0.25]), jnp.array([-0.25])
    # max(0, 1/2 - 1/4) twice, with the margin of the config.
    assert float(gan.objective.critic_loss(*scores)) == 0.5
    assert type(gan.generator) is GENERATORS["shallow"]
    assert type(gan.critic) is CRITICS["shallow"]
    assert gan.generator.image_shape == (8, 8, 1)
    assert not hasattr(gan.generator, "width")
    halfway = config.training.iterations // 2  # final^(t/T)
    scale = gan.learning_rate_scale(jnp.int32(halfway))
    assert float(scale) == pytest.approx(0.1**0.5, rel=1e-5)
    tall = {"kernel": jnp.full((4, 2), 3.0)}  # columns of norm 6, the bound is 3
    np.testing.assert_allclose(gan.constraint(tall)["kernel"], 1.5, rtol=1e-6)


def test_new_parametrization_trains(added):
    gan = Gan(
        generator=GENERATORS["shallow"](image_shape=(8, 8, 1), units=8),
        critic=CRITICS["mlp"](width=8, parametrization="standardized"),
        objective=OBJECTIVES["margin_hinge"].with_options(margin=0.5),
        penalties=((functools.partial(gradient_penalty, target=0.5), 1.0),),
        generator_optimizer=optax.sgd(1e-3),
        critic_optimizer=optax.sgd(1e-3),
        latent_size=4,
    )
    key = jax.random.key(0)
    real = jnp.asarray(load_source("bars", size=4).images)
    step = jax.jit(lambda state: critic_step(gan, state, real, key))
    _, metrics = step(init_state(gan, key))
    assert all(np.isfinite(float(value)) for value in metrics.values())
    assert float(metrics["critic/grad_norm"]) > 0


def install(root):
    """Adds the parts of the page to a copy of the repository; returns their names."""
    added = []
    for blocks in sections().values():
        imports = {}
        for path, code in blocks:
            file = root / path
            if file.exists():  # beside its table
                text = file.read_text()
                at = re.search(r"^[A-Z_]+: dict", text, re.MULTILINE).start()
                file.write_text(f"{text[:at]}{code}\n\n{text[at:]}")
            elif not path.startswith("a row"):
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(code)
                if not path.startswith("wgan_jax/"):
                    continue
                package, _, name = path.removesuffix(".py").rpartition("/")
                package = package.replace("/", ".")
                imports[name] = f"from {package} import {name}"
                for defined in re.findall(r"^(?:def|class) (\w+)", code, re.MULTILINE):
                    imports[defined] = f"from {package}.{name} import {defined}"
        for table, module, row in rows_of(blocks):
            file = root / module.replace(".", "/")
            file = file / "__init__.py" if file.is_dir() else file.with_suffix(".py")
            lines = file.read_text().splitlines()
            start = next(
                i for i, line in enumerate(lines) if line.startswith(f"{table}:")
            )
            lines.insert(lines.index("}", start), row)
            top = next(
                i for i, x in enumerate(lines) if x.startswith(("import", "from"))
            )
            used = re.findall(r"(?<![\w.\"])\w+", row)
            lines[top:top] = {imports[name] for name in used if name in imports}
            file.write_text("\n".join(lines))
            added.append(re.match(r'"(\w+)"', row)[1])
    return added


@pytest.mark.slow  # a minute
def test_existing_tests_pass_with_the_new_rows(tmp_path):
    """In a copy of the repository. Golden files are omitted; PyTorch makes them."""
    root = tmp_path / "copy"
    shutil.copytree(ROOT, root, ignore=shutil.ignore_patterns(".*", "__pycache__"))
    names = install(root)
    with (root / "docs/methods.md").open("a") as page:
        page.writelines(f"`{name}`\n" for name in [*names, "digits_mine"])
    files = "contract networks losses data evaluation augmentation optimizers schedules"
    tests = [f"tests/{name}" for name in files.split()]
    tests = [t if (root / t).exists() else f"tests/test_{t[6:]}.py" for t in tests]
    chosen = f"{' or '.join(names)} or (finite_step and mlp) or takes_part"
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-n", "0", "-v", *tests, "-k", chosen],
        cwd=root,
        env=os.environ | {"PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-5000:]
    for name in names:
        assert re.search(rf"::.*\[.*{name}.*PASSED", done.stdout), name
