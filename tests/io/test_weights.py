import chex
import numpy as np
import pytest

from wgan_jax.errors import ArchiveError
from wgan_jax.io.weights import load_weights, save_weights, unflatten

VARIABLES = {
    "params": {"conv_0": {"kernel": np.linspace(-1, 1, 24).reshape(2, 3, 4)}},
    "batch_stats": {"norm": {"mean": np.ones(3), "count": np.array([7, 9])}},
    "state": {"sigma": np.float32(3)},
}
FACTS = {"step": 3, "config": {"seed": 0}, "name": "täst"}


def test_weights_and_facts_are_restored(tmp_path):
    save_weights(tmp_path / "a.safetensors", VARIABLES, metadata=FACTS)
    arrays, facts = load_weights(tmp_path / "a.safetensors")
    found = unflatten(arrays, VARIABLES)
    chex.assert_trees_all_close(found, VARIABLES, rtol=1e-7)
    assert facts == FACTS
    assert found["params"]["conv_0"]["kernel"].dtype == np.float32
    assert found["batch_stats"]["norm"]["count"].dtype == np.int64
    assert arrays["state.sigma"].shape == ()


def test_half_precision_takes_half_of_the_space_and_is_rounded(tmp_path):
    large = {"params": {"w": np.random.RandomState(0).randn(1000)}}
    for dtype in (np.float32, np.float16):
        path = tmp_path / f"{np.dtype(dtype)}.safetensors"
        save_weights(path, large, metadata={}, dtype=dtype)
    sizes = [p.stat().st_size for p in sorted(tmp_path.iterdir())]
    assert sizes[1] - sizes[0] == 2000
    found, _ = load_weights(tmp_path / "float16.safetensors")
    rounded = large["params"]["w"].astype(np.float16).astype(np.float32)
    np.testing.assert_array_equal(found["params.w"], rounded)


@pytest.mark.parametrize("damage", ["truncated", "text", "empty"])
def test_damaged_files_are_reported(damage, tmp_path):
    path = tmp_path / "a.safetensors"
    save_weights(path, VARIABLES, metadata=FACTS)
    whole = path.read_bytes()
    path.write_bytes({"truncated": whole[:-5], "text": b"x" * 99, "empty": b""}[damage])
    with pytest.raises(ArchiveError, match=r"a\.safetensors is not a file of weights"):
        load_weights(path)


def test_missing_files_and_ambiguous_names_are_reported(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"b\.safetensors does not exist"):
        load_weights(tmp_path / "b.safetensors")
    with pytest.raises(ValueError, match=r"'a\.b' contains a dot"):
        save_weights(tmp_path / "c", {"a.b": np.ones(2)}, metadata={})
    assert list(tmp_path.iterdir()) == []
