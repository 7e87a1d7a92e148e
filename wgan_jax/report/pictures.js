"use strict";
(() => {
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const FRAME_SECONDS = 0.25;

  // One slider selects the samples of all runs.
  const step = document.getElementById("step");
  let stop = () => {};
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
      refresh();
    };
    step.addEventListener("input", () => { stop(); show(); });
    if (weights) weights.addEventListener("change", show);

    const play = document.getElementById("play");
    let timer = null;
    stop = () => {
      clearInterval(timer);
      timer = null;
      play.textContent = "Play";
      document.body.classList.remove("playing");
    };
    const go = () => {
      if (Number(step.value) >= steps.length - 1) step.value = 0;
      show();
      play.textContent = "Pause";
      document.body.classList.add("playing");
      timer = setInterval(() => {
        step.value = Number(step.value) + 1;
        show();
        if (Number(step.value) >= steps.length - 1) stop();
      }, 1000 * FRAME_SECONDS);
    };
    if (play) play.addEventListener("click", () => (timer === null ? go() : stop()));
    addEventListener("restored", show);
  }

  // A click on a picture, or Enter, enlarges it. In a film, arrow keys go to other iterations.
  const dialog = document.getElementById("enlarged");
  const large = new Image();
  dialog.prepend(large);
  let source = null;
  const refresh = () => {
    if (!dialog.open) return;
    const shown = all("img", source).find((image) => !image.hidden);
    large.src = shown.src;
    large.alt = shown.alt;
    large.width = shown.width;
    large.height = shown.height;
    document.getElementById("enlarged-caption").textContent = shown.alt;
  };
  for (const button of all("button.enlarge")) {
    button.addEventListener("click", () => {
      source = button;
      dialog.showModal();
      refresh();
    });
  }
  dialog.addEventListener("click", (event) => {
    if (event.target.closest("button") || event.target === dialog) dialog.close();
  });
  dialog.addEventListener("keydown", (event) => {
    const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!by || !source.closest(".film")) return;
    event.preventDefault();
    step.value = Number(step.value) + by;
    step.dispatchEvent(new Event("input"));
  });
  if (step) step.dispatchEvent(new Event("input"));
})();
