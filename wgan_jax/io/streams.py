"""Output that a closed terminal or pipe does not stop."""

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TextIO

_CLOSED = (errno.EPIPE, errno.EIO)  # of a pipe, and of a terminal


class LastingStream:
    """A text stream whose text is dropped once nobody can read it."""

    def __init__(self, stream: TextIO) -> None:
        """Stores the stream."""
        self._stream = stream

    def write(self, text: str) -> int:
        """Writes a text; returns its length."""
        try:
            self._stream.write(text)
        except OSError as error:
            self._drop(error)
        return len(text)

    def flush(self) -> None:
        """Flushes the stream."""
        try:
            self._stream.flush()
        except OSError as error:
            self._drop(error)

    def __getattr__(self, name: str) -> Any:
        """Returns an attribute of the stream, such as ``isatty``."""
        return getattr(self._stream, name)

    def _drop(self, error: OSError) -> None:
        """Redirects a closed stream to nowhere; raises any other error."""
        if error.errno not in _CLOSED:
            raise error
        # The descriptor, because text is still buffered, and native code writes, too.
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self._stream.fileno())
        os.close(nowhere)
        self.flush()


@contextmanager
def lasting_output() -> Iterator[None]:
    """Lets stdout and stderr be closed during a block without an error."""
    before = sys.stdout, sys.stderr
    lasting: list[Any] = [LastingStream(stream) for stream in before]
    sys.stdout, sys.stderr = lasting
    try:
        yield
    finally:
        for stream in lasting:
            stream.flush()  # at exit, Python would report an error
        sys.stdout, sys.stderr = before
