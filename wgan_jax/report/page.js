"use strict";
(() => {
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];

  // One slider selects the samples of all runs.
  const step = document.getElementById("step");
  if (step) {
    const steps = step.dataset.steps.split(" ").map(Number);
    const weights = document.getElementById("weights");
    const show = () => {
      const chosen = steps[step.value];
      document.getElementById("step-shown").textContent = chosen.toLocaleString("en");
      step.setAttribute("aria-valuetext", `iteration ${chosen}`);
      for (const film of all(".film")) {
        const frames = all("img", film);
        const wanted = frames.filter((f) => !weights || f.dataset.weights === weights.value);
        const drawn = wanted.length ? wanted : frames;
        const past = drawn.filter((f) => Number(f.dataset.step) <= chosen);
        const shown = past.length ? past[past.length - 1] : drawn[0];
        for (const frame of frames) frame.hidden = frame !== shown;
        const words = `${Number(shown.dataset.step).toLocaleString("en")}, ${shown.dataset.weights}`;
        film.querySelector(".shown").textContent = words;
      }
    };
    step.addEventListener("input", show);
    if (weights) weights.addEventListener("change", show);
    show();
  }

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

  const start = (models) => {
    const tagged = (tag) => models.filter((m) => m.tags.includes(tag));
    const sources = tagged("smoothed");
    const slider = document.getElementById("smoothing");
    const update = () => {
      const weight = Number(slider.value);
      document.getElementById("smoothing-shown").textContent = weight.toFixed(2);
      for (const source of sources) {
        const data = source.data instanceof Map ? Object.fromEntries(source.data) : { ...source.data };
        for (const name of Object.keys(data)) {
          if (name.startsWith("raw")) data[name.replace("raw", "smooth")] = smooth(data[name], weight);
        }
        source.data = data;
      }
    };
    update();
    for (const renderer of tagged("follows")) {
      for (const name of ["y", "y1", "y2"]) {
        const spec = renderer.glyph[name];
        if (spec && spec.field) renderer.glyph[name] = { field: spec.field.replace("raw", "smooth") };
      }
    }
    slider.addEventListener("input", update);

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

    const dark = matchMedia("(prefers-color-scheme: dark)");
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
        }
      }
    };
    dark.addEventListener("change", colour);
    colour();
  };

  // Bokeh adds its document after the page has loaded.
  const wait = () => {
    const drawing = window.Bokeh && Bokeh.documents[0];
    if (drawing) start([...drawing.all_models]);
    else setTimeout(wait, 20);
  };
  wait();
})();
