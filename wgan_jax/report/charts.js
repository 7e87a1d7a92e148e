"use strict";
(() => {
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const field = (id) => document.getElementById(id);
  const MARGIN = 0.02;  // of the horizontal axis, on each side

  // Exponential smoothing with bias correction. Gaps remain gaps.
  const smooth = (values, weight) => {
    const result = new Float32Array(values.length);
    let mean = 0, total = 0;
    for (let i = 0; i < values.length; i++) {
      if (Number.isNaN(values[i])) { result[i] = NaN; continue; }
      mean = weight * mean + (1 - weight) * values[i];
      total = weight * total + (1 - weight);
      result[i] = mean / total;
    }
    return result;
  };

  // Linear between the points of a table, and with its last rate after them.
  const convert = ([from, to], steps) => Float64Array.from(steps, (x) => {
    if (from.length < 2) return to[0];
    let low = 0, high = from.length - 1;
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if (from[middle] <= x) low = middle; else high = middle;
    }
    const width = from[high] - from[low];
    return width ? to[low] + ((to[high] - to[low]) * (x - from[low])) / width : to[high];
  });
  const unit = (seconds) =>
    seconds < 180 ? [1, "seconds"] : seconds < 10800 ? [60, "minutes"] : [3600, "hours"];

  const start = (models) => {
    const { Models } = Bokeh;
    const tagged = (tag) => models.filter((m) => m.tags.includes(tag));
    const figures = models.filter((m) => m.type === "Figure");
    const plain = (source) =>
      source.data instanceof Map ? Object.fromEntries(source.data) : { ...source.data };

    const slider = field("smoothing");
    const smoothed = () => {
      const weight = Number(slider.value);
      field("smoothing-shown").textContent = weight.toFixed(2);
      for (const source of tagged("smoothed")) {
        const data = plain(source);
        for (const name of Object.keys(data)) {
          if (name.startsWith("raw")) data[name.replace("raw", "smooth")] = smooth(data[name], weight);
        }
        source.data = data;
      }
    };
    smoothed();
    for (const renderer of tagged("follows")) {
      for (const name of ["y", "y1", "y2"]) {
        const spec = renderer.glyph[name];
        if (spec && spec.field) renderer.glyph[name] = { field: spec.field.replace("raw", "smooth") };
      }
    }
    slider.addEventListener("input", smoothed);

    // The horizontal axis, which all charts share.
    const range = figures[0].x_range;
    const tables = JSON.parse(field("tables").textContent);
    const sources = models.filter((m) => m.type === "ColumnDataSource");
    const run = (source) => Number(source.tags.find((tag) => tag.startsWith("run")).slice(3));
    for (const source of sources) source.data = { ...plain(source), step: plain(source).x };
    const kinds = field("axis");
    let whole = [range.start, range.end];
    const axis = () => {
      const table = tables[kinds.value];
      const converted = sources.map((source) => {
        const { step } = plain(source);
        return table ? convert(table[run(source)], step) : step;
      });
      let low = 0, high = -Infinity;
      for (const xs of converted) for (const x of xs) { low = Math.min(low, x); high = Math.max(high, x); }
      const [size, name] = kinds.value === "seconds" ? unit(high) : [1, ""];
      const margin = Math.max(MARGIN * (high - low), 1e-3) / size;
      whole = [low / size - margin, high / size + margin];
      range.setv({ bounds: null, min_interval: null });
      sources.forEach((source, i) => {
        source.data = { ...plain(source), x: size === 1 ? converted[i] : converted[i].map((x) => x / size) };
      });
      const label = kinds.selectedOptions[0].textContent + (name ? ` (${name})` : "");
      for (const figure of figures) for (const below of figure.below) below.axis_label = label;
      const [begin, end] = whole;
      range.setv({ start: begin, end, reset_start: begin, reset_end: end });
      range.setv({ bounds: [begin, end], min_interval: margin / 2 });
    };
    kinds.addEventListener("change", axis);
    axis();

    // Buttons zoom all charts, for those who cannot drag.
    const zoom = (factor, shift = 0) => {
      const width = Math.min((range.end - range.start) * factor, whole[1] - whole[0]);
      let begin = (range.start + range.end) / 2 - width / 2 + shift * width;
      begin = Math.min(Math.max(begin, whole[0]), whole[1] - width);
      range.setv({ start: begin, end: begin + width });
    };
    const moves = { in: [0.5], out: [2], left: [1, -0.5], right: [1, 0.5], all: [Infinity] };
    for (const button of all("button[data-zoom]")) {
      button.addEventListener("click", () => zoom(...moves[button.dataset.zoom]));
    }

    const logarithmic = field("logarithmic");
    const before = figures.map((f) => [f.y_scale, f.left[0].ticker, f.left[0].formatter]);
    const scale = () => {
      figures.forEach((figure, i) => {
        const [y_scale, ticker, formatter] = before[i];
        const log = logarithmic.checked;
        figure.y_range.scale_hint = log ? "log" : "auto";
        figure.y_scale = log ? new Models.LogScale() : y_scale;
        // A change of the padding makes Bokeh compute the range again.
        figure.y_range.range_padding = log ? 0.05 : 0.1;
        figure.left[0].ticker = log ? new Models.LogTicker() : ticker;
        figure.left[0].formatter = log ? new Models.BasicTickFormatter({ use_scientific: false }) : formatter;
      });
    };
    logarithmic.addEventListener("change", scale);
    if (logarithmic.checked) scale();

    for (const button of all("button[data-curve]")) {
      button.addEventListener("click", () => {
        const shown = button.getAttribute("aria-pressed") !== "true";
        button.setAttribute("aria-pressed", String(shown));
        for (const renderer of tagged(button.dataset.curve)) renderer.visible = shown;
      });
    }

    // On touch screens, one finger scrolls the page and two fingers zoom.
    if (matchMedia("(pointer: coarse)").matches) {
      for (const m of models) if (m.type === "Toolbar") m.active_drag = null;
    }

    const colour = () => {
      const style = getComputedStyle(document.documentElement);
      const quiet = style.getPropertyValue("--quiet"), line = style.getPropertyValue("--line");
      for (const m of models) {
        if (m.type.endsWith("Axis")) {
          m.axis_label_text_color = m.major_label_text_color = quiet;
          m.axis_line_color = m.major_tick_line_color = line;
          m.minor_tick_line_color = null;
          m.axis_label_text_font_style = "normal";
        } else if (m.type === "Grid") {
          m.grid_line_color = line;
        } else if (m.type === "Toolbar") {
          m.visible = !matchMedia("print").matches;
        }
        const tag = m.tags.find((name) => name.startsWith("colour"));
        if (!tag) continue;
        const value = style.getPropertyValue(`--${tag}`).trim();
        const { type } = m.glyph;
        if (type === "Scatter" || type === "VArea") m.glyph.fill_color = value;
        else m.glyph.line_color = value;
      }
    };
    for (const query of ["(prefers-color-scheme: dark)", "print"]) {
      matchMedia(query).addEventListener("change", colour);
    }
    colour();
    dispatchEvent(new Event("drawn"));
  };

  // Bokeh adds its document after the page has loaded.
  const wait = () => {
    const drawing = window.Bokeh && Bokeh.documents[0];
    if (drawing) start([...drawing.all_models]);
    else setTimeout(wait, 20);
  };
  wait();
})();
