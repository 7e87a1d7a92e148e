"""The program in unusual environments: the same results, and never a traceback.

The default run takes all of them at once; the slow run takes each one alone.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from release import before_a_release
from test_calls import assert_same_run, metrics, run
from xla_flags import xla_flags

from wgan_jax.program.cli import main
from wgan_jax.program.recorder import Recorder

ROOT = Path(__file__).parents[2]
PROGRAM = Path(__file__).with_name("environment_program.py")
# 200 characters with spaces and letters of two and three bytes; 255 bytes are possible.
NAME = "Größe der Bücher, 日本 " + "x" * 180
IMAGES = np.random.RandomState(0).randint(256, size=(100, 8, 8, 1)).astype(np.uint8)
MOUNT = 'mount --bind "$0" "$0" && mount -o remount,ro,bind "$0" && exec "$@"'
READ_ONLY = ("unshare", "--map-root-user", "--mount", "sh", "-c", MOUNT, str(ROOT))
NO_USER = ("unshare", "-U", "--map-user=12345", "--map-group=12345")


def is_allowed(command):
    """Returns whether a command that starts another one can be used here."""
    if shutil.which(command[0]) is None:
        return False
    return subprocess.run([*command, "true"], capture_output=True).returncode == 0


def start(workdir, *data, env=None, unset=(), before=(), cwd=ROOT, closed=False):
    """Runs the program and returns what it printed."""
    variables = {k: v for k, v in os.environ.items() if k not in unset}
    variables |= {"PYTHONPATH": str(ROOT), "XLA_FLAGS": xla_flags()}
    shell = ["sh", "-c", 'exec "$@" <&-', "sh"] if closed else []
    done = subprocess.run(
        [*before, *shell, sys.executable, str(PROGRAM), str(workdir), *map(str, data)],
        cwd=cwd,
        env=variables | (env or {}),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        start_new_session=closed,
        timeout=300,
    )
    text = (done.stdout + done.stderr).decode(errors="replace")
    assert done.returncode == 0, text
    assert "Traceback" not in text
    assert "Error" not in done.stderr.decode(errors="replace")
    return text


def results(workdir):
    """Returns what must not depend on the environment."""
    lines = [*metrics(workdir), *evaluations(workdir)]
    (samples,) = (workdir / "samples").glob("sample_*.npz")
    with np.load(samples) as arrays:
        images = arrays["images"]
    assert (workdir / "report.html").stat().st_size > 10_000
    pictures = sorted((workdir / "samples").glob("*.png"))
    return lines, images.tolist(), {path.name: path.read_bytes() for path in pictures}


def evaluations(workdir):
    rows = (workdir / "evaluations.jsonl").read_text().splitlines()
    return [{k: v for k, v in json.loads(x).items() if k != "seconds"} for x in rows]


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    folder = tmp_path_factory.mktemp("plain")
    np.save(folder / "images.npy", IMAGES)
    start(folder / "run", folder / "images.npy")
    return results(folder / "run")


@pytest.fixture
def place(tmp_path):
    """Returns a folder with a data file and a folder that cannot be written to."""
    locked = tmp_path / "locked"
    locked.mkdir()
    np.save(tmp_path / "images.npy", IMAGES)
    locked.chmod(0o555)
    yield tmp_path
    locked.chmod(0o755)


ASCII = {
    "LC_ALL": "C",
    "LANG": "C",
    "PYTHONUTF8": "0",
    "PYTHONCOERCECLOCALE": "0",
}
NO_CACHE = ("JAX_COMPILATION_CACHE_DIR", "XDG_CACHE_HOME")
ALONE = {
    "no home": lambda place: {"unset": ("HOME",)},
    "no user": lambda place: {"before": NO_USER, "unset": ("HOME", *NO_CACHE)},
    "read-only cache": lambda place: {
        "before": NO_USER,  # the superuser may write everywhere
        "env": {"XDG_CACHE_HOME": str(place / "locked")},
        "unset": ("JAX_COMPILATION_CACHE_DIR",),
    },
    "read-only source": lambda place: {"before": READ_ONLY, "unset": NO_CACHE},
    "another folder": lambda place: {"cwd": "/"},
    "no terminal": lambda place: {"closed": True},
    "ASCII": lambda place: {"env": ASCII},
}


def test_everything_at_once(plain, place):
    data, workdir = place / f"{NAME}.npy", place / f"a {'run ' * 49}"
    (place / "images.npy").rename(data)
    before = NO_USER if is_allowed(NO_USER) else ()
    text = start(
        workdir,
        data,
        before=before,
        env=ASCII | {"XDG_CACHE_HOME": str(place / "locked")},
        unset=("HOME", "JAX_COMPILATION_CACHE_DIR"),
        cwd="/",
        closed=True,
    )
    assert "Done: iteration 2" in text
    assert results(workdir) == plain


def test_names_with_spaces_and_letters(plain, place):
    data = place / f"{NAME}.npy"
    (place / "images.npy").rename(data)
    start(place / NAME, data, env={"PYTHONUTF8": "1"})
    assert results(place / NAME) == plain


def test_a_folder_that_the_locale_cannot_name_is_refused(tmp_path, capsys):
    workdir = tmp_path / os.fsdecode(b"Gr\xf6\xdfe")
    assert main(["wgan-jax", "--config=digits_wgan_gp", f"--workdir={workdir}"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert r"Gr\udcf6\udcdfe cannot be written as UTF-8" in line
    assert "PYTHONUTF8=1" in line
    assert not list(tmp_path.iterdir())


@before_a_release  # the tests above have them together
@pytest.mark.parametrize("name", ALONE)
def test_one_at_a_time(plain, place, name):
    options = ALONE[name](place)
    if options.get("before") and not is_allowed(options["before"]):
        pytest.skip(f"{options['before'][0]} is not allowed here")
    start(place / "run", place / "images.npy", **options)
    assert results(place / "run") == plain


def test_clock_that_goes_back_and_another_time_zone(tmp_path, monkeypatch):
    """The clock is set back by an hour at each call, and the zone moves by ten."""
    code, _ = run(tmp_path / "plain", 3)
    assert code == 0
    now, zones = [time.time()], ["UTC", "Asia/Tokyo", "America/Lima"]

    def backwards():
        now[0] -= 3600.0
        return now[0]

    def moving(self, done, *more):
        monkeypatch.setenv("TZ", zones[done % len(zones)])
        time.tzset()
        recorded(self, done, *more)
        if done == 6:
            os.kill(os.getpid(), signal.SIGTERM)

    recorded = Recorder.iterations
    try:
        with monkeypatch.context() as patches:
            patches.setattr(time, "time", backwards)
            patches.setattr(Recorder, "iterations", moving)
            assert run(tmp_path / "moved", 3)[0] == 128 + signal.SIGTERM
            code, said = run(tmp_path / "moved", 3)
    finally:
        monkeypatch.undo()
        time.tzset()
    assert code == 0, said
    assert_same_run(metrics(tmp_path / "moved"), metrics(tmp_path / "plain"))
