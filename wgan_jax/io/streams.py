"""Output that a closed terminal or pipe, or a full disk, does not stop."""

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, TextIO

_CLOSED = (errno.EPIPE, errno.EIO)  # of a pipe, and of a terminal
# Of a file. Later text is written again, once there is room.
_OF_DISK = (errno.ENOSPC, errno.EDQUOT, errno.ESTALE, errno.EROFS)


class LastingStream:
    """A text stream whose text is dropped where it cannot be written.

    Attributes:
        loss: what the operating system said when the disk did not take a text;
            empty if that has not happened.
    """

    def __init__(self, stream: TextIO) -> None:
        """Stores the stream."""
        self._stream = stream
        self.loss = ""

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
        """Drops what is buffered, and all later text if nobody can read it.

        Raises:
            OSError: if neither a closed stream nor the disk is the reason.
        """
        if error.errno not in (*_CLOSED, *_OF_DISK):
            raise error
        descriptor = self._stream.fileno()
        kept, nowhere = os.dup(descriptor), os.open(os.devnull, os.O_WRONLY)
        # The descriptor, because text is still buffered, and native code writes, too.
        os.dup2(nowhere, descriptor)
        self._stream.flush()
        if error.errno in _OF_DISK:
            self.loss = os.strerror(error.errno)
            os.dup2(kept, descriptor)
        os.close(nowhere)
        os.close(kept)


@contextmanager
def lasting_output() -> Iterator[None]:
    """Lets stdout and stderr be closed or full during a block without an error.

    At the end, a line on stderr names each stream whose text the disk did not take.
    """
    before = sys.stdout, sys.stderr
    with ExitStack() as stack:
        if None in before:  # closed before the program started
            _fill_descriptors()
        lasting: list[Any] = [
            LastingStream(stack.enter_context(_nowhere()) if stream is None else stream)
            for stream in before
        ]
        sys.stdout, sys.stderr = lasting
        try:
            yield
        finally:
            for name, stream in zip(("stdout", "stderr"), lasting, strict=True):
                stream.flush()  # at exit, Python would report an error
                if stream.loss:
                    print(
                        f"Part of the output on {name} could not be written: "
                        f"{stream.loss}.",
                        file=sys.stderr,
                        flush=True,
                    )
            sys.stdout, sys.stderr = before


def _nowhere() -> TextIO:
    return open(os.devnull, "w", encoding="utf-8", errors="backslashreplace")


def _fill_descriptors() -> None:
    """Opens the null device in place of each standard stream that is closed.

    Otherwise the next file would get its descriptor, and with it the messages of
    native code.
    """
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(descriptor, True)
    os.close(descriptor)
