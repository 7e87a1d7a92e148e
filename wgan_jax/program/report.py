"""``--mode=report``: writes the page of one or several runs."""

from collections.abc import Sequence
from pathlib import Path

from wgan_jax.program.setup import Log
from wgan_jax.program.workdir import Workdir
from wgan_jax.report import write_report


def report(folders: Sequence[Path], *, log: Log, output: str | None = None) -> int:
    """Writes the page that shows runs, side by side if there are several.

    Args:
        folders: of the runs.
        log: prints one line for the user.
        output: the page's file; by default ``report.html`` in the folder of the
            only run, or in the current one for several.

    Returns:
        Exit code 0.

    Raises:
        ReportError: if a folder is no run's, or holds no metrics yet.
    """
    alone = Workdir(folders[0]).report if len(folders) == 1 else Path("report.html")
    written = write_report(list(folders), Path(output) if output else alone)
    log(f"Open {written} in any browser; it works offline.")
    return 0
