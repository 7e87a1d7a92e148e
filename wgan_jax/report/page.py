"""HTML page: a single file with charts, pictures, styles and scripts."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from wgan_jax.io.files import expanded, write_text
from wgan_jax.report.axes import AXES, axis_tables
from wgan_jax.report.charts import PALETTE, draw_charts, library
from wgan_jax.report.configs import compare_configs
from wgan_jax.report.curves import metric_charts, thin
from wgan_jax.report.evaluations import (
    collect,
    evaluation_charts,
    evaluation_table,
)
from wgan_jax.report.pictures import STILLS, Album, Picture, read_album
from wgan_jax.report.policy import new_nonce, policy
from wgan_jax.report.run import Run, read_runs
from wgan_jax.report.status import status_of
from wgan_jax.report.summary import facts_of, headline, mapping

_FOLDER = Path(__file__).parent
# Before and after the library, in the order in which the page runs them.
_BEFORE, _AFTER = ("styles.js",), ("pictures.js", "reload.js", "charts.js")
_RELOAD_SECONDS = 60


def write_report(
    workdirs: Sequence[str | os.PathLike[str]], path: str | os.PathLike[str]
) -> Path:
    """Writes a report on runs as one HTML page that works offline.

    For several runs, curves are overlaid and pictures are shown side by side.
    The page is smaller than 5 MB: long curves and long series of pictures are
    thinned. While a run is in training, the page reloads itself. The file is
    written atomically.

    Args:
        workdirs: work directories of the runs, at least one. More than seven
            runs share colors.
        path: path of the page; missing folders are created.

    Returns:
        The path.

    Raises:
        ReportError: if a folder does not belong to a run, or has no metrics
            yet.
    """
    runs = read_runs([expanded(x) for x in workdirs])
    path = expanded(path)
    write_text(path, _render(runs))
    return path


def _render(runs: Sequence[Run]) -> str:
    evaluations = collect(runs)
    charts = thin([*metric_charts(runs), *evaluation_charts(evaluations)])
    panels, script = draw_charts(charts, [run.name for run in runs])
    albums = [read_album(run, runs=len(runs)) for run in runs]
    pairs = enumerate(zip(runs, albums, strict=True))
    tables, abouts = axis_tables(runs), [_about(i, run, a) for i, (run, a) in pairs]
    going_on = any(about["status"].running for about in abouts)
    scripts = [*map(_read, _BEFORE), library(), script, *map(_read, _AFTER)]
    scripts = [text.replace("\r\n", "\n") for text in scripts]  # as browsers read it
    nonce = new_nonce()
    environment = Environment(
        loader=FileSystemLoader(_FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("page.html.j2").render(
        title=_title(runs),
        policy=policy(scripts, nonce),
        nonce=nonce,
        style=Markup((_FOLDER / "page.css").read_text(encoding="utf-8")),
        scripts=[Markup(text) for text in scripts],
        runs=abouts,
        colours=len(PALETTE),
        reload=_RELOAD_SECONDS if going_on else 0,
        real=_real(abouts),
        steps=_slider_steps(albums),
        weights=_weights(albums),
        kinds={k: v for k, v in STILLS.items() if any(k in a.stills for a in albums)},
        panels=[panel for panel in panels if not panel.sparse],
        axes={k: name for k, name in AXES.items() if k == "steps" or k in tables},
        tables=tables,
        evaluated=evaluation_table(evaluations),
        evaluations=[panel for panel in panels if panel.sparse],
        fields=compare_configs(runs),
    )


def _read(name: str) -> str:
    return (_FOLDER / name).read_text(encoding="utf-8")


def _title(runs: Sequence[Run]) -> str:
    names = ", ".join(run.name for run in runs)
    return f"Run {names}" if len(runs) == 1 else f"{len(runs)} runs: {names}"


def _about(index: int, run: Run, album: Album) -> dict[str, Any]:
    """Returns what the page shows about one run."""
    record, parent = run.record, mapping(run.record, "parent")
    overrides, data = record.get("overrides"), mapping(record, "data")
    dataset = [str(data[name]) for name in ("name", "split") if data.get(name)]
    return {
        "name": run.name,
        "colour": index % len(PALETTE),
        "status": status_of(run),
        "headline": headline(run),
        "facts": facts_of(run),
        "notes": run.notes,
        "dataset": ", ".join(dataset) or "the dataset",
        "command": record.get("command"),
        "parent": parent.get("name"),
        "differences": parent.get("differences") or [],
        "changes": mapping(record, "origin").get("differences") or [],
        "overrides": overrides if isinstance(overrides, list) else [],
        "album": album,
    }


def _real(abouts: Sequence[Mapping[str, Any]]) -> list[tuple[str, Picture]]:
    """Returns the dataset and the real examples of the runs, once if they are equal."""
    found = [(x["dataset"], x["album"].real) for x in abouts if x["album"].real]
    return list({picture.uri: (name, picture) for name, picture in found}.values())


def _slider_steps(albums: Sequence[Album]) -> list[int]:
    """Returns every step at which any run has a picture."""
    series = [frames for album in albums for frames in album.frames.values()]
    return sorted({picture.step for frames in series for picture in frames})


def _weights(albums: Sequence[Album]) -> list[str]:
    """Returns the kinds of weights that generated samples, with the EMA first."""
    return list(dict.fromkeys(w for album in albums for w in album.frames))
