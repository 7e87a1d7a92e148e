"""Tests of the program as a process: files, output and exit status."""

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import jax
import numpy as np
import pytest
from PIL import Image
from xla_flags import xla_flags

import wgan_jax
from configs import digits_wgan_gp
from wgan_jax.checkpointing.checkpoints import Checkpoints
from wgan_jax.config.build import build_gan
from wgan_jax.config.loading import shipped_configs
from wgan_jax.errors import choices
from wgan_jax.training.init import abstract_state

ROOT = Path(__file__).parents[2]
SMALL = [
    "--config.generator.width=8",
    "--config.critic.width=8",
    "--config.training.batch_size=16",
    "--config.samples.count=4",
    "--config.log.every=1",
    "--config.evaluation.every=0",
]


def command(workdir, *flags, config="configs/digits_wgan_gp.py"):
    named = [f"--config={config}", f"--workdir={workdir}"]
    return [sys.executable, "launch.py", *named, *flags]


def launch(workdir, *flags, config="configs/digits_wgan_gp.py", env=None):
    return subprocess.run(
        command(workdir, *flags, config=config),
        cwd=ROOT,
        env=os.environ | (env or {}),
        capture_output=True,
        text=True,
        timeout=300,
    )


def iterations(n, every=1000):
    return [
        f"--config.training.iterations={n}",
        f"--config.checkpoint.every={every}",
        f"--config.samples.every={every}",
    ]


CHANGING = ("throughput/", "time/")


def metrics(workdir):
    lines = (workdir / "metrics.jsonl").read_text().splitlines()
    return [
        {k: v for k, v in json.loads(line).items() if not k.startswith(CHANGING)}
        for line in lines
    ]


def state_of(workdir, step):
    config = digits_wgan_gp.get_config()
    config.generator.width = config.critic.width = 8
    target = abstract_state(build_gan(config))
    with Checkpoints(workdir / "checkpoints", keep=2, read_only=True) as checkpoints:
        state, _, found = checkpoints.restore(target, step=step)
    assert found == step
    return state


def wait_for(path, process, seconds=200):
    end = time.monotonic() + seconds
    while not path.exists():
        assert process.poll() is None, "the run ended before its checkpoint"
        assert time.monotonic() < end, f"no {path} after {seconds} s"
        time.sleep(0.05)


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory):
    """Returns the folder of a run with 40 uninterrupted iterations."""
    workdir = tmp_path_factory.mktemp("runs") / "unbroken"
    done = launch(workdir, *SMALL, *iterations(40, every=20))
    assert done.returncode == 0, done.stderr
    return workdir, done


def test_run_writes_all_files(unbroken):
    workdir, done = unbroken
    assert "Done: iteration 40, Wasserstein estimate" in done.stdout
    last = workdir / "samples" / "step_00000040.png"
    assert str(last) in done.stdout
    assert np.asarray(Image.open(last)).shape == (140, 140)
    for name in ("step_00000020.png", "step_00000020_live.png"):
        assert (workdir / "samples" / name).exists()
    lines = metrics(workdir)
    assert [line["step"] for line in lines] == list(range(1, 41))
    assert all(np.isfinite(v) for line in lines for v in line.values())
    record = json.loads((workdir / "config.json").read_text())
    assert record["config"]["training"]["iterations"] == 40
    assert record["packages"]["jax"] == jax.__version__
    assert record["devices"]["count"] == 1
    assert "launch.py" in record["command"]
    assert list((workdir / "tensorboard").glob("events*"))
    assert sorted(p.name for p in (workdir / "checkpoints").iterdir()) == ["20", "40"]


def test_killed_run_resumes_exactly(unbroken, tmp_path):
    workdir = tmp_path / "killed"
    argv = command(workdir, *SMALL, *iterations(100_000, every=20))
    process = subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.DEVNULL)
    wait_for(workdir / "checkpoints" / "20", process)
    process.kill()
    process.communicate()
    assert (workdir / "metrics.jsonl").exists()
    with (workdir / "metrics.jsonl").open("a") as lines:
        lines.write('{"step": 9999, "torn')
    # Later checkpoints may exist by now, but the run must resume from 20.
    for folder in (workdir / "checkpoints").iterdir():
        if folder.name != "20":
            shutil.rmtree(folder)
    done = launch(workdir, *SMALL, *iterations(40, every=20))
    assert done.returncode == 0, done.stderr
    assert "Resuming from iteration 20" in done.stdout
    assert metrics(workdir) == metrics(unbroken[0])
    one, two = (state_of(path, 40) for path in (unbroken[0], workdir))
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(two), strict=True):
        np.testing.assert_array_equal(a, b)
    pictures = [
        path / "samples" / "step_00000040.png" for path in (unbroken[0], workdir)
    ]
    assert pictures[0].read_bytes() == pictures[1].read_bytes()


def test_a_run_keeps_the_switches_of_jax_that_it_began_with(unbroken, tmp_path):
    # jax #27002
    workdir = tmp_path / "moved"
    shutil.copytree(unbroken[0], workdir)
    shutil.rmtree(workdir / "checkpoints" / "40")
    switches = {"JAX_ENABLE_X64": "1", "JAX_DEFAULT_PRNG_IMPL": "rbg"}
    done = launch(workdir, *SMALL, *iterations(40, every=20), env=switches)
    assert done.returncode == 0, done.stderr
    for name, now, began in (
        ("JAX_ENABLE_X64", True, False),
        ("JAX_DEFAULT_PRNG_IMPL", "rbg", "threefry2x32"),
    ):
        line = f"{name} is {now} here, but the run began with {began}, which is used."
        assert line in done.stderr
    assert metrics(workdir) == metrics(unbroken[0])
    one, two = (state_of(path, 40) for path in (unbroken[0], workdir))
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(two), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_short_run_announces_only_files_that_exist(tmp_path):
    # HyperGAN #125
    workdir = tmp_path / "short"
    flags = [*iterations(5), "--config.log.every=10", "--config.penalty=None"]
    done = launch(workdir, *SMALL, *flags)
    assert done.returncode == 0, done.stderr
    announced = re.findall(rf"{re.escape(str(workdir))}[\w./]+\w", done.stdout)
    assert {Path(path).name for path in announced} == {
        "step_00000005.png",
        "report.html",
        "metrics.jsonl",
        "tensorboard",
    }
    for path in announced:
        assert Path(path).exists(), path
    assert [line["step"] for line in metrics(workdir)] == [5]
    assert "Nothing bounds the gradient of the critic" in done.stderr
    assert "Done: iteration 5, score gap" in done.stdout
    assert "critic/score_gap" in metrics(workdir)[0]
    assert "Wasserstein estimate" not in done.stdout + done.stderr


@pytest.mark.parametrize("streams", ["stdout", "both"])
def test_output_that_is_closed_does_not_stop_a_run(tmp_path, streams):
    workdir = tmp_path / "head"
    process = subprocess.Popen(
        command(workdir, *SMALL, *iterations(30)),
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT if streams == "both" else subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "Loading the dataset digits.\n"
    process.stdout.close()
    if streams == "stdout":
        with process.stderr as lines:
            errors = lines.read()
        assert "roken" not in errors
        assert "Iteration 30 of 30" in errors
    assert process.wait(timeout=200) == 0
    assert (workdir / "checkpoints" / "30").is_dir()
    assert (workdir / "report.html").is_file()


@contextlib.contextmanager
def disposition(number, handler):
    """Sets what a signal does in processes that are started within the block."""
    before = signal.signal(number, handler)
    try:
        yield
    finally:
        signal.signal(number, before)


def test_a_signal_that_was_ignored_does_not_stop_a_run(tmp_path):
    """Runs as under ``nohup``."""
    workdir = tmp_path / "nohup"
    with disposition(signal.SIGHUP, signal.SIG_IGN):
        process = subprocess.Popen(
            command(workdir, *SMALL, *iterations(30)),
            cwd=ROOT,
            stderr=subprocess.PIPE,
            text=True,
        )
    while not (workdir / "metrics.jsonl").exists():
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGHUP)
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors


# accelerate #3400, submitit PR 1701
@pytest.mark.parametrize(
    "number", [signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGHUP]
)
def test_signal_saves_a_checkpoint_and_says_how_to_resume(tmp_path, number):
    workdir = tmp_path / "stopped"
    argv = command(workdir, *SMALL, *iterations(100_000))
    with disposition(number, signal.SIG_DFL):
        process = subprocess.Popen(
            argv, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
    while not (workdir / "metrics.jsonl").exists() or not metrics(workdir):
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(number)
    text, _ = process.communicate(timeout=120)
    assert process.returncode == 128 + number
    done = metrics(workdir)[-1]["step"]
    assert f"Stopped by {number.name} at iteration {done}; checkpoint saved" in text
    assert "launch.py --config=configs/digits_wgan_gp.py" in text.splitlines()[-1]
    assert (workdir / "checkpoints" / str(done)).is_dir()
    again = launch(workdir, *SMALL, *iterations(done))
    assert again.returncode == 0
    assert f"Iteration {done} has already been reached" in again.stdout


def test_sample_mode_writes_a_picture_and_an_array(unbroken):
    workdir, _ = unbroken
    found = []
    for count in (4, 6):
        flags = [*SMALL, "--mode=sample", f"--config.samples.count={count}"]
        done = launch(workdir, *flags)
        assert done.returncode == 0, done.stderr
        path = workdir / "samples" / f"sample_00000040_ema_seed0_{count}.npz"
        with np.load(path) as arrays:
            found.append(arrays["images"])
            assert int(arrays["step"]) == 40
    assert found[0].dtype == np.uint8
    assert found[0].shape == (4, 8, 8, 1)
    np.testing.assert_array_equal(found[0], found[1][:4])
    assert (workdir / "samples" / "sample_00000040_ema_seed0_6.png").exists()


def test_broken_checkpoint_is_skipped_with_a_warning(unbroken, tmp_path):
    workdir = tmp_path / "broken"
    shutil.copytree(unbroken[0], workdir)
    (workdir / "checkpoints" / "40" / "inventory" / "metadata").write_text("{")
    done = launch(workdir, *SMALL, *iterations(40))
    assert done.returncode == 0, done.stderr
    assert "checkpoint 40" in done.stderr
    assert "Resuming from iteration 20" in done.stdout
    assert metrics(workdir) == metrics(unbroken[0])


EIGHT = {"XLA_FLAGS": xla_flags(8)}
MISTAKES = [
    (["--config.training.batch_size=20"], "is not divisible by 8 devices", EIGHT),
    (
        ["--config.training.replicas=3"],
        "replicas is 3, which is not divisible by 8",
        EIGHT,
    ),
    (["--config.penalty.weight=-1"], "penalty.weight is -1.0", {}),
    (["--mode=sample"], "has no checkpoint to read", {}),
    (["--mode=sample", "--checkpoint=best"], "has no best checkpoint", {}),
]


@pytest.mark.parametrize(("flags", "message", "env"), MISTAKES)
def test_mistake_exits_with_status_2_and_writes_nothing(tmp_path, flags, message, env):
    workdir = tmp_path / "none"
    done = launch(workdir, *flags, env=env)
    assert done.returncode == 2, done.stdout + done.stderr
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert not workdir.exists()


def test_unknown_config_is_rejected(tmp_path):
    done = launch(tmp_path / "none", config="configs/digits.py")
    assert done.returncode == 2
    assert "configs/digits.py does not exist; did you mean digits_" in done.stderr
    assert choices(shipped_configs()) in done.stderr


def test_workdir_of_another_config_is_rejected(unbroken):
    workdir, _ = unbroken
    before = {p: p.stat().st_mtime_ns for p in workdir.rglob("*")}
    changed = ["--config.penalty.weight=3.0", "--config.seed=4"]
    done = launch(workdir, *SMALL, *iterations(80), *changed)
    assert done.returncode == 2
    assert "penalty.weight: 10.0 -> 3.0" in done.stderr
    assert "seed: 0 -> 4" in done.stderr
    assert "iterations" not in done.stderr
    assert before == {p: p.stat().st_mtime_ns for p in workdir.rglob("*")}


def test_workdir_of_other_examples_is_rejected(unbroken, tmp_path):
    workdir = tmp_path / "other"
    shutil.copytree(unbroken[0], workdir)
    record = json.loads((workdir / "config.json").read_text())
    assert record["data"]["count"] == 1500
    record["data"]["sha256"] = "0" * 64
    (workdir / "config.json").write_text(json.dumps(record))
    done = launch(workdir, *SMALL, *iterations(80))
    assert done.returncode == 2
    assert "was written with other examples" in done.stderr
    (workdir / "config.json").write_text("{")
    done = launch(workdir, *SMALL, *iterations(80))
    assert done.returncode == 2
    assert "cannot be read" in done.stderr


def program(*arguments, cwd=ROOT):
    """Runs ``python -m wgan_jax`` with arguments."""
    return subprocess.run(
        [sys.executable, "-m", "wgan_jax", *arguments],
        cwd=cwd,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=300,
    )


def test_help_lists_modes_options_and_configs():
    done = launch("none", "--help")
    assert done.returncode == 0
    assert "python launch.py train --config=digits_wgan_gp" in done.stdout
    assert "--workdir" in done.stdout
    assert "gaussians25_wgan_gp" in done.stdout
    done = program("sample", "-h")
    assert done.returncode == 0
    assert "python -m wgan_jax sample --workdir=runs/" in done.stdout
    assert "--checkpoint" in done.stdout
    assert "--topology" not in done.stdout


def test_version_and_fields_of_a_config_are_printed(tmp_path):
    assert program("--version").stdout == f"wgan-jax {wgan_jax.__version__}\n"
    fields = program("configs", "digits_wgan_gp", cwd=tmp_path).stdout
    assert fields.startswith("# WGAN-GP")
    assert "\n# Cost:    generator" in fields
    assert "--config.penalty.weight=10.0\n" in fields
    assert re.search(r"--config.generator.width=256 +channels before the", fields)
    assert "digits_wgan_gp " in program("configs", cwd=tmp_path).stdout


def test_sample_mode_needs_only_the_folder_of_a_run(unbroken, tmp_path):
    workdir = tmp_path / "run"
    shutil.copytree(unbroken[0], workdir)
    code = (
        "import sys, wgan_jax.program.setup as setup\n"
        "setup.build_source = None\n"
        "from wgan_jax.program.cli import main\n"
        "sys.exit(main(sys.argv))"
    )
    arguments = ["sample", f"--workdir={workdir}", "--config.samples.count=3"]
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    with np.load(workdir / "samples" / "sample_00000040_ema_seed0_3.npz") as arrays:
        assert arrays["images"].shape == (3, 8, 8, 1)


READ = (  # commands in one process, which shares the imports
    "import sys\n"
    "from wgan_jax.program.cli import main\n"
    "codes = [main(['wgan-jax', *line.split()]) for line in sys.argv[1:]]\n"
    "sys.exit(codes != [0] * len(codes))"
)


def read_on_three_devices(*commands):
    """Runs commands that read runs, with three virtual devices."""
    return subprocess.run(
        [sys.executable, "-c", READ, *commands],
        cwd=ROOT,
        env=os.environ | {"XLA_FLAGS": xla_flags(3), "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=300,
    )


def test_a_run_is_read_on_devices_that_do_not_divide_its_batch(unbroken, tmp_path):
    workdir, one = tmp_path / "run", tmp_path / "one"
    shutil.copytree(unbroken[0], workdir)
    drawn = workdir / "samples" / "interpolation_00000040.png"
    drawn.unlink()
    wanted = "--config.samples.count=5 --format=npz"
    done = read_on_three_devices(
        f"sample --workdir={workdir} {wanted}",
        f"evaluate --workdir={workdir} --config.evaluation.count=40",
        f"export --workdir={workdir} --formats=stablehlo",
        f"report --workdir={workdir}",
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "left out" not in done.stderr
    for path in (drawn, workdir / "report.html", workdir / "export"):
        assert path.exists(), path
    assert (workdir / "evaluations.jsonl").read_text().count("\n") == 2
    found = program(*f"sample --workdir={workdir} --output={one} {wanted}".split())
    assert found.returncode == 0, found.stderr
    (path,) = one.iterdir()
    with np.load(path) as here, np.load(workdir / "samples" / path.name) as there:
        np.testing.assert_array_equal(there["images"], here["images"])


def test_replicas_are_read_on_devices_that_do_not_divide_them(tmp_path):
    workdir = tmp_path / "replicas"
    flags = ["--config.training.replicas=2", "--config.training.n_critic=1"]
    config = "configs/gaussians_wgan_gp.py"
    done = launch(workdir, *SMALL, *flags, *iterations(1), config=config)
    assert done.returncode == 0, done.stderr
    done = read_on_three_devices(f"sample --workdir={workdir} --config.samples.count=3")
    assert done.returncode == 0, done.stderr
    with np.load(workdir / "samples/sample_00000001_ema_seed0_3.npz") as arrays:
        assert arrays["images"].shape == (2, 3, 2)


def test_mistakes_of_a_reading_mode_are_not_about_devices(unbroken):
    done = launch(
        unbroken[0],
        "--mode=sample",
        *("--config.training.batch_size=20", "--config.samples.count=0"),
        env=EIGHT,
    )
    assert done.returncode == 2
    assert "samples.count is 0" in done.stderr
    assert "devices" not in done.stderr


def test_report_mode_rejects_overrides_without_config(unbroken):
    done = program("report", f"--workdir={unbroken[0]}", "--config.seed=1")
    assert done.returncode == 2
    assert "--config.seed needs --config=NAME" in done.stderr


def test_run_resumes_from_its_own_config(unbroken, tmp_path):
    workdir = tmp_path / "run"
    shutil.copytree(unbroken[0], workdir)
    done = program(
        f"--config={workdir / 'config.json'}", f"--workdir={workdir}", *iterations(42)
    )
    assert done.returncode == 0, done.stderr
    assert "Resuming from iteration 40" in done.stdout


def test_diverged_run_stops_and_names_the_metrics(tmp_path):
    workdir = tmp_path / "diverged"
    rate = "--config.optimizer.critic.learning_rate=1e30"
    done = launch(workdir, *SMALL, *iterations(50), rate)
    assert done.returncode == 1
    assert "not finite" in done.stderr
    assert "critic/" in done.stderr
    assert not list((workdir / "checkpoints").iterdir())


def test_missing_data_without_network_lists_options(tmp_path):
    closed = "http://127.0.0.1:9"
    env = {"https_proxy": closed, "http_proxy": closed, "HOME": str(tmp_path)}
    began = time.monotonic()
    done = launch(
        tmp_path / "run",
        f"--config.dataset.data_dir={tmp_path / 'data'}",
        config="configs/cifar10_wgan_gp.py",
        env=env,
    )
    assert done.returncode == 2, done.stdout + done.stderr
    for word in ("cifar10", str(tmp_path / "data"), "data_dir", "digits_wgan_gp"):
        assert word in done.stderr
    assert "Traceback" not in done.stderr
    assert time.monotonic() - began < 60  # 30 s, plus the imports
