"""Bokeh charts of the report."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from bokeh.document import Document
from bokeh.embed import components
from bokeh.models import (
    BasicTicker,
    BasicTickFormatter,
    BoxZoomTool,
    ColumnDataSource,
    DataRange1d,
    HoverTool,
    Line,
    NumeralTickFormatter,
    PanTool,
    Range1d,
    ResetTool,
    Scatter,
    Segment,
    VArea,
    WheelZoomTool,
)
from bokeh.models.glyph import Glyph
from bokeh.models.renderers import GlyphRenderer
from bokeh.plotting import figure
from bokeh.resources import Resources
from markupsafe import Markup

from wgan_jax.report.curves import Chart, Curve

# Distinguishable for the color-blind; the first two are those of the pictures. The page
# has lighter ones for dark backgrounds, in the same order.
PALETTE = ("#0072b2", "#d55e00", "#00875f", "#b8559a", "#3d8fc4", "#9a6a12", "#707070")
_DASHES: tuple[list[int], ...] = ([], [6, 3], [2, 3], [8, 3, 2, 3], [12, 4])
_HEIGHT = 280  # pixels
_MARGIN = 0.02  # of the iterations, on each side
_DOTS = 3  # curves with at most this many points also get dots
_FAINT = 0.4  # opacity of the raw curve behind the smoothed one
_BAND = 0.15  # opacity of the deviation band


@dataclass(frozen=True)
class Key:
    """Entry of a chart's legend, a button that hides the curve.

    Attributes:
        tag: tag of the curve's renderers.
        label: name of the curve, with the run's name if there are several runs.
        name: path of the metric; empty for evaluations.
        last: last finite value; may be empty.
        colour: index in the palette.
        dash: SVG dash pattern of the line.
    """

    tag: str
    label: str
    name: str
    last: str
    colour: int
    dash: str


@dataclass(frozen=True)
class Panel:
    """One chart with the text around it.

    Attributes:
        title: plain text.
        note: plain text, may be empty.
        keys: the legend.
        plot: HTML element that the browser draws into.
        sparse: whether the chart shows evaluations.
    """

    title: str
    note: str
    keys: list[Key]
    plot: Markup
    sparse: bool


def draw_charts(
    charts: Sequence[Chart], names: Sequence[str]
) -> tuple[list[Panel], Markup]:
    """Creates the figures, with a common axis of iterations.

    Args:
        charts: at least one.
        names: names of the runs.

    Returns:
        The panels in the order of the charts, and the script that draws them.
    """
    last = max(int(c.steps[-1]) for chart in charts for c in chart.curves)
    first = min(0, *(int(c.steps[0]) for chart in charts for c in chart.curves))
    margin = max((last - first) * _MARGIN, 0.5)
    low, high = first - margin, last + margin
    x_range = Range1d(
        start=low, end=high, bounds=(low, high), min_interval=min(1, margin)
    )
    figures, keys = [], []
    for number, chart in enumerate(charts):
        plot, entries = _draw(chart, names, x_range, f"chart{number}")
        figures.append(plot)
        keys.append(entries)
    document = Document()
    # Frozen, because each added figure would otherwise recompute all models.
    with document.models.freeze():
        for plot in figures:
            document.add_root(plot)
    script, plots = components(figures, wrap_script=False)
    # The policy of the page forbids the attribute, which its style sheet replaces.
    plots = [plot.replace(' style="display: contents;"', "") for plot in plots]
    panels = [
        Panel(chart.title, chart.note, entries, Markup(plot), chart.sparse)
        for chart, entries, plot in zip(charts, keys, plots, strict=True)
    ]
    return panels, Markup(script)


def library() -> Markup:
    """Returns the part of BokehJS that draws figures."""
    return Markup("\n".join(Resources(mode="inline", components=["bokeh"]).js_raw))


def _draw(
    chart: Chart, names: Sequence[str], x_range: Range1d, tag: str
) -> tuple[figure, list[Key]]:
    box, wheel = BoxZoomTool(), WheelZoomTool(modifiers="ctrl")
    plot = figure(
        height=_HEIGHT,
        sizing_mode="stretch_width",
        x_range=x_range,
        y_range=DataRange1d(only_visible=True),
        tools=[PanTool(), box, wheel, ResetTool()],
        active_drag=box,
        # With Ctrl, so that the page can be scrolled past a chart; pinching also zooms.
        active_scroll=wheel,
        toolbar_location="above",
        background_fill_color=None,
        border_fill_color=None,
        outline_line_color=None,
        x_axis_label="iterations",
    )
    plot.toolbar.logo = None
    plot.xaxis.formatter = NumeralTickFormatter(format="0.[00]a")
    plot.xaxis.ticker = BasicTicker(desired_num_ticks=5)
    plot.yaxis.formatter = BasicTickFormatter(precision=3)
    labels = list(dict.fromkeys(curve.label for curve in chart.curves))
    keys: list[Key] = []
    hovered: list[GlyphRenderer[Any]] = []
    for number, curve in enumerate(chart.curves):
        key = _key(curve, names, labels, f"{tag}-{number}")
        hovered.extend(_add(plot, curve, key, sparse=chart.sparse))
        keys.append(key)
    plot.add_tools(_hover(hovered, chart.sparse))
    return plot, keys


def _key(curve: Curve, names: Sequence[str], labels: list[str], tag: str) -> Key:
    """Returns a legend entry; colors identify runs or, for a single run, curves."""
    place = labels.index(curve.label)
    label, colour, dash = curve.label, place, place // len(PALETTE)
    if len(names) > 1:
        label, colour = f"{names[curve.run]}: {curve.label}", curve.run
        dash = place
    if curve.dashed:
        dash = 1
    dashes = " ".join(map(str, _DASHES[dash % len(_DASHES)]))
    known = curve.values[np.isfinite(curve.values)]
    last = f"{known[-1]:.4g}" if len(known) else ""
    return Key(tag, label, curve.name, last, colour % len(PALETTE), dashes)


def _add(
    plot: figure, curve: Curve, key: Key, *, sparse: bool
) -> "list[GlyphRenderer[Any]]":
    """Draws one curve; returns the renderers to hover over."""
    values = curve.values.astype(np.float32)
    data = {"x": curve.steps.astype(np.int32), "raw": values}
    if curve.deviation is not None:
        spread = np.nan_to_num(curve.deviation).astype(np.float32)
        data |= {"raw_low": values - spread, "raw_high": values + spread}
    # The page's script converts the iterations of a run to other units.
    kinds = [f"run{curve.run}"] if sparse else [f"run{curve.run}", "smoothed"]
    source = ColumnDataSource(data, tags=kinds)
    colour = PALETTE[key.colour]
    line = Line(x="x", y="raw", line_width=2, line_color=colour)
    line.line_dash = [int(part) for part in key.dash.split()]
    dots = Scatter(x="x", y="raw", size=6, fill_color=colour, line_color=None)
    behind: list[Glyph] = []
    if sparse:
        if curve.deviation is not None:
            whisker = Segment(x0="x", x1="x", y0="raw_low", y1="raw_high")
            behind.append(whisker.clone(line_color=colour, line_width=1.5))
        front: list[Glyph] = [line, dots]
    else:
        if curve.deviation is not None:
            low = VArea(x="x", y1="raw_low", y2="raw_high", fill_color=colour)
            behind.append(low.clone(fill_alpha=_BAND))
        behind.append(line.clone(line_width=1, line_alpha=_FAINT))
        front = [line, dots] if len(values) <= _DOTS else [line]

    def add(glyph: Glyph, *, follows: bool) -> "GlyphRenderer[Any]":
        # The page's script switches renderers tagged "follows" to smoothed data.
        tags = [key.tag, f"colour{key.colour}"] + ["follows"] * follows
        return plot.add_glyph(source, glyph, name=key.label, tags=tags)

    for glyph in behind:
        add(glyph, follows=isinstance(glyph, VArea))
    return [add(glyph, follows=not sparse) for glyph in front]


def _hover(renderers: "list[GlyphRenderer[Any]]", sparse: bool) -> HoverTool:
    # The page's script adds the column "step".
    rows = [("", "$name"), ("iteration", "@step"), ("value", "@raw{0.[0000]}")]
    if not sparse:
        rows.append(("smoothed", "@smooth{0.[0000]}"))
    return HoverTool(
        renderers=list(renderers),
        tooltips=rows,
        line_policy="nearest",
        visible=False,  # hidden in the toolbar, because it is always active
    )
