"use strict";
(() => {
  // While a run goes on, the page reads itself again and keeps its settings. This script
  // runs before that of the charts, which starts with the restored settings.
  const seconds = Number(document.body.dataset.reload);
  const names = ["smoothing", "axis", "logarithmic", "weights", "reload"];
  const inputs = names.map((name) => document.getElementById(name)).filter(Boolean);
  const key = `wgan-jax report ${location.pathname}`;
  const value = (input) => (input.type === "checkbox" ? input.checked : input.value);
  const saved = () => {
    try { return JSON.parse(sessionStorage.getItem(key)); } catch { return null; }
  };
  const save = () => {
    const found = Object.fromEntries(inputs.map((input) => [input.id, value(input)]));
    try {
      sessionStorage.setItem(key, JSON.stringify({ ...found, scroll: scrollY }));
    } catch { /* a browser that stores nothing for files */ }
  };

  const last = saved();
  if (last) {
    try { sessionStorage.removeItem(key); } catch { /* as above */ }
    for (const input of inputs) {
      if (!(input.id in last)) continue;
      if (input.type === "checkbox") input.checked = last[input.id] === true;
      else if (input.tagName !== "SELECT" || [...input.options].some((o) => o.value === last[input.id])) {
        input.value = last[input.id];
      }
    }
    dispatchEvent(new Event("restored"));
    addEventListener("drawn", () => scrollTo(0, Number(last.scroll) || 0));
  }

  const wanted = document.getElementById("reload");
  if (!seconds || !wanted) return;
  const busy = () =>
    document.hidden || !wanted.checked || document.querySelector("dialog[open]") ||
    document.body.classList.contains("playing");
  setInterval(() => {
    if (busy()) return;
    save();
    location.reload();
  }, 1000 * seconds);
})();
