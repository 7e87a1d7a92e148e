"""Shows each page of a built site in a headless browser, without network access."""

import functools
import http.server
import json
import os
import queue
import subprocess
import tarfile
import tempfile
import threading
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from headless import CHROMIUM, axe_source

MATHJAX = os.environ.get("WGAN_JAX_MATHJAX")
needs_mathjax = pytest.mark.skipif(
    MATHJAX is None,
    reason="needs WGAN_JAX_MATHJAX, a folder with the npm packages mathjax and"
    " @mathjax/mathjax-newcm-font",
)
CDN = "https://cdn.jsdelivr.net/npm/"
_SPY = """<script>
window.errors = [];
addEventListener("error", (event) => errors.push(
  event.message || `cannot load ${event.target.src || event.target.href}`), true);
addEventListener("unhandledrejection", (event) => errors.push(`${event.reason}`));
const complain = console.error;
console.error = (...words) => { errors.push(words.join(" ")); complain(...words); };
</script>"""
# One page after another in a frame, because windows cannot be narrower than 500 pixels.
_DRIVER = """<!doctype html><script>
const look = async (frame) => {
  const view = frame.contentWindow, page = view.document, found = {};
  const all = (selector) => [...page.querySelectorAll(selector)];
  await page.fonts.ready;
  if (view.MathJax?.startup) await view.MathJax.startup.promise;
  await new Promise((done) => setTimeout(done, 50));
  found.formulas = all("span.math, div.math").length;
  found.rendered = all("mjx-container").length;
  found.mistakes = all("mjx-merror").map((e) => e.title || e.textContent);
  found.wide = page.documentElement.scrollWidth - view.innerWidth;
  const parts = all("a[href], button, input, summary, select")
    .filter((e) => e.checkVisibility({ visibilityProperty: true }));
  found.unreachable = parts.filter((e) => {
    e.focus();
    return page.activeElement !== e || e.tabIndex < 0;
  }).map((e) => e.outerHTML.slice(0, 200));
  found.parts = parts.length;
  view.scrollTo(0, 0);
  found.dark = view.matchMedia("(prefers-color-scheme: dark)").matches;
  const { violations } = await view.axe.run(page, {
    preload: false, resultTypes: ["violations"],
    runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"],
  });
  found.violations = violations.map((v) =>
    `${v.id}: ${v.nodes[0].html.slice(0, 200)} (${v.nodes.length})`);
  found.errors = view.errors;
  return found;
};
addEventListener("load", async () => {
  const { pages, width } = await (await fetch("/driver.json")).json();
  for (const page of pages) {
    const frame = document.createElement("iframe");
    Object.assign(frame, { width, height: 844 });
    frame.style.border = 0;
    frame.src = page;
    document.body.replaceChildren(frame);
    await new Promise((done) => { frame.onload = done; });
    let found;
    try { found = await look(frame); } catch (error) { found = { failed: `${error}` }; }
    await fetch("/found", { method: "POST", body: JSON.stringify([page, found]) });
  }
});
</script><body></body>"""


@functools.cache
def _packages():
    """Returns the files of the npm packages of MathJax by their address at the CDN."""
    names = {"mathjax-mathjax-newcm-font-": "@mathjax/mathjax-newcm-font"}
    names["mathjax-4"] = "mathjax@4"
    files = {}
    for path in Path(MATHJAX).glob("mathjax-*.tgz") if MATHJAX else ():
        name = next((v for k, v in names.items() if path.name.startswith(k)), None)
        if name is None:
            continue
        with tarfile.open(path) as archive:
            for member in archive:
                if member.isfile() and not member.name.endswith(".map"):
                    inner = member.name.removeprefix("package/")
                    files[f"{name}/{inner}"] = archive.extractfile(member).read()
    return files


def _handler(site, settings, results):
    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args):
            super().__init__(*args, directory=str(site))

        def do_GET(self):
            path = unquote(urlsplit(self.path).path).lstrip("/")
            if path == "driver.html":
                self._send(_DRIVER.encode(), "text/html")
            elif path == "driver.json":
                self._send(json.dumps(settings).encode(), "application/json")
            elif path == "axe.js":
                self._send(axe_source().encode(), "text/javascript")
            elif path.startswith("npm/"):
                body = _packages().get(path.removeprefix("npm/"))
                if body is None:
                    self.send_error(404)
                    return
                script = path.endswith("js")
                kind = "text/javascript" if script else "application/octet-stream"
                self._send(body.replace(CDN.encode(), b"/npm/"), kind)
            elif path.endswith(".html"):
                text = (site / path).read_text()
                text = text.replace("<head>", f"<head>{_SPY}", 1)
                text = text.replace("</body>", '<script src="/axe.js"></script></body>')
                self._send(text.replace(CDN, "/npm/").encode(), "text/html")
            else:
                super().do_GET()

        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            results.put(json.loads(body))
            self._send(b"", "text/plain")

        def _send(self, body, kind):
            self.send_response(200)
            self.send_header("Content-Type", f"{kind}; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    return Handler


def visit(site, pages, *, width=390, dark=False, seconds=60):
    """Returns what is found on each page, by its path below the site.

    Raises:
        queue.Empty: a page did not finish within the seconds.
    """
    results = queue.Queue()
    settings = {"pages": list(pages), "width": width}
    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), _handler(site, settings, results)
    )
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with tempfile.TemporaryDirectory() as profile:
        browser = subprocess.Popen(
            [
                CHROMIUM,
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--hide-scrollbars",
                "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
                f"--user-data-dir={profile}",
                f"--window-size={width},900",
                f"--blink-settings=preferredColorScheme={0 if dark else 1}",
                "--remote-debugging-port=0",
                f"http://127.0.0.1:{server.server_port}/driver.html",
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            return dict(results.get(timeout=seconds) for _ in settings["pages"])
        finally:
            browser.terminate()
            browser.wait()
            server.shutdown()
            server.server_close()
