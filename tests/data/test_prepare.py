"""Preparing without TensorFlow, on archives of the official format."""

import functools
import http.server
import threading
import time

import numpy as np
import pytest
import tensorflow_datasets as tfds

from wgan_jax.data import load_source
from wgan_jax.data import prepare as prepare_module
from wgan_jax.data.prepare import BUILDERS, prepare
from wgan_jax.errors import DataError


def manual(tmp_path):
    return tmp_path / "downloads" / "manual"


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


@pytest.fixture
def server(tmp_path):
    folder = tmp_path / "served"
    folder.mkdir()
    handler = functools.partial(Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as service:
        thread = threading.Thread(target=service.serve_forever, daemon=True)
        thread.start()
        yield folder, f"http://127.0.0.1:{service.server_address[1]}"
        service.shutdown()
        thread.join()


def as_pairs(images, labels):
    return sorted((i.tobytes(), int(y)) for i, y in zip(images, labels, strict=True))


@pytest.mark.parametrize("name", BUILDERS)
def test_what_is_read_back_is_what_was_put_in(name, archives, tmp_path):
    examples = archives(name, manual(tmp_path))
    for split, (images, labels) in examples.items():
        source = load_source(name, split=split, data_dir=str(tmp_path))
        assert source.images.dtype == np.uint8
        assert source.labels.dtype == np.int32
        assert as_pairs(source.images, source.labels) == as_pairs(images, labels)
        assert source.num_classes == 10


def test_cifar_is_what_the_stock_reader_expects(archives, tmp_path):
    examples = archives("cifar10", manual(tmp_path))
    prepare("cifar10", data_dir=str(tmp_path))
    builder = tfds.builder("cifar10", data_dir=str(tmp_path))
    assert type(builder) is tfds.image_classification.Cifar10
    assert builder.info.features["label"].names[3] == "cat"
    for split, (images, labels) in examples.items():
        items = list(builder.as_data_source(split))
        for item in items:
            prefix, index = item["id"].decode().split("_")
            assert prefix == split
            assert len(index) == 5
            np.testing.assert_array_equal(item["image"], images[int(index)])
            assert item["label"] == labels[int(index)]
        assert sorted(int(item["id"][-5:]) for item in items) == [*range(len(images))]


def test_fashion_mnist_keeps_the_stock_names(archives, tmp_path):
    archives("fashion_mnist", manual(tmp_path))
    prepare("fashion_mnist", data_dir=str(tmp_path))
    builder = tfds.builder("fashion_mnist", data_dir=str(tmp_path))
    # From the file: the stock class would supply them to any reader.
    names = (builder.data_path / "label.labels.txt").read_text().split("\n")
    assert names[9] == "Ankle boot"
    assert "id" not in builder.info.features


@pytest.mark.parametrize("name", BUILDERS)
def test_checksums_are_those_of_tfds(name):
    stock = tfds.builder_cls(name)
    assert BUILDERS[name] is not stock
    assert BUILDERS[name].url_infos == stock.url_infos
    assert all(len(info.checksum) == 64 for info in stock.url_infos.values())


def test_an_archive_with_another_checksum_is_refused(archives, tmp_path):
    archives("mnist", manual(tmp_path))
    wrong = manual(tmp_path) / "train-labels-idx1-ubyte.gz"
    wrong.write_bytes(wrong.read_bytes() + b"\0")
    with pytest.raises(DataError, match="not the official archive") as caught:
        load_source("mnist", data_dir=str(tmp_path))
    assert str(wrong) in str(caught.value)
    assert not (tmp_path / "mnist" / "3.0.1").exists()


@pytest.mark.parametrize("name", ["cifar10", "mnist"])
def test_absent_archives_are_fetched_once(name, archives, server, tmp_path):
    folder, host = server
    examples = archives(name, folder, host)
    images, labels = examples["test"]
    source = load_source(name, split="test", data_dir=str(tmp_path))
    assert as_pairs(source.images, source.labels) == as_pairs(images, labels)

    for path in folder.iterdir():
        path.unlink()
    builder = tfds.builder(name, data_dir=str(tmp_path))
    builder.data_path.rmtree()
    again = load_source(name, split="test", data_dir=str(tmp_path))
    np.testing.assert_array_equal(again.images, source.images)


def test_a_host_that_lacks_the_archive_is_one_clear_error(archives, server, tmp_path):
    folder, host = server
    archives("mnist", folder, host)
    for path in folder.iterdir():
        path.unlink()
    with pytest.raises(DataError, match="HTTP status 404"):
        load_source("mnist", data_dir=str(tmp_path))


@pytest.mark.parametrize("name", BUILDERS)
def test_without_network_the_error_is_quick_and_names_three_ways(
    name, archives, tmp_path
):
    archives(name, tmp_path / "elsewhere")
    start = time.monotonic()
    with pytest.raises(DataError) as caught:
        load_source(name, data_dir=str(tmp_path / "data"))
    assert time.monotonic() - start < 30
    message = str(caught.value)
    assert message.startswith(f"{name} is not in {tmp_path / 'data' / name}")
    for way in (
        str(tmp_path / "data" / "downloads" / "manual"),
        "--config.dataset.data_dir=",
        "--config=digits_wgan_gp",
    ):
        assert way in message
    assert not (tmp_path / "data").exists()


def test_a_host_that_never_answers_is_given_up(archives, tmp_path, monkeypatch):
    import requests

    archives("mnist", tmp_path / "elsewhere")
    release = threading.Event()

    def get(*args, **kwargs):
        release.wait()
        raise requests.ConnectionError

    monkeypatch.setattr(requests, "get", get)
    monkeypatch.setattr(prepare_module, "_PROBE_SECONDS", 0.2)
    try:
        with pytest.raises(DataError, match="no answer"):
            load_source("mnist", data_dir=str(tmp_path / "data"))
        waiting = [t for t in threading.enumerate() if t.name.endswith("(_probe)")]
        assert waiting
        assert all(thread.daemon for thread in waiting)
    finally:
        release.set()


def test_the_limits_of_a_probe_leave_room_in_thirty_seconds():
    assert prepare_module._PROBE_SECONDS <= 25
