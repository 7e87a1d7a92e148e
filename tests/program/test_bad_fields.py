"""Each field of a config with values of another kind: one message that names it."""

import pytest

from wgan_jax.config.experiment import as_json
from wgan_jax.config.loading import find_config, load_experiment
from wgan_jax.io.mappings import flatten
from wgan_jax.program import cli, dispatch

CONFIG = "digits_wgan_gp"
EXPERIMENT, _ = load_experiment(find_config(CONFIG), [], check=lambda *_: None)
FIELDS = dict(flatten(as_json(EXPERIMENT)))
TEXTS = {name for name, value in FIELDS.items() if isinstance(value, str | list)}
# Values that no field of a kind has. A field without a value is a number, but two.
WRONG = {
    "text": ("no_such_name", "", "3,4"),
    "switch": ("maybe", "2"),
    "number": ("many", "nan", "-1", "1,2", "True"),
}
FREE_TEXTS = {"critic.head"}
# Splits are read with the dataset (test_mistakes.py).
SPLITS = {"dataset.split", "evaluation.split", "evaluation.held_out"}
# Their empty value is the same as none.
EMPTY = {"critic.head", "log.callbacks", "evaluation.measures", "evaluation.best_by"}


def kind_of(name):
    if name in TEXTS | FREE_TEXTS:
        return "text"
    return "switch" if isinstance(FIELDS[name], bool) else "number"


def cases():
    for name in sorted(FIELDS.keys() - SPLITS):
        for value in WRONG[kind_of(name)]:
            if value or name not in EMPTY:
                yield name, value


@pytest.mark.parametrize(("name", "value"), cases())
def test_field_is_named(tmp_path, monkeypatch, capsys, name, value):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(dispatch, "_work", lambda *of: 0)  # a value that is taken
    flag = f"--config.{name}={value}"
    assert cli.main(["wgan-jax", f"--config={CONFIG}", "--workdir=run", flag]) == 2
    error = capsys.readouterr().err
    assert f"config.{name}" in error
    assert "Traceback" not in error
    assert all(len(line) < 500 for line in error.splitlines())
    assert not list(tmp_path.iterdir())
