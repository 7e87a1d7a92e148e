"""The search for recipes: all trials can be built, and the tables show the records."""

import json
import statistics
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks" / "recipes"))

import curve
import machine
import methods_table
import search
import table
from trials import TRIALS

from wgan_jax.config.experiment import as_json
from wgan_jax.config.loading import find_config, load_config
from wgan_jax.config.overrides import apply_overrides
from wgan_jax.config.resolve import resolve

ROOT = Path(__file__).parents[2]
RECIPES = ROOT / "benchmarks" / "recipes"
RECORDS = ROOT / "docs" / "recipes"
RESULTS = (ROOT / "docs" / "results.md").read_text()
CURVES = ("cifar10_wgan_fast", "fashion_mnist_wgan_fast")


def config_of(group, fields):
    return overridden(load_config(RECIPES / group.base), fields)


def overridden(config, fields):
    apply_overrides(config, [text.partition("=")[::2] for text in fields.split()])
    return resolve(config)


@pytest.mark.parametrize("name", TRIALS)
def test_every_trial_is_a_valid_config_that_differs_from_the_others(name):
    group = TRIALS[name]
    found = {
        trial: json.dumps(as_json(config_of(group, fields)), sort_keys=True)
        for trial, fields in group.trials.items()
    }
    assert len(set(found.values())) == len(found)


def test_methods_of_a_table_have_the_same_cost():
    costs = json.loads((RECORDS / "costs.json").read_text())["cpu_ms_per_iteration"]
    for name in ("fashion_mnist methods", "cifar10 methods"):
        group = TRIALS[name]
        for trial in group.trials:
            (option,) = search.cost(group, trial)
            flag, _, iterations = option.partition("=")
            assert flag == "--config.training.iterations"
            assert int(iterations) % 10 == 0  # whole calls
            per = costs[group.dataset][search.method_of(trial)]
            off = abs(int(iterations) * per / 1e3 - group.cpu_seconds)
            assert off <= 5 * per / 1e3 + 1e-6  # rounded to tens
    assert search.method_of("GP weight 100, seed 2") == "GP"
    assert search.method_of("GP n_critic 10, seed 0") == "GP n_critic 10"


ROUNDS = {trial: group for group in TRIALS.values() for trial in group.trials}


@pytest.mark.parametrize("path", sorted(RECORDS.glob("*.jsonl")), ids=lambda p: p.stem)
def test_recorded_trials_are_those_of_a_round(path):
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    names = [row["name"] for row in rows]
    assert len(set(names)) == len(names)
    for row in rows:
        if row["name"] not in ROUNDS:
            assert path.stem == "cifar10_long"
            continue
        group = ROUNDS[row["name"]]
        assert row["config"] == Path(group.base).stem
        expected = group.trials[row["name"]]
        found = row["overrides"] | {"training.iterations": "1000"}
        recorded = " ".join(f"{name}={text}" for name, text in found.items())
        asked = f"{expected} training.iterations=1000"
        assert config_of(group, recorded) == config_of(group, asked), row["name"]


def test_tables_of_the_results_are_those_of_the_records():
    for stem, names in (
        ("cifar10", False),
        ("cifar10_wasserstein", True),
        ("cifar10_larger", True),
    ):
        for line in (RECORDS / f"{stem}.jsonl").read_text().splitlines():
            cells = table.row(json.loads(line))
            shown = [c for i, c in enumerate(cells) if i != 1 or not names]
            assert f"| {' | '.join(shown)} |" in RESULTS
    for stem in CURVES:
        rows = json.loads((RECORDS / f"{stem}.json").read_text())["ours"]
        by_step = {row["step"]: row for row in rows}
        section = RESULTS.partition(f"recipes/{stem}.json]")[2]
        lines = section.partition("|---")[2].splitlines()[1:]
        shown = [line for line in lines[: lines.index("")] if line]
        assert shown
        for line in shown:
            step, minutes, *scores = (c.strip() for c in line.strip("|").split("|"))
            row = by_step[int(step.replace(",", ""))]
            assert minutes == f"{row['minutes']:.1f}"
            assert scores == [
                f"{row['kernel_distance']:.3f}",
                f"{row['frechet_distance']:.0f}",
                *(f"{row[x]:.2f}" for x in ("precision", "recall", "coverage")),
            ]


def test_the_comparison_of_methods_shows_its_record(monkeypatch, capsys):
    for arguments in ([], [str(RECORDS / "fashion_mnist_methods.jsonl")]):
        monkeypatch.setattr(sys, "argv", ["", *arguments])
        methods_table.main()
        assert capsys.readouterr().out in RESULTS


def trial(seed, distances, estimates=None):
    marks = [
        {"iterations": 10 * (i + 1), "kernel_distance": d}
        for i, d in enumerate(distances)
    ]
    for mark, estimate in zip(marks, estimates or [], strict=False):
        mark["critic/wasserstein_by_penalty"] = estimate
    return {"name": f"GP, seed {seed}", "marks": marks, "live": {}}


def test_the_table_of_methods_shows_means_deviations_and_ranks(
    tmp_path, monkeypatch, capsys
):
    path = tmp_path / "found.jsonl"
    rows = [
        trial(0, [3.0, 1.0, 2.0], [3.0, 1.0, 2.0]),
        trial(1, [3.0, 2.0, 4.0], [1.0, 3.0, 2.0]),
        {**trial(0, [1.0, 0.5, 0.25]), "name": "better, seed 0"},
        {"name": "diverged, seed 0", "marks": [{"iterations": 10, "diverged": True}]},
        {**trial(0, [1.0, 0.5, 4.0]), "name": "unstable, seed 0"},
        {"name": "unstable, seed 1", "marks": [{"iterations": 10, "diverged": True}]},
    ]
    path.write_text("\n".join(json.dumps(row) for row in rows))
    monkeypatch.setattr(sys, "argv", ["", str(path)])
    methods_table.main()
    distances, others = capsys.readouterr().out.split("\n\n")
    *_, better, gp, diverged, unstable = distances.splitlines()
    assert better == "| better | 1 | 30 | 0.250 | 0.250 | - |"
    deviation = statistics.stdev([2.0, 4.0])
    assert gp.startswith(f"| GP | 2 | 30 | 3.000 ± {deviation:.3f} | 1.500 ± 0.707 |")
    assert diverged == "| diverged | 1, 1 diverged | 10 | - | - | - |"
    assert unstable == "| unstable | 2, 1 diverged | 30 | 4.000 | 0.500 | - |"
    # Ranks 2, 0, 1 against 2, 0, 1: 1; against 0, 2, 1 of the distances 1, 0, 2: -0.5.
    *_, better, gp, _, _ = others.splitlines()
    assert better.startswith("| better |")
    assert gp.endswith("| 0.2 ± 1.1 | - |")


def test_a_search_says_which_trials_failed(tmp_path, monkeypatch, capsys):
    class Failed:
        returncode = 1

    monkeypatch.setattr(search.subprocess, "run", lambda *_, **__: Failed)
    arguments = ["", "--data=nowhere", f"--out={tmp_path / 'out.jsonl'}"]
    rest = ["--rounds", "fashion_mnist", "--only", "flips"]
    monkeypatch.setattr(sys, "argv", [*arguments, *rest])
    assert search.main() == 1
    assert capsys.readouterr().err == "search: these trials failed: flips\n"


def test_the_machine_of_a_record_has_its_instructions():
    text = """processor : 0
cpu family\t: 26
model\t\t: 17
model name\t: AMD EPYC
flags\t\t: sse avx2 avx512f avx512_bf16

processor : 1
flags : amx_bf16"""
    expected = "AMD EPYC (cpu family 26, model 17, AVX-512 with bfloat16)"
    assert machine.parse_cpuinfo(text) == expected
    assert machine.parse_cpuinfo("model name : i386") == "i386"
    with pytest.raises(KeyError):
        machine.parse_cpuinfo("CPU part : 0xd0c")


def test_pytorch_trains_the_recipes_and_says_what_it_cannot():
    for name in (*CURVES, "cifar10_fast", "fashion_mnist_fast"):
        curve.check_pytorch(resolve(load_config(find_config(name))))
    for name, fields in (
        ("cifar10_wgan_gp", ""),
        ("folder_fast", ""),
        ("cifar10_sngan", ""),
        ("cifar10_wgan_fast", "penalty.one_sided=True"),
        ("cifar10_wgan_fast", "dataset.labels=True critic.head=projection"),
    ):
        config = overridden(load_config(find_config(name)), fields)
        with pytest.raises(ValueError, match="has no such networks or losses"):
            curve.check_pytorch(config)


def test_rank_correlation_is_that_of_scipy():
    stats = pytest.importorskip("scipy.stats")
    a, b = np.random.default_rng(0).standard_normal((2, 9))
    expected = stats.spearmanr(a, b).statistic
    assert methods_table.rank_correlation(a, b) == pytest.approx(expected)
