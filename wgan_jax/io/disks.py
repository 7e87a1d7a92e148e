"""What the operating system says of writes that fail."""

import errno
import os
import re

# A full disk or a quota, no permission, a folder or a file system that is gone.
_ROOM = (errno.ENOSPC, errno.EDQUOT)
_PERMISSION = (errno.EROFS, errno.EACCES, errno.EPERM)
_GONE = (errno.ENOENT, errno.ENOTDIR, errno.ESTALE, errno.EIO)
_CODE = re.compile(r"os_error_code='(\d+)'")  # in the messages of TensorStore


def disk_failure(error: BaseException | None) -> int | None:
    """Returns the number of the operating system's error that made a write fail.

    Args:
        error: any exception; the causes of it are examined, too.

    Returns:
        The ``errno``; None if the disk is not the reason.
    """
    while error is not None:
        code = getattr(error, "errno", None)
        if code is None and (found := _CODE.search(str(error))):
            code = int(found[1])
        if code in (*_ROOM, *_PERMISSION, *_GONE):
            return code
        error = error.__cause__ or error.__context__
    return None


def disk_remedy(code: int) -> str:
    """Returns what to do about a failed write, as the start of a sentence.

    Args:
        code: result of ``disk_failure``.
    """
    if code in _ROOM:
        return "Make room"
    return "Make it writable" if code in _PERMISSION else "Restore the folder"


def check_writable(folder: os.PathLike[str]) -> None:
    """Raises OSError if no file can be written into a folder.

    Args:
        folder: an existing folder. A file is created in it and removed.
    """
    probe = os.path.join(folder, f".writable.{os.getpid()}")
    try:
        with open(probe, "wb", buffering=0) as file:
            file.write(bytes(4096))
    finally:
        if os.path.lexists(probe):
            os.unlink(probe)
