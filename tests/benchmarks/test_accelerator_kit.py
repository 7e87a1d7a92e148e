"""Tests of the GPU benchmark: a rehearsal of all stages, and their evaluation."""

import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks" / "accelerator"))

import correct
import correct_worker
import fast
import fast_ours
import good
import pack
import page
import run
import small_cases

KIT = Path(__file__).parents[2] / "benchmarks" / "accelerator"


@pytest.fixture(scope="module")
def rehearsed(tmp_path_factory):
    """Returns the output folder and the process of a rehearsal."""
    out = tmp_path_factory.mktemp("rehearsal")
    done = subprocess.run(
        [
            sys.executable,
            KIT / "run.py",
            f"--out={out}",
            "--rehearsal",
            "--limits=200,200,200",
        ],
        capture_output=True,
        text=True,
        timeout=590,
        check=False,
    )
    return out, done


def test_rehearsal_runs_all_stages(rehearsed):
    out, done = rehearsed
    assert done.returncode == 0, done.stdout[-3000:]
    results = json.loads((out / "results.json").read_text())
    assert results["rehearsal"]
    stages = results["stages"]
    assert list(stages) == ["correct", "fast", "good"]
    assert {s["ended"] for s in stages.values()} == {0}
    assert all(not case["wrong"] for case in stages["correct"]["found"].values())
    for name, steps in stages["fast"]["found"]["steps"].items():
        figures = steps["iteration"]
        assert figures["ms"] > 0, name
        assert figures["images_per_second"] == pytest.approx(5 * 4e3 / figures["ms"])
        assert 0 < figures["share_of_bound"] < 1
    assert len(stages["fast"]["found"]["steps"]) == 2
    (profile,) = stages["fast"]["found"]["profile"].values()
    assert profile["kernels"] > 10
    assert 0 <= profile["idle"] < 1
    trained = stages["good"]["found"]
    assert trained["finite"]
    assert trained["iteration"] == trained["planned_iterations"] == 20


def test_outputs_are_at_most_eight_files(rehearsed):
    out, _ = rehearsed
    names = sorted(path.name for path in out.iterdir())
    assert names == [
        "generator.npz",
        "picture.png",
        "results.json",
        "run.zip",
        "samples_0.npz",
    ]
    assert np.load(out / "samples_0.npz")["images"].shape == (70, 8, 8, 1)
    weights = np.load(out / "generator.npz")
    stages = json.loads((out / "results.json").read_text())["stages"]
    sizes = [weights[n].size for n in weights.files if n.startswith("params/")]
    assert sum(sizes) == stages["good"]["found"]["generator_parameters"]
    assert len(run.FILES) + 1 <= 8
    assert parts_of(10_000) == 3


def parts_of(count):
    """Returns the number of files for a number of samples."""
    assert good.PART * 32 * 32 * 3 < good.FILE_LIMIT
    return len(range(0, count, good.PART))


def test_page_is_generated_from_a_run(rehearsed, tmp_path):
    out, _ = rehearsed
    kept = tmp_path / "accelerator"
    for _ in range(2):
        page.keep([out], kept, None)
    first, second = sorted(path.stem for path in kept.glob("*.json"))
    assert second == f"{first}-2"
    text = page.page(kept)
    assert "(rehearsal)" in text
    assert f"![samples](accelerator/{first}.png)" in text
    assert "| mlp, float32 |" in text
    assert "| dcgan, 4, bfloat16 | 5 critic + 1 generator |" in text
    assert "10 iterations in" in text or "iterations/s at the end" in text
    assert "figures" not in text.split("## ")[0].split("```")[-1]


def test_several_calls_are_merged_into_one_run(tmp_path):
    good, late = {"wrong": []}, {"wrong": ["no time was left to end"]}
    calls = [
        {
            "correct": {
                "ended": 1,
                "seconds": 80,
                "log": "late",
                "found": {"mlp/float32": good, "sngan/bfloat16": late},
            }
        },
        {"fast": {"ended": 0, "seconds": 150, "log": "", "found": {}}},
        {
            "correct": {
                "ended": 0,
                "seconds": 60,
                "log": "",
                "found": {"sngan/bfloat16": good},
            }
        },
    ]
    for number, stages in enumerate(calls):
        about = {"commit": f"c{number}", "gpu": "H100, 1", "date": "2026-11-26 18:21"}
        content = {"about": about, "rehearsal": False, "stages": stages}
        (tmp_path / str(number)).mkdir()
        (tmp_path / str(number) / "results.json").write_text(json.dumps(content))
    (tmp_path / "1" / "picture.png").write_bytes(b"picture")
    page.keep([tmp_path / str(n) for n in range(3)], tmp_path / "kept", None)
    (file,) = (tmp_path / "kept").glob("*.json")
    assert file.with_suffix(".png").read_bytes() == b"picture"
    results = json.loads(file.read_text())
    assert results["about"]["commit"] == "c0"
    correct = results["stages"]["correct"]
    assert correct["ended"] == 0
    assert correct["seconds"] == 140
    assert correct["found"] == {"mlp/float32": good, "sngan/bfloat16": good}
    assert results["stages"]["fast"]["commit"] == "c1"


def test_page_in_docs_is_up_to_date():
    docs = KIT.parents[1] / "docs"
    assert (docs / "accelerator.md").read_text() == page.page(docs / "accelerator")


def test_page_without_runs_has_no_figures(tmp_path):
    text = page.page(tmp_path)
    assert text.endswith("No GPU has run it yet, so this page has no figures.\n")


@pytest.mark.parametrize(
    ("script", "ended"),
    [
        ("import sys; sys.exit('no device')", 1),
        (
            "import time; print('begun', flush=True); time.sleep(60)",
            "time limit exceeded",
        ),
    ],
)
def test_failed_stage_is_reported(script, ended, tmp_path, monkeypatch):
    (tmp_path / "broken.py").write_text(script)
    monkeypatch.setattr(run, "__file__", str(tmp_path / "run.py"))
    found = run.take(run.Stage("broken", -8.0, ()), tmp_path)
    assert found["ended"] == ended
    assert found["log"].strip() in ("no device", "begun")
    assert "found" not in found


@pytest.mark.parametrize("name", small_cases.CASES)
def test_references_cover_all_steps_of_each_case(name):
    reference = np.load(KIT / "references" / f"{name}.npz")
    assert set(correct.CASES) == set(small_cases.CASES)
    for step in ("critic", "generator", "iteration"):
        kinds = {n.split("/")[1] for n in reference.files if n.startswith(f"{step}/")}
        assert kinds == {"gradient", "metric", "state"}
    terms = {n.split("/")[1] for n in reference.files if n.startswith("penalty/")}
    assert terms in (set(), set(small_cases.TERMS))
    assert all(np.isfinite(reference[n]).all() for n in reference.files)


def test_errors_detect_wrong_arrays_and_ignore_rounded_zeros():
    reference = {
        "critic/gradient/critic/a": np.array([3.0, 4.0]),
        "critic/gradient/critic/b": np.array([1e-9]),
        "critic/metric/critic/loss": np.array(2.0),
        "critic/state/critic/a": np.array([0.5, 10.0]),
        "penalty/r1/value": np.array(0.01),
    }
    exact = correct_worker.errors(reference, reference)
    assert exact["critic"] == {"gradient": 0, "array": 0, "metric": 0, "state": 0}
    moved = reference | {
        "critic/gradient/critic/a": np.array([3.0, 4.5]),
        "critic/gradient/critic/b": np.array([2e-9]),
        "critic/metric/critic/loss": np.array(2.2),
        "critic/state/critic/a": np.array([0.52, 10.1]),
        "penalty/r1/value": np.array(0.02),
    }
    found = correct_worker.errors(moved, reference)
    assert found["critic"] == pytest.approx(
        {"gradient": 0.1, "array": 0.1, "metric": 0.1, "state": 0.02}
    )
    assert found["penalty/r1"]["metric"] == pytest.approx(
        0.1
    )  # relative to at least 0.1
    del moved["penalty/r1/value"]
    with pytest.raises(ValueError, match="penalty/r1/value"):
        correct_worker.errors(moved, reference)


def test_summary_uses_the_fastest_pytorch_form():
    times = {
        "iteration": {
            "ours": [[0.010, 0], [0.020, 0], [0.010, 0]],
            "ours@graph": [[0.005, 0]] * 3,
            "graph": [[0.020, 0], [0.020, 0], [0.030, 0]],
            "channels_last": [[0.040, 0]] * 3,
        },
        "plain": {"graph": [[0.020, 0]]},
    }
    case = fast.Case("dcgan", 4, 8, (32, 32, 3), 8, 10.0)
    found = fast.summary(times, case)
    assert set(found) == {"iteration"}
    figures = found["iteration"]
    assert figures["form"] == "graph"
    assert figures["ratio"] == pytest.approx(2)
    assert figures["ratio_range"] == pytest.approx([1, 3])
    assert figures["images_per_second"] == pytest.approx(5 * 8 / 0.010)
    assert figures["variants_ms"] == pytest.approx({"graph": 5})
    assert figures["pytorch_ms"] == pytest.approx({"graph": 20, "channels_last": 40})


def event(name, start, duration, **stats):
    return SimpleNamespace(
        name=name, start_ns=start, duration_ns=duration, stats=stats.items()
    )


def trace(*lines, plane="/device:GPU:0"):
    rows = [SimpleNamespace(name=name, events=events) for name, events in lines]
    host = SimpleNamespace(name="/host:CPU", lines=[])
    return SimpleNamespace(planes=[host, SimpleNamespace(name=plane, lines=rows)])


def test_profile_counts_kernels_idle_time_and_reordering():
    kernels = [
        event("conv", 0, 4e6),
        event("nchwToNhwcKernel", 3e6, 3e6),
        event("conv", 8e6, 2e6),
        event("sm90_xmma_fprop_implicit_gemm_nhwckrsc_nhwc", 10e6, 0.5e6),
        event("cudnn::engines_precompiled::convertTensor_kernel", 10e6, 0.25e6),
    ]
    again = [event("all of it", 0, 10e6)]
    data = trace(("Stream #1(Compute)", kernels), ("XLA Ops", again))
    found = fast_ours.read_profile(data, steps=2)
    assert found["kernels"] == 2.5
    assert found["milliseconds"] == 5.25
    assert found["idle"] == pytest.approx(2 / 10.5)
    assert found["longest"][:2] == [
        ["conv", 1.0, 3.0],
        ["nchwToNhwcKernel", 0.5, 1.5],
    ]
    assert found["reordering"] == [1, 1.625]


def test_profile_without_kernels_has_a_reason():
    assert "no kernels" in fast_ours.read_profile(trace(), steps=2)["reason"]


def test_shares_are_relative_to_longest_bound_and_peaks():
    costs = {
        "bound": {"operations": 1e-3, "memory": 2e-3, "launches": 4e-3, "links": 0.0},
        "operations_traced": 6e9,
        "traffic": 3e9,
    }
    peaks = {"float32": 3e12, "bandwidth": 1.5e12}
    assert fast.shares(costs, peaks, 8.0, "float32") == pytest.approx(
        {
            "bound_ms": 4,
            "share_of_bound": 0.5,
            "share_of_peak": 0.25,
            "share_of_bandwidth": 0.25,
        }
    )


def test_failure_of_a_worker_is_recorded_as_reason():
    def worker(call, **arguments):
        raise fast.Failure(f"no {call}")

    assert fast._or_reason(worker, "costs", name="x") == {"reason": "no costs"}


def test_cases_are_run_in_order_of_importance():
    plan = fast.wanted(rehearsal=False)
    names = [name for name, _, _ in plan]
    assert names[0] == "resnet/64/bfloat16"
    assert len(set(names)) == 8
    assert [steps for _, _, steps in plan[:4]] == [("iteration",)] * 4
    found = [steps for name, _, steps in plan if name == "dcgan/64/float32"]
    assert found == [("iteration",), ("penalty", "generator", "plain")]
    (large,) = [case for name, case, _ in plan if name == "resnet/256/bfloat16"]
    assert (large.width, large.batch) == (128, 256)


def test_variants_run_whole_iterations_only():
    plan = fast.wanted(rehearsal=False)
    assert fast.share_of("ours", plan) == plan
    assert fast.share_of("graph", plan) == plan  # a form of PyTorch
    share = fast.share_of("ours@loops", plan)
    assert {steps for _, _, steps in share} == {("iteration",)}
    assert len(share) == 8


def test_command_respects_the_limits_of_the_machine():
    assert len(pack.COMMAND) < 2_000
    assert "--out $OUT" in pack.COMMAND
