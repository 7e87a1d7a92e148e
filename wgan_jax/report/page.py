"""HTML page: a single file with charts, pictures, styles and scripts."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from wgan_jax.io.files import write_text
from wgan_jax.report.charts import PALETTE, draw_charts, library
from wgan_jax.report.curves import metric_charts, thin
from wgan_jax.report.evaluation_charts import evaluation_charts
from wgan_jax.report.pictures import STILLS, Album, read_album
from wgan_jax.report.run import GAPS, GRADIENT_NORMS, Run, read_runs

_NOTHING, _ABSENT = "unknown", "absent"


def write_report(workdirs: Sequence[Path], path: Path) -> Path:
    """Writes a report on runs as one HTML page that works offline.

    For several runs, curves are overlaid and pictures are shown side by side.
    The page is smaller than 5 MB: long curves and long series of pictures are
    thinned. The file is written atomically.

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
    runs = read_runs(workdirs)
    write_text(path, _render(runs))
    return Path(path)


def _render(runs: Sequence[Run]) -> str:
    evaluated, rows = evaluation_charts(runs)
    charts = thin([*metric_charts(runs), *evaluated])
    panels, script = draw_charts(charts, [run.name for run in runs])
    albums = [read_album(run, runs=len(runs)) for run in runs]
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    pairs = enumerate(zip(runs, albums, strict=True))
    return environment.get_template("page.html.j2").render(
        title=_title(runs),
        runs=[_about(i, run, album) for i, (run, album) in pairs],
        steps=_slider_steps(albums),
        weights=_weights(albums),
        kinds={k: v for k, v in STILLS.items() if any(k in a.stills for a in albums)},
        panels=[panel for panel in panels if not panel.sparse],
        evaluations=[panel for panel in panels if panel.sparse],
        rows=rows,
        differing=_differing(runs),
        library=library(),
        script=script,
    )


def _title(runs: Sequence[Run]) -> str:
    names = ", ".join(run.name for run in runs)
    return f"Run {names}" if len(runs) == 1 else f"{len(runs)} runs: {names}"


def _about(index: int, run: Run, album: Album) -> dict[str, Any]:
    """Returns the text that the page shows about one run."""
    record, parent = run.record, run.record.get("parent")
    parent = parent if isinstance(parent, Mapping) else {}
    overrides = record.get("overrides")
    return {
        "name": run.name,
        "colour": PALETTE[index % len(PALETTE)],
        "facts": _facts(run),
        "command": record.get("command"),
        "parent": parent.get("name"),
        "differences": parent.get("differences") or [],
        "changes": _mapping(record, "origin").get("differences") or [],
        "overrides": overrides if isinstance(overrides, list) else [],
        "config": [(name, _text(value)) for name, value in run.config.items()],
        "packages": _mapping(record, "packages"),
        "album": album,
    }


def _facts(run: Run) -> list[tuple[str, str]]:
    """Returns the summary lines of a run."""
    data, devices = _mapping(run.record, "data"), _mapping(run.record, "devices")
    count = data.get("count")
    examples = f"{count:,} examples" if isinstance(count, int) else ""
    parts = [data.get("name"), data.get("split"), examples]
    total = run.config.get("training.iterations")
    of_total = f" of {total:,}" if isinstance(total, int) else ""
    facts = [
        ("Data", ", ".join(str(part) for part in parts if part) or _NOTHING),
        ("Device", _device(devices)),
        ("Iterations", f"{run.step:,}{of_total}"),
    ]
    origin = _mapping(run.record, "origin")
    if origin:
        step = origin.get("step")
        at = f", iteration {step:,}" if isinstance(step, int) else ""
        how = "Forked from" if origin.get("kind") == "fork" else "Initialized from"
        facts.append((how, f"{origin.get('source')}{at}"))
    facts += [
        (f"Last {label}", _last(run, name))
        for name, label in GAPS.items()
        if name in run.series
    ]
    norm = next((name for name in GRADIENT_NORMS if name in run.series), None)
    if norm:
        where = "" if norm == GRADIENT_NORMS[0] else " at generated examples"
        facts.append((f"Last gradient norm{where}", _last(run, norm)))
    facts.append(("Commit", str(run.record.get("git_commit") or _NOTHING)))
    return facts


def _device(devices: Mapping[str, Any]) -> str:
    kind = devices.get("kind") or devices.get("platform")
    if not kind:
        return _NOTHING
    count, processes = devices.get("count", 1), devices.get("processes", 1)
    text = str(kind) if count == 1 else f"{count} x {kind}"
    return text if processes == 1 else f"{text}, {processes} processes"


def _last(run: Run, name: str) -> str:
    value = run.series[name].last()
    return _NOTHING if value is None else f"{value:.4g}"


def _mapping(record: Mapping[str, Any], part: str) -> Mapping[str, Any]:
    """Returns a part of the record, or {} if it is missing, as in older runs."""
    found = record.get(part)
    return found if isinstance(found, Mapping) else {}


def _differing(runs: Sequence[Run]) -> list[tuple[str, list[str]]]:
    """Returns the config fields in which the runs differ, with all values."""
    configs = [run.config for run in runs]
    names = dict.fromkeys(name for config in configs for name in config)
    rows = [
        (name, [_text(c[name]) if name in c else _ABSENT for c in configs])
        for name in names
    ]
    return [(name, values) for name, values in rows if len(set(values)) > 1]


def _text(value: Any) -> str:
    """Returns a config value as it would be typed."""
    return value if isinstance(value, str) else json.dumps(value)


def _slider_steps(albums: Sequence[Album]) -> list[int]:
    """Returns every step at which any run has a picture."""
    series = [frames for album in albums for frames in album.frames.values()]
    return sorted({picture.step for frames in series for picture in frames})


def _weights(albums: Sequence[Album]) -> list[str]:
    """Returns the kinds of weights that generated samples, with the EMA first."""
    return list(dict.fromkeys(w for album in albums for w in album.frames))
