"""Tests of the page in a real browser, without network access."""

import time

import pytest
from headless import axe_source, browse, needs_axe, needs_chromium
from run_folders import FEW, NAMES, evaluation_line, make_run, metric_lines

from wgan_jax.report import write_report

pytestmark = needs_chromium

TRAINING = {"iterations": 1000, "ema_decay": 0.99, "n_critic": 5, "batch_size": 64}
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
// Before dialogs, after which synthetic events miss the charts.
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

const play = document.getElementById("play");
found.playing = [play.textContent];
play.click();
found.playing.push(play.textContent, document.getElementById("step-shown").textContent);
await new Promise((done) => setTimeout(done, 1500));
found.playing.push(play.textContent, document.getElementById("step-shown").textContent);

const dialog = document.getElementById("enlarged");
const enlarge = all("button.enlarge");
enlarge[1].focus();
found.focused = document.activeElement === enlarge[1];
enlarge[1].click();
const large = () => [dialog.open, dialog.querySelector("img").alt];
found.enlarged = [large()];
dialog.dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowLeft" }));
found.enlarged.push(large());
dialog.querySelector("button").click();
found.enlarged.push(large());

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

const figure = figures[0].model;
const choose = (id, change) => {
  change(document.getElementById(id));
  document.getElementById(id).dispatchEvent(new Event("change"));
};
const horizontal = () => [[...source.data.x ?? source.data.get("x")],
  figure.below[0].axis_label, figure.x_range.end];
found.axes = [horizontal()];
choose("axis", (select) => { select.value = "images"; });
found.axes.push(horizontal());
choose("axis", (select) => { select.value = "seconds"; });
found.axes.push(horizontal());
choose("axis", (select) => { select.value = "steps"; });
found.axes.push(horizontal());
const vertical = () =>
  [figure.y_scale.type, figure.left[0].ticker.type, figure.y_range.start > 0];
const settle = async (positive) => {  // ranges are computed when a frame is drawn
  for (let i = 0; i < 40 && figure.y_range.start > 0 !== positive; i++) {
    await new Promise((done) => setTimeout(done, 50));
  }
};
found.scales = [vertical()];
choose("logarithmic", (box) => { box.checked = true; });
await settle(true);
found.scales.push(vertical());
choose("logarithmic", (box) => { box.checked = false; });
await settle(false);
found.scales.push(vertical());
const zoomed = () => [figure.x_range.start, figure.x_range.end];
found.zooms = [zoomed()];
for (const name of ["in", "right", "out", "all"]) {
  document.querySelector(`button[data-zoom=${name}]`).click();
  found.zooms.push(zoomed());
}

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
            {"step": i, "critic/wasserstein_estimate": v, "critic/loss": -1.0}
            | dict.fromkeys(NAMES[1:4] + NAMES[5:], 1.0)
            | {"time/seconds": 1.0 * i, "time/utc": 1e9}
            for i, v in enumerate((4.0, 2.0, None, -1.0), 1)
        ],
        pictures=["real.png", *names],
        config={"training": TRAINING},
        command="python launch.py --config=" + "a_very_long_name/" * 20,
        evaluations=[
            evaluation_line(100, 9.0),
            evaluation_line(300, 4.0, split="x" * 300),
        ],
    )
    lines = [
        line | {"time/seconds": 1.0 * line["step"], "time/utc": 1e9}
        for line in metric_lines(30, names=FEW)
    ]
    b = make_run(
        folder / ("b" * 60),
        lines,
        pictures=["step_00000150.png"],
        config={"training": TRAINING},
    )
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
    assert raw == [4, 2, None, -1]
    expected = [4, (2 + 0.5 * 4) / 1.5, None, (-1 + 0.5 * 2 + 0.25 * 4) / 1.75]
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


def test_film_plays_to_its_end(found):
    assert found["playing"] == ["Play", "Pause", "100", "Play", "200"]


def test_pictures_are_enlarged_and_arrow_keys_change_the_iteration(found):
    assert found["focused"]
    alt = "Samples of a at iteration {}, generated with live weights"
    assert found["enlarged"] == [
        [True, alt.format(200)],
        [True, alt.format(100)],
        [False, alt.format(100)],
    ]


def test_charts_are_drawn_over_images_and_time(found):
    steps, images, seconds, again = found["axes"]
    assert steps[:2] == [[1, 2, 3, 4], "iterations"]
    assert images[:2] == [[320, 640, 960, 1280], "images seen"]
    assert images[2] == pytest.approx(300 * 320 * 1.02, rel=1e-3)
    minutes = pytest.approx([1 / 60, 2 / 60, 3 / 60, 4 / 60])
    assert seconds[:2] == [minutes, "wall-clock time (minutes)"]
    assert again == [*steps[:2], 306]


def test_scale_is_logarithmic_on_request(found):
    before, logarithmic, after = found["scales"]
    assert before[:2] == ["LinearScale", "BasicTicker"]
    assert logarithmic == ["LogScale", "LogTicker", True]
    assert after == ["LinearScale", "BasicTicker", False], "a curve goes below 0"


def test_buttons_zoom_all_charts(found):
    whole, closer, right, out, again = found["zooms"]
    width = whole[1] - whole[0]
    assert closer == pytest.approx([whole[0] + width / 4, whole[1] - width / 4])
    assert right == pytest.approx([whole[0] + width / 2, whole[1]])
    assert out == pytest.approx(whole)
    assert again == pytest.approx(whole)


def test_page_of_a_run_in_training_reloads_and_keeps_its_settings(
    tmp_path, monkeypatch
):
    monkeypatch.setattr("wgan_jax.report.page._RELOAD_SECONDS", 2)
    beat = {"stage": "training", "time": time.time()}
    path = write_report([make_run(tmp_path / "a", heartbeat=beat)], tmp_path / "x.html")
    first_visit = """
    const again = sessionStorage.getItem("visited");
    sessionStorage.setItem("visited", "yes");
    const set = (id, name, value) => { document.getElementById(id)[name] = value; };
    setTimeout(() => {
      if (again) { set("reload", "checked", false); return; }
      set("smoothing", "value", 0.9);
      set("logarithmic", "checked", true);
    }, 500);
    """
    script = """
    found.again = again;
    found.smoothing = document.getElementById("smoothing-shown").textContent;
    found.scales = [...Bokeh.documents[0].all_models]
      .filter((m) => m.type === "Figure").map((m) => m.y_scale.type);
    """
    found = browse(path, script, library=first_visit)
    assert serious(found) == []
    assert found["again"] == "yes"
    assert found["smoothing"] == "0.90"
    assert set(found["scales"]) == {"LogScale"}


@needs_axe
@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("dark", [False, True])
def test_page_passes_axe(tmp_path, width, dark):
    names = ["real.png", "step_00000100.png", "step_00000200.png"]
    beat = {"stage": "training", "time": time.time()}
    runs = [
        make_run(
            tmp_path / name,
            pictures=[*names, "classes_00000200.png"],
            evaluations=[evaluation_line(100, 9.0), evaluation_line(200, 4.0)],
            notes="Notes.",
            heartbeat=beat,
            config={"seed": seed},
        )
        for name, seed in (("a", 0), ("b", 1))
    ]
    script = """
    const results = await axe.run(document, { preload: false });
    found.rules = results.passes.length;
    found.violations = results.violations.map((rule) =>
      [rule.id, ...rule.nodes.map((node) => node.html.slice(0, 200))]);
    found.scrollWidth = document.documentElement.scrollWidth;
    """
    page = write_report(runs, tmp_path / "report.html")
    found = browse(page, script, width=width, dark=dark, library=axe_source())
    assert serious(found) == []
    assert found["violations"] == []
    assert found["rules"] > 20
    assert found["scrollWidth"] <= width


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
