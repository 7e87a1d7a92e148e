"""Tests of ``--mode=plan`` that do not need the compilers of accelerators."""

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import jax
import numpy as np
import pytest
from program_texts import GPU

from configs import cifar10_wgan_gp, digits_wgan_gp, gaussians_wgan_gp
from wgan_jax.config.build import build_source
from wgan_jax.errors import ConfigError, MissingCompilerError
from wgan_jax.parallel.sharding import make_mesh
from wgan_jax.planning import accelerators
from wgan_jax.planning.accelerators import Target, parse_target
from wgan_jax.planning.costs import Memory, bytes_of, read_costs
from wgan_jax.planning.hlo_costs import Collective
from wgan_jax.planning.roofline import roofline
from wgan_jax.program import plan as module
from wgan_jax.program.plan import plan, prepare, table

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("text", "devices"),
    [("v5e:2x4", 8), ("V5E:16x16", 256), ("v5p:2x2x1", 4), ("h100:64", 64)],
)
def test_topology_is_parsed(text, devices):
    assert parse_target(text).devices == devices
    assert str(parse_target(text)) == text.lower()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", r"needs --topology=DEVICES, such as v4:2x4x4, v5e:4x4, .*, h100:8\.$"),
        (
            "a100:8",
            r"=a100:8 is not a known accelerator; .*: v4, v5e, v5p, v6e, h100, each",
        ),
        (
            "v5e:3x3",
            r"a valid set of TPU v5e devices; choices: v5e:1x1, .*, v5e:16x16\.$",
        ),
        ("v5e", r"--topology=v5e is not a valid set of TPU v5e devices"),
        ("h100:7", r"choices: h100:1, h100:2, h100:4, h100:8, .*h100:256\.$"),
    ],
)
def test_invalid_topologies_are_rejected(text, says):
    with pytest.raises(ConfigError, match=says):
        parse_target(text)


def bound(topology, *exchanges, **amounts):
    amounts = {"products": 0.0, "traffic": 0.0, "kernels": 0.0, **amounts}
    return roofline(parse_target(topology), exchanges=list(exchanges), **amounts)


def test_bound_uses_published_peaks():
    found = bound("v5e:1x1", products=197e12, traffic=2 * 819e9)
    assert (found.operations, found.memory, found.links) == (1, 2, 0)
    assert (found.seconds, found.binds) == (2, "memory")
    # A TPU multiplies float32 as bfloat16, and an H100 as TF32 at half the rate.
    assert bound("v5e:1x1", products=197e12, dtype="bfloat16").operations == 1
    assert bound("h100:1", products=989.5e12, dtype="bfloat16").operations == 1
    assert bound("h100:1", products=494.7e12).operations == 1


def test_launches_are_sequential_on_cuda_only():
    # 2,601 launches of 3 us take 7.8 ms, and 11.7 GB at 3.35 TB/s take 3.5 ms.
    found = bound("h100:1", kernels=2601, traffic=11.7e9)
    assert found.launches == pytest.approx(7.803e-3)
    assert found.memory == pytest.approx(3.4925e-3, rel=1e-4)
    assert (found.seconds, found.binds) == (found.launches, "launches")
    assert bound("h100:1", kernels=1000, traffic=11.7e9).binds == "memory"
    on_tpu = bound("v5e:1x1", kernels=2601, traffic=819e9)
    assert (on_tpu.launches, on_tpu.seconds) == (0, 1)


@pytest.mark.parametrize(
    ("topology", "kind", "seconds"),
    [
        # Each of 4 devices sends 3/4 of its data and 3/4 of the sums, at 200 GB/s.
        ("v5e:2x2", "all-reduce", 1.5),
        ("v5e:2x2", "all-gather", 0.75),
        ("v5e:2x2", "reduce-scatter", 0.75),
        ("v5e:2x2", "collective-permute", 1.0),
        ("v5e:1x1", "all-reduce", 0.0),
        # NVLink switches reduce, so data is sent once, at 450 GB/s.
        ("h100:8", "all-reduce", 7 / 8 * 200 / 450),
        # 2 nodes: each device sends 1/2 of its eighth twice, at 50 GB/s.
        ("h100:16", "all-reduce", 1 / 8 * 2 * 1 / 2 * 200 / 50),
        ("h100:64", "all-reduce", 1 / 8 * 2 * 7 / 8 * 200 / 50),
    ],
)
def test_communication_uses_published_links(topology, kind, seconds):
    once = bound(topology, Collective(kind, 200e9, ()))
    assert once.links == pytest.approx(seconds)
    again = bound(topology, Collective(kind, 200e9, (5, 2)))
    assert again.links == pytest.approx(10 * seconds)


def compiled(text, **memory):
    """Returns a stub of a compiled program of JAX."""
    stats = {"argument": 50, "output": 40, "alias": 30, "temp": 7, "generated_code": 3}
    fields = {f"{name}_size_in_bytes": n for name, n in {**stats, **memory}.items()}
    return SimpleNamespace(
        as_text=lambda: text,
        memory_analysis=lambda: SimpleNamespace(**fields),
        cost_analysis=lambda: None,
    )


def costs_of(text=GPU, *, updates=3, **more):
    memory = more.pop("memory", {})
    state = [jax.ShapeDtypeStruct((5, 2), np.float32)]
    fields = {"state": state, "updates": updates, "traced": 4096.0, **more}
    return read_costs(compiled(text, **memory), Target("h100", "2"), **fields)


def test_peak_memory_excludes_donated_results():
    found = costs_of().memory
    assert found == Memory(
        arguments=50, results=40, donated=30, temporaries=7, program=3
    )
    assert found.peak == 50 + 40 - 30 + 7


def test_table_reports_exceeded_memory():
    fits = costs_of(memory={"temp": 79_000_000_000})
    lines = table(fits, Target("h100", "2"), images=64, dtype="float32")
    assert not any("does not fit" in line for line in lines)
    much = costs_of(memory={"temp": 120_000_000_000})
    lines = table(much, Target("h100", "2"), images=64, dtype="float32")
    assert lines[-1].startswith(
        "The step does not fit into memory: the peak is 1.50 times the memory"
    )


def kernels_row(target):
    lines = table(costs_of(), target, images=64, dtype="float32")
    (row,) = (line.split() for line in lines if line.startswith("  kernels "))
    return " ".join(row), lines[-1]


def test_table_has_launches_on_cuda_only():
    # A call, a convolution, a fusion, and three all-reduces: 18 us.
    row, last = kernels_row(Target("h100", "2"))
    assert row == "kernels 6 at 3 us each: 0.018 ms"
    assert last.endswith("over all devices, limited by the kernel launches.")
    assert last.startswith("At most 55,555.6 iterations/s, 3,555,556 images/s")
    row, _ = kernels_row(Target("v5e", "2x2"))
    assert row == "kernels 6 without launch cost"


def test_critic_updates_are_identified_by_their_loop():
    array = 4 * 8 * 4 * 4 * 2
    found = costs_of()
    assert found.exchanged["all-reduce"].count == 3
    assert found.exchanged["all-reduce"].bytes == 3 * array
    assert (found.critic_update.count, found.critic_update.bytes) == (1, array)
    assert found.generator_update.count == 0
    # A loop with a different trip count is not that of the critic.
    other = costs_of(updates=5)
    assert (other.critic_update.count, other.generator_update.count) == (0, 3)
    # Loops over microbatches and over updates with equal trip counts are ambiguous.
    assert costs_of(microbatches=3).critic_update is None
    assert costs_of(updates=1).generator_update is None


def test_costs_of_a_call_are_divided_by_iterations():
    outer = GPU.replace("ENTRY %main", "%once") + (
        "\nENTRY %main (b: f32[2,3]) -> f32[3,2] {\n"
        "  %b = f32[2,3]{1,0} parameter(0)\n"
        "  ROOT %all = f32[3,2]{1,0} while(%b), condition=%condition, body=%once, "
        'backend_config={"known_trip_count":{"n":"4"}}\n}\n'
    )
    one, of_four = costs_of(), costs_of(outer, per_call=4)
    for name in ("operations", "traffic", "kernels", "exchanged", "critic_update"):
        assert getattr(of_four, name) == getattr(one, name), name
    assert of_four.bound.seconds == pytest.approx(one.bound.seconds)


def test_costs_are_per_device():
    found = costs_of()
    # Two 1x1 convolutions of 8 images of 4x4 pixels, 2 to 2 channels.
    assert found.operations == 2 * 2 * (8 * 4 * 4 * 2 * 2)
    assert found.operations_traced == 4096 / 2
    assert found.state_bytes == 40
    assert found.bound.operations == found.operations / 494.7e12
    assert json.dumps(found.record())
    assert found.bound.launches == 6 * 3e-6
    assert found.record()["bound"]["launches"] == found.bound.launches
    assert found.record()["bound"]["binds"] == found.bound.binds == "launches"
    assert found.record()["memory"]["peak"] == 67


def test_state_bytes_are_per_device():
    class Halves:
        def shard_shape(self, shape):
            return (shape[0] // 2, *shape[1:])

    whole = jax.ShapeDtypeStruct((4, 3), np.float32)
    assert bytes_of({"a": whole}) == 48
    part = SimpleNamespace(shape=(4, 3), dtype=np.dtype(np.float16), sharding=Halves())
    assert bytes_of([part]) == 12


@pytest.mark.parametrize(
    ("field", "size", "says"),
    [
        (
            "batch_size",
            64,
            r"batch_size is 64, .* divisible by 3 .* Use 63 or 66\.$",
        ),
        ("microbatches", 5, r"batch_size is 64, which is not divisible"),
    ],
)
def test_indivisible_batch_is_rejected(field, size, says):
    config = digits_wgan_gp.get_config()
    config.training[field] = size
    with pytest.raises(ConfigError, match=says):
        prepare(config, SimpleNamespace(size=3))


def test_dataset_is_described_without_examples(tmp_path, monkeypatch):
    config = cifar10_wgan_gp.get_config()
    config.dataset.data_dir = str(tmp_path)
    source = build_source(config, examples=False)
    assert (source.example_shape, source.num_classes) == ((32, 32, 3), 10)
    assert source.images.dtype == np.uint8
    assert len(source) == 0  # not prepared, so the number is unknown
    config.dataset.resize = 64
    assert build_source(config, examples=False).example_shape == (64, 64, 3)
    assert not list(tmp_path.iterdir())
    config.dataset.resize = 0
    with pytest.raises(ConfigError, match="resize is 0; it must be a whole number"):
        build_source(config, examples=False)
    digits = digits_wgan_gp.get_config()
    described, read = (build_source(digits, examples=x) for x in (False, True))
    assert described.record() == read.record()


def test_batch_larger_than_prepared_data_is_rejected():
    folder = ROOT.parent / "shared" / "data" / "tfds"
    if not (folder / "cifar10").is_dir():
        pytest.skip("no prepared CIFAR-10 in ../shared/data/tfds")
    config = cifar10_wgan_gp.get_config()
    config.dataset.data_dir, config.dataset.split = str(folder), "train[:100]"
    source = build_source(config, examples=False)
    assert (len(source), source.images.strides[0]) == (
        100,
        0,
    )  # a single repeated value
    config.training.batch_size = 128
    with pytest.raises(ConfigError, match="batch_size is 128; it must be in 1 to 100"):
        prepare(config, SimpleNamespace(size=1))


def test_missing_compiler_error_says_what_to_install(monkeypatch):
    def no_plugin(**options):
        raise RuntimeError("no such platform. See elsewhere")

    monkeypatch.setattr(accelerators.topologies, "get_topology_desc", no_plugin)
    with pytest.raises(MissingCompilerError) as error:
        plan(digits_wgan_gp.get_config(), log=print, topology="h100:8")
    assert str(error.value) == (
        "the compiler for h100:8 is not installed (no such platform). Run pip "
        "install 'wgan-jax[plan]'."
    )


def test_missing_output_folder_is_found_first(tmp_path):
    with pytest.raises(ConfigError, match="is in a folder that does not exist"):
        plan(
            digits_wgan_gp.get_config(),
            log=print,
            topology="v5e:1x1",
            output=str(tmp_path / "missing" / "plan.json"),
        )


@pytest.fixture
def here(monkeypatch):
    """Makes plans compile for this machine's processor, under the name of an H100."""
    monkeypatch.setattr(module, "target_mesh", lambda _: make_mesh(jax.devices()[:1]))


def tiny():
    config = gaussians_wgan_gp.get_config()
    config.generator.width = config.critic.width = 8
    config.training.batch_size = 16
    return config


def test_plan_is_printed_and_written(here, tmp_path):
    said, file = [], tmp_path / "plan.json"
    config = tiny()
    code = plan(config, log=said.append, topology="h100:1", output=str(file))
    assert code == 0
    found = json.loads(file.read_text())
    assert (found["topology"], found["devices"]) == ("h100:1", 1)
    assert found["estimated"] == {"launch": 3e-6}
    (one,) = found["iterations"]
    assert one["updates"] == config.training.n_critic
    assert one["state_donated"] == one["state_bytes"] == one["memory"]["donated"]
    rate = one["bound"]["iterations_per_second"]
    images = config.training.batch_size * config.training.n_critic
    assert one["images_per_second"] == pytest.approx(images * rate)
    assert one["operations_traced"] > 0
    assert sum("At most" in line and "iterations/s" in line for line in said) == 1


def test_traced_operations_include_all_replicas(here):
    mesh = make_mesh(jax.devices()[:1])
    batches = tiny().training.n_critic
    once = prepare(tiny(), mesh).operations(batches)
    several, twice = tiny(), tiny()
    several.training.iterations_per_call = 4
    assert prepare(several, mesh).operations(batches) == once
    twice.training.iterations_per_call, twice.training.replicas = 1, 2
    assert prepare(twice, mesh).operations(batches) == 2 * once


def test_compiler_running_out_of_memory_is_reported(here, monkeypatch):
    def too_large(self, start, *, log):
        raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Used 20G\nof 16G hbm.")

    monkeypatch.setattr(module.Planned, "compile", too_large)
    said = []
    assert plan(tiny(), log=said.append, topology="v5e:1x1") == 1
    assert said == [
        "The step does not fit into the memory of a TPU v5e. Compiler message: "
        "RESOURCE_EXHAUSTED: Used 20G of 16G hbm."
    ]


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (
            ["--topology=v5e:5x5"],
            "--topology=v5e:5x5 is not a valid set of TPU v5e devices",
        ),
        (["--topology=v5e:1x1", "--workdir=runs/x"], "--workdir is not read by"),
    ],
)
def test_mistakes_exit_with_status_2(flags, says):
    run = subprocess.run(
        [
            sys.executable,
            "launch.py",
            "--config=configs/digits_wgan_gp.py",
            "--mode=plan",
            *flags,
        ],
        cwd=ROOT,
        env=os.environ,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert run.returncode == 2
    assert run.stderr.startswith("launch.py: ")
    assert says in run.stderr
