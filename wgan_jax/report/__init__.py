"""The report: what one or several runs did, as one HTML page for any browser."""

from wgan_jax.report.page import write_report
from wgan_jax.report.run import GAPS, ReportError

__all__ = ["GAPS", "ReportError", "write_report"]
