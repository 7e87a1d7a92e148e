"""``--mode=report``: the HTML report of one or several runs."""

from collections.abc import Sequence
from pathlib import Path

from wgan_jax.config.resolve import resolve
from wgan_jax.io.images import are_images
from wgan_jax.program.console import Log, finish, warn
from wgan_jax.program.gallery import REAL, draw_kinds, draw_real, missing_kinds
from wgan_jax.program.live_report import in_a_line
from wgan_jax.program.restoring import restore_checkpoint
from wgan_jax.program.setup import prepare
from wgan_jax.program.workdir import Workdir, changed_switches
from wgan_jax.report import write_report


def report(folders: Sequence[Path], *, log: Log, output: str | None = None) -> int:
    """Writes an HTML page that shows one run or compares several.

    Pictures that the runs have not drawn yet are drawn from their newest
    checkpoints, if possible.

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
    for workdir in map(Workdir, folders):
        if workdir.config.is_file():
            _draw_missing(workdir, log=log)
    alone = Workdir(folders[0]).report if len(folders) == 1 else Path("report.html")
    written = write_report(list(folders), Path(output) if output else alone)
    line = f"Report: {written} (opens in any browser, works offline)"
    finish(log, line, written)
    return 0


def _draw_missing(workdir: Workdir, *, log: Log) -> None:
    """Draws the pictures that a run lacks; tells why if that is impossible."""
    try:
        _draw(workdir, log=log)
    except Exception as error:  # there may be no device, which the page does not need
        warn(log, f"Some pictures of {workdir.path} are left out: {in_a_line(error)}")


def _draw(workdir: Workdir, *, log: Log) -> None:
    data = workdir.data() or {}
    if not are_images(data.get("example_shape", ())):
        return
    config = workdir.record()["config"]
    has_classes = bool(config.get("dataset", {}).get("labels"))
    missing = missing_kinds(workdir.samples, has_classes=has_classes)
    real = not (workdir.samples / REAL).exists()
    drawable = missing if workdir.has_checkpoint() else []
    if not drawable and not real:
        return
    experiment = prepare(
        workdir.settled(resolve(config)), log=log, data=None if real else data
    )
    if real:
        workdir.check_data(experiment.source.record())
        draw_real(experiment, workdir.samples)
    if not drawable:
        return
    changed = changed_switches(workdir.switches())
    if changed:
        because = f"because {changed[0].split(':')[0]} differs"
        warn(log, f"No samples of {workdir.path} are drawn, {because}.")
        return
    state, step = restore_checkpoint(workdir, experiment, "latest", log=log)
    log(f"Drawing {' and '.join(drawable)} of {workdir.path}, iteration {step}.")
    draw_kinds(experiment, state, workdir.samples, drawable)
