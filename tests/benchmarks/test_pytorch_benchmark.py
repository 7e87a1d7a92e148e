"""Tests of the parts of the PyTorch benchmark that do not need PyTorch."""

import argparse
import io
import json
import sys
from pathlib import Path
from types import SimpleNamespace

import jax
import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks" / "pytorch"))

import pytorch_workers
from pytorch import names, report
from pytorch_cases import (
    PARAMETERS,
    PRECISIONS,
    STEPS,
    Case,
    cases,
    entry_name,
    images_of,
    label_of,
    steps_of,
)
from pytorch_check import (
    beyond,
    differences,
    in_their_layout,
    not_rounded,
    outcomes,
    rounding,
    their_name,
)
from pytorch_figure import texts
from pytorch_ours import Ours, build
from pytorch_summary import HEADER, NAME, line, penalty_cost, summarize

from wgan_jax import OBJECTIVES, init_state

TINY = Case("mlp", 8, 4, (2,), 2, 0.1)
# Like ``dcgan_ns``, with the networks of ``TINY``.
UNPENALISED = TINY._replace(weight=0.0, objective="non_saturating", updates=1)


@pytest.mark.parametrize("name", PARAMETERS)
def test_networks_have_the_expected_number_of_parameters(name):
    gan = build(cases(4, gpu=False)[name])
    state = jax.eval_shape(lambda: init_state(gan, jax.random.key(0)))
    players = state.generator.params, state.critic.params
    counts = [sum(x.size for x in jax.tree.leaves(p)) for p in players]
    assert tuple(counts) == PARAMETERS[name]


def test_ratio_is_the_median_over_pairs_in_the_best_form():
    ours = [(1.0, 2.0), (2.0, 2.0), (4.0, 2.0)]
    theirs = {
        "contiguous": [(9.0, 9.0)] * 3,
        "channels_last": [(3.0, 4.0), (2.0, 4.0), (4.0, 4.0)],
    }
    found = summarize(
        ours, theirs, images=10, operations=8.0, peaks=[{"a": 8.0, "b": 1.0}] * 3
    )
    assert found["form"] == "channels_last"
    assert found["ratio"] == 1.0  # median of 3, 1, 1, not the ratio 3/2 of the medians
    assert found["ratio_range"] == [1.0, 3.0]
    assert found["cpu_ratio"] == 2.0
    assert found["images_per_second"] == 5.0
    assert found["share_of_peak"] == 0.5
    assert json.dumps(found)


def test_penalty_cost_needs_both_steps_of_a_side():
    one, two = [(1.0, 1.0)] * 3, [(2.0, 1.0)] * 3
    times = {
        "plain": {"ours": one, "compiled": one},
        "penalty": {"ours": two, "contiguous": one},
    }
    assert penalty_cost(times) == {"ours": 2.0}


def test_differences_detect_wrong_gradients_only():
    kernel = np.arange(6.0).reshape(2, 3)
    ours = {
        "gradients/plain/a/kernel": kernel,
        "gradients/plain/a/bias": np.full(3, 1e-7),
        "values/penalty": np.float64(2),
        "inputs/real": kernel,
    }
    moved = in_their_layout(ours)
    theirs = {k: v for k, v in moved.items() if not k.startswith("inputs")}
    assert theirs["gradients/plain/a.weight"].shape == (3, 2)
    theirs["gradients/plain/a.bias"] = np.zeros(3)
    found = differences(moved, theirs)
    assert found == {"penalty": 0, "gradients of plain": 0}
    assert beyond(found, "float64") == {}
    theirs["gradients/plain/a.weight"] = theirs["gradients/plain/a.weight"] * 1.02
    found = differences(moved, theirs)
    assert found["gradients of plain"] == pytest.approx(0.02)
    assert set(beyond(found, "float32")) == {"gradients of plain"}
    assert set(beyond({"penalty": np.nan}, "float32")) == {"penalty"}
    del theirs["values/penalty"]
    with pytest.raises(ValueError, match="values/penalty"):
        differences(moved, theirs)


def test_kernels_are_converted_to_pytorch_layout():
    value = np.zeros((5, 4, 3, 2))
    moved = in_their_layout({"gradients/g/block_0/conv_1/kernel": value})
    assert moved["gradients/g/block_0.conv_1.weight"].shape == (2, 3, 5, 4)
    assert their_name("block_0/norm_1/scale") == "block_0.norm_1.weight"
    assert their_name("output/bias") == "output.bias"


def test_our_side_runs_every_step():
    side = Ours(list(TINY))
    for step in STEPS:
        side.open(step)
        wall, cpu = side.time(step, 2)
        assert wall > 0
        assert cpu >= 0
        assert side.operations(step) > 0
    whole = 5 * side.operations("penalty") + side.operations("generator")
    assert side.operations("iteration") == whole
    assert (
        int(side._state.step) == 2 * 4
    )  # in two steps, once when opening and once when timing
    assert images_of("iteration", TINY) == 20
    assert images_of("generator", TINY) == 4


@pytest.mark.parametrize("precision", PRECISIONS)
def test_our_side_runs_every_step_without_a_penalty(precision):
    case = UNPENALISED._replace(precision=precision)
    side = Ours(json.loads(json.dumps(case)))
    assert steps_of(case) == ["plain", "generator", "iteration"]
    for step in steps_of(case):
        side.open(step)
        assert side.time(step, 1)[0] > 0
    whole = side.operations("plain") + side.operations("generator")
    assert side.operations("iteration") == whole
    assert int(side._state.critic_updates) == 2 * 3  # when opening and when timing
    assert images_of("iteration", case) == 4
    leaves = jax.tree.leaves(side._state.critic.params)
    assert {x.dtype.name for x in leaves} == {"float32"}
    libraries = {"jax", "numpy"} if precision == "float32" else {"jax"}
    assert set(side.peak(64)) == libraries


def test_steps_and_labels_without_a_penalty():
    case = cases(64, gpu=False)["dcgan_ns"]
    gan = build(case)
    assert gan.penalties == ()
    assert gan.objective is OBJECTIVES["non_saturating"]
    assert label_of("iteration", case) == "1 critic + 1 generator"
    assert steps_of(case, ["penalty"]) == []
    penalised = cases(64, gpu=False)["dcgan"]
    assert steps_of(penalised) == list(STEPS)
    assert [label_of(s, penalised) for s in STEPS] == list(STEPS.values())
    assert (case.pair, case.width) == (penalised.pair, penalised.width)


def test_check_file_has_the_values_of_the_case(tmp_path):
    found = {}
    for name, case in (
        ("penalised", TINY),
        ("float32", UNPENALISED),
        ("bfloat16", UNPENALISED._replace(precision="bfloat16")),
    ):
        path = str(tmp_path / f"{name}.npz")
        Ours(list(case)).check(path)
        found[name] = in_their_layout(dict(np.load(path)))
    groups = {
        name: {"/".join(n.split("/")[:2]) for n in outcomes(arrays)}
        for name, arrays in found.items()
    }
    penalty = {"values/penalty", "gradients/penalty"}
    assert penalty <= groups["penalised"]
    assert groups["float32"] == groups["penalised"] - penalty
    assert groups["bfloat16"] == groups["float32"]
    # The parameters are equal, and the outputs of the networks are rounded.
    apart = rounding(found["float32"], outcomes(found["bfloat16"]))
    assert beyond(apart, "bfloat16") == {}
    assert beyond(apart, "float32") != {}
    assert not_rounded(apart) == {}
    kernels = [n for n in found["float32"] if n.startswith(("critic/", "generator/"))]
    assert all((found["float32"][n] == found["bfloat16"][n]).all() for n in kernels)
    same = differences(found["float32"], outcomes(found["float32"]))
    assert set(not_rounded(same)) == {"fake", "real_scores", "fake_scores"}


def test_bfloat16_limits_of_values_and_gradients():
    found = {
        "fake": 0.1,
        "real_scores": 0.01,
        "penalty": 0.1,
        "gradients of plain": 0.2,
    }
    assert set(beyond(found, "bfloat16")) == {"fake"}
    assert beyond({"gradients of plain": 0.4}, "bfloat16") != {}


def test_bfloat16_gradients_are_compared_per_network():
    reference = {
        "gradients/plain/a.weight": np.array([[3.0, 4.0]]),
        "gradients/plain/a.bias": np.array([0.0]),
        "values/fake": np.ones(2),
    }
    moved = reference | {"gradients/plain/a.bias": np.array([0.5])}
    assert (
        differences(reference, moved)["gradients of plain"] == 0.5
    )  # of a zero gradient
    found = rounding(reference, moved)
    assert found == {"fake": 0.0, "gradients of plain": pytest.approx(0.1)}


def test_precision_is_part_of_result_names():
    assert names(PRECISIONS)("bfloat16,float32") == ["float32", "bfloat16"]
    with pytest.raises(argparse.ArgumentTypeError, match="float16 is not known"):
        names(PRECISIONS)("float16")
    assert entry_name("dcgan", "float32") == "dcgan"
    longest = max((entry_name(n, p) for n in PARAMETERS for p in PRECISIONS), key=len)
    assert longest == "dcgan_ns, bfloat16"
    assert len(longest) <= NAME


class Here:
    """Worker that runs our steps in this process, for both sides."""

    def __init__(self, case, form=None):
        self._side = Ours(list(case))

    def __call__(self, call, **arguments):
        return getattr(self._side, call)(**arguments)

    def processor_seconds(self):
        return 0.0

    def close(self):
        pass


def test_report_has_the_steps_and_labels_of_its_case(capsys):
    case = UNPENALISED._replace(precision="bfloat16")
    options = argparse.Namespace(
        steps=list(STEPS), forms=["contiguous"], repeats=2, seconds=1e-4
    )
    name = entry_name("dcgan_ns", "bfloat16")
    found = report(SimpleNamespace(ours=Here, theirs=Here), name, case, options)
    assert list(found["steps"]) == ["plain", "generator", "iteration"]
    iteration = found["steps"]["iteration"]
    assert iteration["images_per_second"] == pytest.approx(4e3 / iteration["ms"])
    assert iteration["share_of_peak"] > 0
    assert "penalty_cost" not in found
    printed = capsys.readouterr().out
    assert "1 critic + 1 generator" in printed
    assert "bfloat16 matrix product" in printed
    row = line(name, label_of("iteration", case), iteration)
    assert row in printed.splitlines()
    assert row.index("1 critic") == HEADER.index("step")


def test_figure_names_precisions_of_old_files_too():
    content = {
        "arguments": {"batch": 64, "precision": list(PRECISIONS)},
        "about": {"device": "Xeon", "threads": 2},
        "networks": {entry_name("dcgan", p): {} for p in PRECISIONS},
    }
    names, title = texts(content)
    assert names == ["dcgan", "dcgan\nbfloat16"]
    assert title == "Xeon, 2 threads, float32 and bfloat16, batch 64"
    del content["arguments"]["precision"]
    assert texts(content)[1] == "Xeon, 2 threads, float32, batch 64"


def test_worker_answers_and_reports_failures(monkeypatch):
    class Echo:
        def call(self, value):
            print("a library's word")
            return value

    asked = [
        {"call": "call", "arguments": {"value": [1]}},
        {"call": "missing", "arguments": {}},
    ]
    lines = "".join(json.dumps(a) + "\n" for a in asked)
    answers = io.StringIO()
    monkeypatch.setattr(sys, "stdin", io.StringIO(lines))
    monkeypatch.setattr(sys, "argv", ["worker", "{}"])
    pytorch_workers.answer_all(Echo(), answers)
    first, second = map(json.loads, answers.getvalue().splitlines())
    assert first == {"result": [1]}
    assert "AttributeError" in second["error"]
