"""HTML report on one or several runs."""

import os
from collections.abc import Sequence
from pathlib import Path

from wgan_jax.errors import ReportError
from wgan_jax.report.run import GAPS

__all__ = ["GAPS", "ReportError", "write_report"]


def write_report(
    workdirs: Sequence[str | os.PathLike[str]], path: str | os.PathLike[str]
) -> Path:
    """Writes the page; see ``report.page.write_report``.

    Raises:
        ReportError: also if a library needed for the page is not installed.
    """
    # Importing Bokeh takes half a second and is not needed for training.
    try:
        from wgan_jax.report import page
    except ModuleNotFoundError as error:
        package = (error.name or "bokeh").split(".")[0]
        raise ReportError(
            f"the report needs {package}, which is not installed. Run pip install "
            f"{package}."
        ) from error
    return page.write_report(workdirs, path)
