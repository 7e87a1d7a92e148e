"""Tests of downloads from working and failing servers."""

import hashlib
import http.server
import re
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from wgan_jax.metrics import download
from wgan_jax.metrics.download import INCEPTION_FILE, fetch, inception_weights

CONTENT = bytes(range(256)) * 2000  # larger than one piece
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Handler(http.server.BaseHTTPRequestHandler):
    """Request handler; the path selects a kind of failure."""

    def do_GET(self):
        self.server.requests.append(self.path)
        released = self.server.released
        if self.path == "/silent":
            released.wait()
            return
        if self.path == "/missing":
            self.send_error(404)
            return
        self.send_response(200)
        if self.path != "/unsized":
            self.send_header("Content-Length", str(len(CONTENT)))
        self.end_headers()
        half = len(CONTENT) // 2
        self.wfile.write(CONTENT[:half])
        if self.path == "/short":
            return
        if self.path == "/stalled":
            released.wait()
        if self.path == "/slow":
            time.sleep(0.2)
        self.wfile.write(CONTENT[half:])

    def log_message(self, *_):
        """Logs nothing."""


@pytest.fixture
def server():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        running.requests, running.released = [], threading.Event()
        running.url = f"http://127.0.0.1:{running.server_port}"
        thread = threading.Thread(target=running.serve_forever, args=(0.02,))
        thread.start()
        yield running
        running.released.set()
        running.shutdown()
        thread.join()


def get(url, destination, prefix=SHA256[:8], timeout=5.0):
    return fetch(url, destination, sha256_prefix=prefix, timeout=timeout)


@pytest.mark.parametrize("path", ["/good", "/unsized"])
def test_file_is_downloaded_once(server, tmp_path, path, capsys):
    destination = tmp_path / "new" / "folders" / "file"
    assert get(f"{server.url}{path}", destination) == destination
    assert destination.read_bytes() == CONTENT
    assert get(f"{server.url}{path}", destination, prefix=SHA256) == destination
    assert server.requests == [path]
    assert list(destination.parent.iterdir()) == [destination]
    assert capsys.readouterr().err == f"Downloading {server.url}{path}\n"


def test_wrong_checksum_is_rejected_and_not_kept(server, tmp_path):
    with pytest.raises(ValueError, match=rf"{SHA256}.*with 01234567\. .*file\."):
        get(f"{server.url}/good", tmp_path / "file", prefix="01234567")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("/missing", "Not Found"),
        ("/short", "ended after 256000 of 512000 bytes"),
        ("/silent", "(timed out|no answer within 0.3 seconds)"),
        ("/stalled", "timed out"),
    ],
)
def test_bad_server_raises_connection_error(server, tmp_path, path, reason):
    destination = tmp_path / "file"
    began = time.monotonic()
    with pytest.raises(ConnectionError, match=reason) as caught:
        get(f"{server.url}{path}", destination, timeout=0.3)
    assert time.monotonic() - began < 2
    assert str(caught.value).startswith(f"{server.url}{path} could not be downloaded (")
    assert str(caught.value).endswith(f"and put it at {destination}.")
    assert not list(tmp_path.iterdir())


def test_closed_port_raises_connection_error(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # without listening
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/file"
        with pytest.raises(ConnectionError, match=r"refused.*put it at"):
            get(url, tmp_path / "file")


def test_hanging_name_resolution_times_out(tmp_path, monkeypatch):
    released = threading.Event()

    def look_up(*_, **__):
        released.wait(5)
        raise socket.gaierror("unknown")

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    began = time.monotonic()
    with pytest.raises(ConnectionError, match=r"no answer within 0\.2 seconds"):
        get("http://nowhere.invalid/file", tmp_path / "file", timeout=0.2)
    assert time.monotonic() - began < 2
    released.set()


def test_damaged_file_is_downloaded_again(server, tmp_path):
    destination = tmp_path / "file"
    destination.write_bytes(CONTENT[:-1])
    get(f"{server.url}/good", destination)
    assert destination.read_bytes() == CONTENT
    assert server.requests == ["/good"]


def test_damaged_file_is_not_used_without_a_server(server, tmp_path):
    (tmp_path / "file").write_bytes(b"damaged")
    with pytest.raises(ConnectionError, match="Not Found"):
        get(f"{server.url}/missing", tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == b"damaged"


def test_concurrent_downloads_leave_one_complete_file(server, tmp_path):
    destination = tmp_path / "file"

    def content(_):
        return get(f"{server.url}/slow", destination).read_bytes()

    seen = []
    with ThreadPoolExecutor(4) as pool:
        running = [pool.submit(content, i) for i in range(4)]
        while not all(one.done() for one in running):
            if destination.exists():
                seen.append(destination.stat().st_size)
            time.sleep(0.005)
        assert [one.result() for one in running] == [CONTENT] * 4
    assert set(seen) <= {len(CONTENT)}
    assert list(tmp_path.iterdir()) == [destination]


def test_uncreatable_folder_raises_connection_error(server, tmp_path):
    (tmp_path / "taken").write_text("")
    with pytest.raises(ConnectionError, match=r"could not be downloaded.*taken"):
        get(f"{server.url}/good", tmp_path / "taken" / "deep" / "file")


@pytest.mark.parametrize("prefix", ["", "0123456", "0123456G", "0" * 65])
def test_invalid_checksum_prefix_is_rejected(tmp_path, prefix):
    with pytest.raises(ValueError, match="must be 8 to 64 hexadecimal"):
        get("http://127.0.0.1:9/file", tmp_path / "file", prefix=prefix)


@pytest.mark.parametrize("cache", ["absolute", "relative", ""])
def test_inception_weights_are_cached(server, tmp_path, monkeypatch, cache):
    home = tmp_path / "home"
    monkeypatch.setenv("HOME", str(home))
    absolute = cache == "absolute"
    folder = tmp_path / "cache" if absolute else home / ".cache"
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder) if absolute else cache)
    monkeypatch.setattr(download, "_INCEPTION_URL", f"{server.url}/good")
    monkeypatch.setattr(download, "_INCEPTION_SHA256", SHA256)
    expected = folder / "wgan_jax" / "weights" / INCEPTION_FILE
    assert inception_weights() == inception_weights() == expected
    assert expected.read_bytes() == CONTENT
    assert server.requests == ["/good"]


def test_inception_weights_are_checked_by_full_checksum():
    digits = re.search(r"-([0-9a-f]{8})\.pth", INCEPTION_FILE)[1]
    assert len(download._INCEPTION_SHA256) == 64
    assert download._INCEPTION_SHA256.startswith(digits)
    assert download._INCEPTION_URL.endswith(f"/{INCEPTION_FILE}")
    assert download._TIMEOUT <= 15


def test_existing_weights_file_is_used_unchanged(tmp_path):
    own = tmp_path / "own.npz"
    own.write_bytes(b"anything")
    assert inception_weights(own) == inception_weights(str(own)) == Path(own)


@pytest.mark.parametrize("name", ["absent.pth", ""])
def test_missing_weights_file_is_rejected(tmp_path, name):
    path = str(tmp_path / name)  # also for a folder
    with pytest.raises(FileNotFoundError, match=rf"'{path}' does not exist\. Use"):
        inception_weights(path)
