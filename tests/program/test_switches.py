"""Tests that results do not depend on switches of JAX in the environment."""

import json
import logging
import re
import shutil
from types import SimpleNamespace

import jax
import numpy as np
import pytest
from test_calls import config_of, run
from test_runs import assert_equal

import wgan_jax
from wgan_jax.program.cli import main
from wgan_jax.program.environment import OF_FORK, OF_PRETRAINED, OF_RUN, use_switches
from wgan_jax.program.train import train
from wgan_jax.program.workdir import SWITCHES, Workdir

OTHER = {
    "jax_enable_x64": True,
    "jax_default_prng_impl": "rbg",
    "jax_threefry_partitionable": False,
    "jax_random_seed_offset": 7,
    "jax_default_matmul_precision": "highest",
}


@pytest.fixture(autouse=True)
def restored():
    """Restores all switches after a test."""
    before = {name: getattr(jax.config, name) for name in OTHER}
    yield
    use(before)


def use(switches):
    for name, value in switches.items():
        jax.config.update(name, value)


def current():
    return {name: getattr(jax.config, name) for name in OTHER}


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """Returns the folder of a run of 4 iterations."""
    path = tmp_path_factory.mktemp("runs") / "finished"
    assert run(path, 4, iterations=4, every=4)[0] == 0
    return path


@pytest.fixture
def rbg(tmp_path):
    """Returns the folder of a run with other switches."""
    use({"jax_default_prng_impl": "rbg", "jax_default_matmul_precision": "highest"})
    path = tmp_path / "rbg"
    assert run(path, 4, iterations=4, every=4)[0] == 0
    use(SWITCHES)
    return path


def origin(workdir):
    return json.loads((workdir / "config.json").read_text())["origin"]


@pytest.mark.parametrize("name", OTHER)
def test_each_switch_is_recorded_and_kept(name, tmp_path):
    use({name: OTHER[name]})
    workdir = Workdir(tmp_path)
    with pytest.MonkeyPatch.context() as patches:
        patches.setattr("wgan_jax.program.workdir.as_json", lambda _: {})
        workdir.claim(SimpleNamespace(), data={}, command="")
    assert workdir.switches() == SWITCHES | {name: OTHER[name]}
    use(SWITCHES)
    lines = []
    use_switches(workdir.switches(), log=lines.append)
    assert current() == SWITCHES | {name: OTHER[name]}
    (line,) = lines
    began = f"the run began with {OTHER[name]}, which is used."
    assert f"{name.upper()} is {SWITCHES[name]} here, but {began}" in line


@pytest.mark.parametrize("name", OTHER)
def test_samples_of_a_run_do_not_depend_on_a_switch(name, finished, tmp_path):
    found = []
    for value in (SWITCHES[name], OTHER[name]):
        use({name: value})
        output = tmp_path / str(value)
        flags = [f"--workdir={finished}", f"--output={output}", "--format=npz"]
        assert main(["wgan-jax", "sample", *flags]) == 0
        (path,) = output.iterdir()
        with np.load(path) as file:
            found.append(file["images"])
    np.testing.assert_array_equal(*found)


def test_samples_of_a_trained_generator_do_not_depend_on_switches(tmp_path, capsys):
    found = []
    for place, switches in enumerate((SWITCHES, OTHER)):
        use(switches)
        output = tmp_path / str(place)
        flags = ["--pretrained=digits", f"--output={output}", "--format=npz"]
        assert main(["wgan-jax", "sample", *flags]) == 0
        (path,) = output.iterdir()
        with np.load(path) as file:
            found.append(file["images"])
    np.testing.assert_array_equal(*found)
    told = capsys.readouterr().err
    for name, value in SWITCHES.items():
        line = OF_PRETRAINED.format(value)
        assert f"{name.upper()} is {OTHER[name]} here, but {line}" in told


def test_a_run_on_another_platform_is_told_so(finished, tmp_path):
    workdir = tmp_path / "moved"
    shutil.copytree(finished, workdir)
    assert "continues on" not in run(workdir, 4, iterations=4, every=4)[1]
    path = workdir / "config.json"
    record = json.loads(path.read_text())
    record["devices"]["platform"] = "gpu"
    path.write_text(json.dumps(record))
    said = run(workdir, 4, iterations=4, every=4)[1]
    assert "The run continues on cpu instead of gpu, where results differ by" in said


def test_load_run_has_the_key_of_the_run(rbg, caplog):
    with caplog.at_level(logging.WARNING):
        found = wgan_jax.load_run(rbg)
    assert jax.random.key_impl(found.key) == "rbg"
    (line,) = caplog.messages
    assert line.startswith(f"{rbg} began with other switches of JAX, so that training")
    assert "(jax_default_matmul_precision: highest -> None)" in line
    assert current() == SWITCHES
    use({"jax_default_matmul_precision": "highest"})
    caplog.clear()
    wgan_jax.load_run(rbg)
    assert caplog.messages == []


def test_a_fork_keeps_the_switches_of_its_origin(rbg, tmp_path, capsys):
    new = tmp_path / "new"
    flags = [f"--fork={rbg}", f"--workdir={new}", "--config.training.iterations=8"]
    assert main(["wgan-jax", "train", *flags]) == 0
    assert OF_FORK.format("rbg") in capsys.readouterr().err
    assert Workdir(new).switches() == Workdir(rbg).switches()
    assert not [x for x in origin(new)["differences"] if x.startswith("jax_")]
    # The fork keeps them, too, if its origin is gone.
    use(SWITCHES)
    shutil.rmtree(rbg)
    again = [f"--config={new}/config.json", f"--workdir={new}"]
    assert main(["wgan-jax", "train", *again]) == 0
    assert OF_RUN.format("rbg") in capsys.readouterr().err


def test_a_fork_goes_on_like_the_run_under_another_switch(finished, rbg, tmp_path):
    longer = "--config.training.iterations=8"
    for workdir, switches in ((rbg, Workdir(rbg).switches()), (finished, SWITCHES)):
        unbroken = tmp_path / f"{workdir.name}_longer"
        use(switches)
        assert run(unbroken, 4, iterations=8, every=4)[0] == 0
        use(SWITCHES | {"jax_default_prng_impl": "unsafe_rbg"})
        new = tmp_path / f"{workdir.name}_fork"
        flags = [f"--fork={workdir}", f"--workdir={new}", longer]
        assert main(["wgan-jax", "train", *flags]) == 0
        use(switches)
        one, two = (wgan_jax.load_run(path, 8) for path in (unbroken, new))
        assert_equal(one.state, two.state)


def test_changed_switches_of_an_origin_are_recorded(rbg, tmp_path):
    changes = [
        "jax_default_prng_impl: rbg -> threefry2x32",
        "jax_default_matmul_precision: highest -> None",
    ]
    for kind in ("fork", "init"):
        new, config = tmp_path / kind, config_of(4, iterations=8, every=8)
        options = {kind: str(rbg), "command": "", "log": [].append}
        assert train(config, Workdir(new), **options) == 0
        assert origin(new)["differences"][-2:] == changes, kind
        assert re.search(changes[0].replace(" ->", " -&gt;"), page_of(new)), kind


def page_of(workdir):
    return (workdir / "report.html").read_text()
