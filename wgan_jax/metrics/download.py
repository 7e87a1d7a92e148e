"""Downloads the weights of FID's Inception network and verifies them at each use."""

import hashlib
import http.client
import os
import queue
import re
import sys
import threading
import urllib.error
import urllib.request
import uuid
from pathlib import Path
from typing import BinaryIO

from tqdm import tqdm

from wgan_jax.io.caches import cache_folder
from wgan_jax.io.files import expanded

INCEPTION_FILE = "pt_inception-2015-12-05-6726825d.pth"
_INCEPTION_URL = (
    "https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/"
    + INCEPTION_FILE
)
# The full digest: the 8 digits in the name detect damage but not a deliberate
# collision. The release lists no checksum; several projects that pin this file use
# this digest.
_INCEPTION_SHA256 = "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2"
_TIMEOUT = 10.0  # seconds
_PIECE = 2**16  # bytes between two updates of the progress bar


def inception_weights(path: str | os.PathLike[str] | None = None) -> Path:
    """Returns the local file of FID's Inception weights, downloading it if missing.

    The file is kept in ``wgan_jax/weights`` in the user's cache folder
    (``$XDG_CACHE_HOME`` or ``~/.cache``). Without a network, it can be copied
    there by hand. The file (96 MB) is read and its checksum verified at each
    call.

    Args:
        path: path of a file to use instead, which is neither downloaded nor
            verified here.

    Returns:
        Path of the file.

    Raises:
        FileNotFoundError: if ``path`` is given and does not exist.
        ConnectionError: if the file cannot be downloaded.
        ValueError: if the downloaded file has the wrong checksum.
    """
    if path is None:
        folder = cache_folder() / "weights"
        return fetch(
            _INCEPTION_URL,
            folder / INCEPTION_FILE,
            sha256_prefix=_INCEPTION_SHA256,
            timeout=_TIMEOUT,
        )
    path = expanded(path)
    if not path.is_file():
        raise FileNotFoundError(
            f"{os.fspath(path)!r} does not exist. Use a copy of {INCEPTION_FILE}, or "
            "omit the path to download it."
        )
    return path


def fetch(
    url: str,
    destination: str | os.PathLike[str],
    *,
    sha256_prefix: str,
    timeout: float,
) -> Path:
    """Downloads a file unless it is already on disk.

    An existing file with a different checksum is considered damaged and
    downloaded again. The file is replaced atomically, even if several processes
    download it at the same time.

    Args:
        url: URL of the file.
        destination: local path; parent folders are created.
        sha256_prefix: at least the first 8 hexadecimal digits of its SHA-256.
        timeout: seconds to wait for the response, and for further data after
            that.

    Returns:
        The destination.

    Raises:
        ConnectionError: if the file cannot be downloaded completely or written.
        ValueError: if the checksum is wrong, or the prefix is invalid.
    """
    if not re.fullmatch("[0-9a-f]{8,64}", sha256_prefix):
        raise ValueError(
            f"sha256_prefix is {sha256_prefix!r}; it must be 8 to 64 hexadecimal "
            "digits."
        )
    destination = Path(destination)
    try:
        if destination.is_file() and _digest(destination).startswith(sha256_prefix):
            return destination
        destination.parent.mkdir(parents=True, exist_ok=True)
        _fetch_anew(url, destination, sha256_prefix, timeout)
    except (OSError, http.client.HTTPException) as error:
        if isinstance(error, urllib.error.HTTPError):
            error.close()  # it keeps the connection open
        reason = getattr(error, "reason", None) or error
        raise ConnectionError(
            f"{url} could not be downloaded ({reason}). Download it elsewhere and put "
            f"it at {destination}."
        ) from error
    return destination


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _fetch_anew(url: str, destination: Path, prefix: str, timeout: float) -> None:
    # A unique name, because another process may download the same file.
    partial = destination.with_name(f"{destination.name}.{uuid.uuid4().hex}.partial")
    try:
        with partial.open("xb") as file:
            _download(url, file, timeout)
        digest = _digest(partial)
        if not digest.startswith(prefix):
            raise ValueError(
                f"{url} has the SHA-256 {digest}; it must begin with {prefix}. "
                f"Download it elsewhere and put it at {destination}."
            )
        partial.replace(destination)
    finally:
        partial.unlink(missing_ok=True)


def _download(url: str, file: BinaryIO, timeout: float) -> None:
    with _open(url, timeout) as response:
        length = response.headers.get("Content-Length")
        expected = None if length is None else int(length)
        print(f"Downloading {url}", file=sys.stderr, flush=True)
        received = 0
        # disable=None shows the bar only on terminals.
        with tqdm(total=expected, unit="B", unit_scale=True, disable=None) as bar:
            while piece := response.read(_PIECE):
                file.write(piece)
                received += len(piece)
                bar.update(len(piece))
    # When reading in pieces, http.client does not report a truncated response.
    if expected is not None and received != expected:
        raise ConnectionError(
            f"the download ended after {received} of {expected} bytes"
        )


def _open(url: str, timeout: float) -> http.client.HTTPResponse:
    """Opens a URL within a bounded time.

    Name resolution has no timeout, and each address and redirect has its own.
    The request therefore runs in a thread that is abandoned after the timeout.
    """
    answers: queue.Queue[http.client.HTTPResponse | Exception] = queue.Queue()

    def work() -> None:
        try:
            answers.put(urllib.request.urlopen(url, timeout=timeout))
        except Exception as error:
            answers.put(error)

    threading.Thread(target=work, daemon=True).start()
    try:
        answer = answers.get(timeout=timeout)
    except queue.Empty:
        raise TimeoutError(f"no answer within {timeout:g} seconds") from None
    if isinstance(answer, Exception):
        raise answer
    return answer
