"""Features of reference examples are computed once, and only what fits is read."""

import dataclasses

import numpy as np
import pytest

from wgan_jax.evaluation.reference import reference_sample
from wgan_jax.metrics import Features, FunctionFeatures

EXAMPLES = np.random.RandomState(0).randint(0, 256, (23, 4, 4, 1)).astype(np.uint8)


class Counting(FunctionFeatures):
    """An extractor with classes that knows how often it was called."""

    calls = 0

    def __call__(self, images):
        type(self).calls += 1
        values = self.function(images)
        return Features(values, values[:, :3])


@pytest.fixture
def extractor():
    Counting.calls = 0
    return Counting(lambda x: np.float32(x).reshape(len(x), -1), "a/b", "v1", 16)


def read(extractor, cache, examples=EXAMPLES):
    return reference_sample(examples, extractor, batch_size=10, cache=cache)


def test_a_second_evaluation_computes_nothing(extractor, tmp_path):
    first = read(extractor, tmp_path)
    assert Counting.calls == 3
    second = read(extractor, tmp_path)
    assert Counting.calls == 3
    np.testing.assert_array_equal(first.values, EXAMPLES.reshape(23, -1))
    np.testing.assert_array_equal(second.values, first.values)
    np.testing.assert_array_equal(second.logits, first.logits)
    assert [p.suffix for p in tmp_path.iterdir()] == [".npz"]


@pytest.mark.parametrize(
    "change",
    [{"name": "a/c"}, {"weights": "v2"}, {"input_size": 96}, {"quantisation": "other"}],
    ids=str,
)
def test_other_features_are_other_numbers(extractor, tmp_path, change):
    read(extractor, tmp_path)
    read(dataclasses.replace(extractor, **change), tmp_path)
    assert Counting.calls == 6


def test_other_examples_are_other_numbers(extractor, tmp_path):
    read(extractor, tmp_path)
    changed = EXAMPLES.copy()
    changed[22, 3, 3, 0] ^= 1
    found = read(extractor, tmp_path, changed)
    assert found.values[22, 15] == changed[22, 3, 3, 0]
    read(extractor, tmp_path, EXAMPLES[:22])
    read(extractor, tmp_path, EXAMPLES.reshape(23, 2, 8, 1))
    assert Counting.calls == 12


def test_a_damaged_or_foreign_file_is_made_anew(extractor, tmp_path):
    expected = read(extractor, tmp_path).values
    (path,) = tmp_path.iterdir()
    whole = path.read_bytes()
    np.savez(tmp_path / "foreign.npz", protocol=np.array("{}"), values=expected * 0)
    np.save(tmp_path / "array.npy", expected)
    with np.load(path) as file:
        named = {"protocol": file["protocol"]}
    np.savez(tmp_path / "empty.npz", **named)
    np.savez(tmp_path / "short.npz", **named, values=expected[:9])
    others = ("foreign.npz", "array.npy", "empty.npz", "short.npz")
    flags = bytearray(whole)
    flags[whole.index(b"PK\x01\x02") + 8] ^= 1  # "encrypted", says the directory
    cut = whole[: len(whole) // 2]
    broken_ones = [b"", b"nonsense", cut, bytes(flags)]
    for broken in broken_ones + [(tmp_path / name).read_bytes() for name in others]:
        path.write_bytes(broken)
        Counting.calls = 0
        np.testing.assert_array_equal(read(extractor, tmp_path).values, expected)
        assert Counting.calls == 3
        np.testing.assert_array_equal(read(extractor, tmp_path).values, expected)
        assert Counting.calls == 3


def test_a_cache_that_cannot_be_written_is_a_warning(extractor, tmp_path, caplog):
    blocked = tmp_path / "file"
    blocked.write_text("no folder")
    expected = read(extractor, None).values
    np.testing.assert_array_equal(read(extractor, blocked / "in").values, expected)
    assert "each evaluation computes them again" in caplog.text
    assert list(tmp_path.iterdir()) == [blocked]


def test_without_a_cache_nothing_is_kept(extractor, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    read(extractor, None)
    read(extractor, None)
    assert Counting.calls == 6
    assert not list(tmp_path.iterdir())
