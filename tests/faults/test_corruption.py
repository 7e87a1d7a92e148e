"""Checkpoints with random damage: never restored with other values."""

import os
import shutil

import jax
import numpy as np
import pytest
from faults.harness import arrays_of, experiment

from wgan_jax.checkpointing.checkpoints import Checkpoints
from wgan_jax.config.build import build_gan
from wgan_jax.errors import CheckpointError
from wgan_jax.training.init import abstract_state, init_state

DAMAGES = int(os.environ.get("FAULTS", "40"))
STEPS = (4, 8, 12)


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """Returns a folder with three checkpoints, and the arrays of each."""
    folder = tmp_path_factory.mktemp("saved") / "checkpoints"
    gan, arrays = build_gan(experiment()), {}
    with Checkpoints(folder, keep=len(STEPS)) as checkpoints:
        for step in STEPS:
            state = init_state(gan, jax.random.key(step))
            checkpoints.save(step, state, {"iteration": step})
            arrays[step] = arrays_of(state)
    return folder, arrays


def flip(path, files, random):
    """Flips one bit."""
    content = bytearray(path.read_bytes())
    if not content:
        return False
    content[random.randint(len(content))] ^= 1 << random.randint(8)
    path.write_bytes(content)
    return True


def truncate(path, files, random):
    """Leaves the beginning."""
    size = path.stat().st_size
    if not size:
        return False
    os.truncate(path, random.randint(size))
    return True


def fill(path, files, random):
    """Sets a part to zero, as after a crash of the machine."""
    content = bytearray(path.read_bytes())
    if not any(content):
        return False
    first = random.randint(len(content))
    content[first:] = bytes(len(content) - first)
    path.write_bytes(content)
    return True


def delete(path, files, random):
    """Removes the file."""
    path.unlink()
    return True


def swap(path, files, random):
    """Exchanges two files."""
    other = files[random.randint(len(files))]
    one, two = path.read_bytes(), other.read_bytes()
    path.write_bytes(two)
    other.write_bytes(one)
    return one != two


KINDS = (flip, truncate, fill, delete, swap)


def test_damaged_checkpoints_are_never_restored_with_other_values(saved, tmp_path):
    folder, arrays = saved
    target = abstract_state(build_gan(experiment()))
    random = np.random.RandomState(0)
    outcomes = {"harmless": 0, "older": 0, "refused": 0}
    for number in range(DAMAGES):
        copy = tmp_path / "copy"
        shutil.copytree(folder, copy)
        files = sorted(path for path in copy.rglob("*") if path.is_file())
        newest = [path for path in files if path.is_relative_to(copy / str(STEPS[-1]))]
        kind = KINDS[number % len(KINDS)]
        hit = newest if number % 3 else files
        while not kind(hit[random.randint(len(hit))], files, random):
            pass
        warnings = []
        try:
            with Checkpoints(copy, keep=3, read_only=True, warn=warnings.append) as c:
                state, meta, step = c.restore(target)
        except CheckpointError:
            outcomes["refused"] += 1
        else:
            assert meta == {"iteration": step}
            found = arrays_of(state)
            for path, values in arrays[step].items():
                np.testing.assert_array_equal(found[path], values, err_msg=path)
            older = len(STEPS) - 1 - STEPS.index(step)
            assert len(warnings) == older, (kind.__name__, warnings)
            outcomes["older" if older else "harmless"] += 1
        shutil.rmtree(copy)
    print(outcomes)
    assert outcomes["refused"] == 0  # one damage never concerns all three
    assert outcomes["older"] > 0
    assert outcomes["harmless"] > 0
