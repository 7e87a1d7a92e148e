"""Tests of reading PyTorch files without PyTorch, including malicious files."""

import hashlib
import pickle
import shutil
import zipfile

import numpy as np
import pytest
from golden_file import FOLDER

from wgan_jax.metrics import hash_state_dict, read_state_dict
from wgan_jax.metrics.state_dict import _array, _Tensor

BASE = np.arange(12, dtype=np.float32).reshape(3, 4) / 8


@pytest.mark.parametrize("name", ["legacy.pth", "zipped.pth"])
def test_both_formats_are_read(name):
    found = read_state_dict(FOLDER / name)
    expected = {
        "plain": BASE,
        "transposed": BASE.T,
        "row": BASE[1],
        "double": np.linspace(0, 1, 3),
        "steps": np.array(7),
    }
    assert found.keys() == expected.keys()
    for key, array in expected.items():
        np.testing.assert_array_equal(found[key], array)
        assert found[key].dtype == array.dtype


def test_hash_depends_on_the_values_only(tmp_path):
    state = read_state_dict(FOLDER / "legacy.pth")
    np.savez(tmp_path / "w.npz", **dict(reversed(state.items())))
    hashes = {
        hash_state_dict(read_state_dict(path))
        for path in (
            FOLDER / "legacy.pth",
            FOLDER / "zipped.pth",
            tmp_path / "w.npz",
        )
    }
    assert hashes == {hash_state_dict(state)}
    assert hash_state_dict({**state, "row": BASE[2]}) not in hashes


def test_hash_in_the_file_name_is_checked(tmp_path):
    content = (FOLDER / "legacy.pth").read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    right, wrong = (tmp_path / f"w-{h}.pth" for h in (digest[:8], "01234567"))
    for path in (right, wrong):
        shutil.copy(FOLDER / "legacy.pth", path)
    assert "plain" in read_state_dict(right)
    with pytest.raises(ValueError, match=r"damaged.*begin with 01234567"):
        read_state_dict(wrong)


class Harm:
    def __reduce__(self):
        return print, ("harm",)


@pytest.mark.parametrize("zipped", [False, True])
def test_pickle_with_code_is_rejected(tmp_path, capsys, zipped):
    path = tmp_path / "w.pth"
    content = pickle.dumps({"w": Harm()})
    if zipped:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("archive/data.pkl", content)
    else:
        path.write_bytes(content)
    with pytest.raises(ValueError, match=r"refers to builtins\.print"):
        read_state_dict(path)
    assert not capsys.readouterr().out


def test_other_files_are_rejected(tmp_path):
    path = tmp_path / "w.pth"
    for content in (b"", b"hello", pickle.dumps(3)):
        path.write_bytes(content)
        with pytest.raises(ValueError, match="not a PyTorch state dict"):
            read_state_dict(path)
    for offset, shape, strides in ((0, (3,), (2,)), (-1, (2,), (1,)), (4, (2,), (1,))):
        tensor = _Tensor("0", "<f4", offset, shape, strides)
        with pytest.raises(ValueError, match="beyond its storage"):
            _array(tensor, {"0": np.zeros(4, np.float32)})
