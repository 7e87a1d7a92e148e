"""Runs a headless browser without network access."""

import html
import json
import re
import shutil
import subprocess
import tempfile

import pytest

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))),
    None,
)
needs_chromium = pytest.mark.skipif(
    CHROMIUM is None, reason="no chromium, chromium-browser or google-chrome is found"
)
_SPY_ERRORS = """<script>
window.errors = [];
addEventListener("error", (event) => errors.push(event.message));
const complain = console.error;
console.error = (...words) => { errors.push(words.join(" ")); complain(...words); };
</script>"""
_SPY_RESULT = """<script>
setTimeout(async () => {
  const found = {};
  try { %s } catch (error) { errors.push("test: " + error.message); }
  found.errors = errors;
  parent.postMessage(JSON.stringify(found), "*");
}, 2500);
</script>"""
# In a frame, because windows cannot be narrower than 500 pixels.
_FRAME = """<!doctype html><script>
addEventListener("message", (event) => {
  document.documentElement.dataset.found = event.data;
});
</script><iframe src="%s" width="%d" height="844" style="border: 0"></iframe>"""


def browse(page, script, *, width=390):
    """Returns what a script finds in a displayed page.

    The script fills ``found``. ``found["errors"]`` has all errors on the page.
    """
    text = page.read_text()
    text = text.replace("<head>", f"<head>{_SPY_ERRORS}", 1)
    head, end, rest = text.rpartition("</body>")
    spied, frame = (page.with_name(f"{x}_{page.name}") for x in ("spied", "frame"))
    spied.write_text(head + _SPY_RESULT % script + end + rest)
    frame.write_text(_FRAME % (spied.as_uri(), width))
    with tempfile.TemporaryDirectory() as profile:
        command = [
            CHROMIUM,
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--hide-scrollbars",
            "--host-resolver-rules=MAP * ~NOTFOUND",
            f"--user-data-dir={profile}",
            "--window-size=800,900",
            "--blink-settings=primaryPointerType=2,availablePointerTypes=2",  # touch
            "--virtual-time-budget=8000",
            "--dump-dom",
            frame.as_uri(),
        ]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    match = re.search(r'data-found="([^"]*)"', done.stdout)
    assert match, f"the page did not finish: {done.stderr[-2000:]}"
    return json.loads(html.unescape(match[1]))
