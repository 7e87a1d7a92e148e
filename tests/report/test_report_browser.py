"""Tests of the page in a real browser, without network access."""

import pytest
from headless import browse, needs_chromium
from run_folders import NAMES, evaluation_line, make_run

from wgan_jax.report import write_report

pytestmark = needs_chromium

# Models are read from Bokeh, and pixels from the canvas.
SCRIPT = """
const all = (selector) => [...document.querySelectorAll(selector)];
const input = (id, value) => {
  const slider = document.getElementById(id);
  slider.value = value;
  slider.dispatchEvent(new Event("input"));
};
const seen = (image) => image.offsetHeight > 0;
const visible = () => all(".film").map((film) =>
  [...film.querySelectorAll("img")].filter(seen).map((image) => image.alt));
const models = [...Bokeh.documents[0].all_models];
const source = models.find((m) => m.type === "ColumnDataSource");
const column = (name) => [...(source.data.get?.(name) ?? source.data[name])];

found.width = innerWidth;
found.scrollWidth = document.documentElement.scrollWidth;
const figures = Bokeh.index.roots.filter((view) => view.model.type === "Figure");
found.inked = figures.map((view) => {
  const { canvas } = view.canvas_view.primary;
  const area = [0, 0, canvas.width, canvas.height];
  return canvas.getContext("2d").getImageData(...area).data.some((value) => value > 0);
});
found.charts = all(".chart").length;
found.range = new Set(models.filter((m) => m.type === "Figure" || m.type === "Plot")
  .map((m) => m.x_range)).size;
found.pictures = [visible()];
input("step", 0);
found.pictures.push(visible());
found.step = document.getElementById("step-shown").textContent;
found.caption = all(".shown")[0].textContent;
const weights = document.getElementById("weights");
weights.value = "live weights";
weights.dispatchEvent(new Event("change"));
found.pictures.push(visible());
found.raw = column("raw");
input("smoothing", 0.5);
found.smooth = column("smooth");
const tagged = (tag) => models.filter((m) => m.tags.includes(tag));
found.field = tagged("follows").map((m) => m.glyph).filter((g) => g.type === "Line")
  .map((g) => g.y.field);
input("smoothing", 0);
found.unsmoothed = column("smooth");
const key = all("button[data-curve]")[0];
const hidden = () => tagged(key.dataset.curve).map((m) => m.visible);
found.shown = [hidden()];
key.click();
found.shown.push(hidden(), key.getAttribute("aria-pressed"));
key.click();
found.shown.push(hidden());

const surface = (root) => [...root.querySelectorAll("*")].flatMap((e) =>
  e.matches(".bk-events") ? [e] : e.shadowRoot ? surface(e.shadowRoot) : []);
const [events] = surface(document);
found.touch = getComputedStyle(events).touchAction;
const { x_range } = figures[0].model, { x, y } = events.getBoundingClientRect();
const span = () => x_range.end - x_range.start;
const send = (kind, type, right, more) => events.dispatchEvent(new kind(type, {
  clientX: x + right, clientY: y + 100, bubbles: true, composed: true, cancelable: true,
  ...more }));
Element.prototype.setPointerCapture = () => {};  // of fingers that a script moves
const finger = (type, pointerId, right) =>
  send(PointerEvent, type, right, { pointerId, pointerType: "touch", buttons: 1 });
found.spans = [span()];
send(WheelEvent, "wheel", 160, { deltaY: -100 });
found.spans.push(span());
send(WheelEvent, "wheel", 160, { deltaY: -100, ctrlKey: true });
found.spans.push(span());
finger("pointerdown", 1, 150);
finger("pointerdown", 2, 170);
for (let i = 1; i < 10; i++) {
  finger("pointermove", 1, 150 - 3 * i);
  finger("pointermove", 2, 170 + 3 * i);
}
found.spans.push(span());
"""


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    folder = tmp_path_factory.mktemp("two")
    names = [
        f"step_{step:08d}{end}.png" for step in (100, 200) for end in ("", "_live")
    ]
    a = make_run(
        folder / "a",
        [
            {"step": i, "critic/wasserstein_estimate": v}
            | dict.fromkeys(NAMES[1:], 1.0)
            for i, v in enumerate((4.0, 2.0, None, 1.0), 1)
        ],
        pictures=names,
        command="python launch.py --config=" + "a_very_long_name/" * 20,
        evaluations=[
            evaluation_line(100, 9.0),
            evaluation_line(300, 4.0, split="x" * 300),
        ],
    )
    b = make_run(folder / ("b" * 60), pictures=["step_00000150.png"])
    return browse(write_report([a, b], folder / "report.html"), SCRIPT)


def serious(found):
    # This error only means that the layout needs another frame.
    return [e for e in found["errors"] if "ResizeObserver loop" not in e]


def test_page_has_no_errors(found):
    assert serious(found) == []


def test_charts_share_the_iteration_axis(found):
    assert found["charts"] == len(found["inked"]) == 11
    assert all(found["inked"])
    assert found["range"] == 1


def test_narrow_screen_scrolls_vertically_only(found):
    assert found["width"] == 390
    assert found["scrollWidth"] <= 390


def test_slider_selects_samples_of_all_runs(found):
    last, first, live = found["pictures"]
    b = "b" * 60
    assert last == [
        ["Samples of a at iteration 200, generated with EMA weights"],
        [f"Samples of {b} at iteration 150, generated with EMA weights"],
    ]
    assert first[0] == ["Samples of a at iteration 100, generated with EMA weights"]
    assert first[1] == last[1], "a run with a single picture"
    assert live[0] == ["Samples of a at iteration 100, generated with live weights"]
    assert live[1] == last[1]
    assert found["step"] == "100"
    assert found["caption"] == "100, EMA weights"


def test_smoothing_is_unbiased_and_keeps_gaps(found):
    raw = found["raw"]
    assert raw == [4, 2, None, 1]
    expected = [4, (2 + 0.5 * 4) / 1.5, None, (1 + 0.5 * 2 + 0.25 * 4) / 1.75]
    assert found["smooth"] == [x if x is None else pytest.approx(x) for x in expected]
    assert found["unsmoothed"] == raw
    assert set(found["field"]) == {"smooth"}


def test_click_toggles_a_curve(found):
    shown, hidden, pressed, again = found["shown"]
    assert set(shown) == {True}
    assert set(hidden) == {False}
    assert pressed == "false"
    assert again == shown


def test_ctrl_wheel_and_pinch_zoom(found):
    whole, wheel, with_ctrl, pinched = found["spans"]
    assert wheel == whole, "a wheel alone scrolls the page"
    assert with_ctrl < whole
    assert pinched < with_ctrl
    assert found["touch"] == "pan-x pan-y", "one finger scrolls the page"


def test_escaped_text_and_single_points_are_drawn(tmp_path):
    evil = '<img src=x onerror="boomed = 1"></script><script>boomed = 1</script>$$x$$'
    folder = make_run(
        tmp_path / "a",
        [{"step": 10, f"odd/{evil}": 1.0, "critic/loss": 2.0, "critic/penalty": None}],
        config={"note": evil},
        evaluations=[evaluation_line(9, 1.0, run=evil)],
    )
    script = """
    const models = [...Bokeh.documents[0].all_models];
    found.boomed = window.boomed ?? null;
    found.drawn = document.querySelectorAll(".chart .bk-Figure").length;
    found.charts = document.querySelectorAll(".chart").length;
    found.dots = models.filter((m) => m.type === "Scatter").length;
    found.scrollWidth = document.documentElement.scrollWidth;
    """
    found = browse(write_report([folder], tmp_path / "report.html"), script)
    assert serious(found) == []
    assert found["boomed"] is None
    assert found["drawn"] == found["charts"] == 3
    assert found["dots"] == 3
    assert found["scrollWidth"] <= 390
