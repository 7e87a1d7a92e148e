"""Keeps freed memory in the process, so that it is not mapped anew at each step."""

import ctypes
import sys

# glibc's names and numbers, from its malloc.h.
_TRIM_THRESHOLD, _MMAP_MAX = -1, -4
_MOST = 2**31 - 1  # bytes unused at the heap's end, before any are given back


def keep_freed_memory() -> bool:
    """Tells the C library to keep large blocks that are freed, for the next ones.

    A step compiled for a CPU asks for its temporaries, often more than 100 MB, at
    each call, and frees them at its end. By default glibc hands such blocks back to
    the system, which clears and maps every page of them anew in the next step: up
    to a quarter of the time of a step. Here all blocks come from one heap that is
    never made smaller, so the process keeps the most that it ever needed.

    It is a setting of the whole process, for programs to make at their start;
    nothing in this library makes it for its importer.

    Returns:
        Whether it was set: False where the C library is not glibc.
    """
    if not sys.platform.startswith("linux"):
        return False
    library = ctypes.CDLL(None)
    if not hasattr(library, "gnu_get_libc_version"):
        return False
    settings = {_MMAP_MAX: 0, _TRIM_THRESHOLD: _MOST}
    return all(library.mallopt(name, value) for name, value in settings.items())
