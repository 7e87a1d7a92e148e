"""Tests of ``--config=FILE.py:ARG`` in the modes of the program."""

import json

import pytest

from wgan_jax.program import dispatch
from wgan_jax.program import plan as planning
from wgan_jax.program.cli import main

SIZED = """
from configs import gaussians_wgan_gp

def get_config(size):
    config = gaussians_wgan_gp.get_config()
    config.generator.width = config.critic.width = int(size.split("=")[-1])
    config.training.batch_size, config.samples.count = 16, 4
    config.training.iterations = config.training.iterations_per_call = 2
    config.evaluation.every = 0
    return config
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sized.py").write_text(SIZED)
    return tmp_path


def run(capsys, *arguments, code=0):
    assert main(["wgan-jax", *arguments]) == code
    return capsys.readouterr()


def test_run_is_recorded_and_resumes_in_a_folder_of_its_own(folder, capsys):
    flag = "--config=sized.py:n=8"
    run(capsys, "train", flag)
    assert [path.name for path in (folder / "runs").iterdir()] == ["sized_n_8"]
    record = json.loads((folder / "runs/sized_n_8/config.json").read_text())
    assert record["config"]["generator"]["width"] == 8
    assert (record["config_argument"], record["overrides"]) == ("n=8", [])
    assert record["command"] == f"wgan-jax train {flag}"
    assert "already been reached" in run(capsys, "train", flag).out
    for mode in ("sample", "report"):
        assert "runs/sized_n_8" in run(capsys, mode, flag).out
    other = ("train", "--config=sized.py:16", "--workdir=runs/sized_n_8")
    assert "generator.width: 8 -> 16" in run(capsys, *other, code=2).err


def test_fields_and_plan_are_those_of_the_argument(folder, capsys, monkeypatch):
    assert "--config.critic.width=24" in run(capsys, "configs", "sized.py:24").out
    planned = []

    def plan(config, **options):
        planned.append(config.generator.options["width"])
        return 0

    monkeypatch.setattr(planning, "plan", plan)
    monkeypatch.setattr(dispatch, "use_cpu_for_planning", lambda: None)
    for size in (8, 64):
        run(capsys, "plan", f"--config=sized.py:{size}", "--topology=h100:1")
    assert planned == [8, 64]


@pytest.mark.parametrize("mode", ["train", "plan", "configs"])
@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("sized.py", "get_config() of sized.py needs an argument; use"),
        ("digits_wgan_gp:8", " has an argument, but get_config() of"),
        ("sized.py:x", "sized.py, line 6: ValueError: invalid literal for int()"),
        ("other.py:x", "--config=other.py:x does not exist; choices: "),
    ],
)
def test_mistakes_are_one_sentence(folder, capsys, mode, name, message):
    name = name if mode == "configs" else f"--config={name}"
    error = run(capsys, mode, name, code=2).err
    assert message in error
    assert error.count("\n") == 1
    assert {path.name for path in folder.iterdir()} <= {"sized.py", "__pycache__"}
