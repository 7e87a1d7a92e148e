// What users of screen readers and keyboards miss in the theme's pages.
const all = (selector) => [...document.querySelectorAll(selector)];
const set = (selector, attributes) => {
  for (const element of all(selector)) {
    for (const [name, value] of Object.entries(attributes)) {
      element.setAttribute(name, value);
    }
  }
};

// The captions of the navigation are headings without a level.
set(".sidebar-tree .caption[role=heading]", { "aria-level": 2 });
set("aside.sidebar-drawer", { "aria-label": "Pages" });
set("aside.toc-drawer", { "aria-label": "On this page" });
// The arguments of a function, which have no terms.
set("dt.sig dl", { role: "presentation" });

// Arrow keys scroll what has the focus, and Tab stops only where something scrolls.
const scrollable = () => {
  for (const element of all(".table-wrapper, .highlight pre, div.math, div.output pre")) {
    if (element.scrollWidth > element.clientWidth) element.tabIndex = 0;
    else element.removeAttribute("tabindex");
  }
};
scrollable();
addEventListener("load", scrollable);
addEventListener("resize", scrollable);
