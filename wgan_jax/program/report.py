"""``--mode=report``: the HTML report of one or several runs."""

from collections.abc import Sequence
from pathlib import Path

from wgan_jax.program.console import Log, finish
from wgan_jax.program.workdir import Workdir
from wgan_jax.report import write_report


def report(folders: Sequence[Path], *, log: Log, output: str | None = None) -> int:
    """Writes an HTML page that shows one run or compares several.

    Args:
        folders: folders of the runs.
        log: function that prints one line.
        output: path of the page. Defaults to ``report.html`` in the folder of a
            single run, or in the current folder for several runs.

    Returns:
        Exit code 0.

    Raises:
        ReportError: if a folder is not that of a run, or has no metrics yet.
    """
    alone = Workdir(folders[0]).report if len(folders) == 1 else Path("report.html")
    written = write_report(list(folders), Path(output) if output else alone)
    line = f"Report: {written} (opens in any browser, works offline)"
    finish(log, line, written)
    return 0
