"use strict";
(() => {
  // Bokeh adds style sheets, which the policy of the page allows by its nonce only.
  const { nonce } = document.querySelector("style");
  const create = document.createElement.bind(document);
  document.createElement = (name, options) => {
    const element = create(name, options);
    if (String(name).toLowerCase() === "style") element.nonce = nonce;
    return element;
  };
})();
