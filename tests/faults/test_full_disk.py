"""Runs whose disk is full at a random moment, and that go on when there is room."""

import contextlib
import os
import subprocess

import numpy as np
import pytest
from faults.harness import Run, assert_same_run, seconds_of

DISKS = int(os.environ.get("FAULTS", "3"))


def mount(folder, options):
    """Mounts a file system in memory; returns whether that is allowed."""
    command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
    try:
        return subprocess.run(command, capture_output=True).returncode == 0
    except OSError:
        return False


@pytest.fixture
def disk(tmp_path):
    """Returns a function that limits the bytes of a folder, and the folder."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if not mount(folder, "size=64k"):
        pytest.skip("a file system in memory cannot be mounted here")

    def limit(size):
        assert mount(folder, f"remount,size={size}")

    yield limit, folder
    with contextlib.suppress(OSError):
        subprocess.run(["umount", str(folder)], check=False)


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory):
    run = Run(tmp_path_factory.mktemp("unbroken") / "run")
    seconds_of(run)
    return run


def test_runs_go_on_after_the_disk_was_full(unbroken, disk):
    limit, folder = disk
    size = sum(p.stat().st_size for p in unbroken.workdir.rglob("*") if p.is_file())
    random = np.random.RandomState(0)
    stopped = 0
    for number in range(DISKS):
        run = Run(folder / f"run{number}")
        limit(int(random.uniform(0.02, 1.2) * size) + 65536)
        code = run.finish()
        message = run.errors[-1].strip().splitlines()
        assert code in (0, 2), run.errors[-1]
        assert not any("Traceback" in line for line in message), run.errors[-1]
        if code == 2:
            stopped += 1
            # Only the report, which is the last file, is a warning.
            last = f"{run.workdir}/report.html could not be written: "
            assert message[-1].startswith(("launch.py: ", last)), run.errors[-1]
            assert "No space left on device" in message[-1], run.errors[-1]
        limit(100 * size)
        assert run.finish() == 0, run.errors[-1]
        assert_same_run(run, unbroken)
        subprocess.run(["rm", "-rf", str(run.workdir)], check=True)
    print(f"{stopped} of {DISKS} runs found the disk full")
    assert stopped
