"""Runs a headless browser without network access."""

import base64
import hashlib
import html
import json
import os
import re
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path

import pytest

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))),
    None,
)
needs_chromium = pytest.mark.skipif(
    CHROMIUM is None, reason="no chromium, chromium-browser or google-chrome is found"
)
AXE = os.environ.get("WGAN_JAX_AXE")
needs_axe = pytest.mark.skipif(
    AXE is None, reason="needs WGAN_JAX_AXE, a folder with the npm package axe-core"
)
_SPY_ERRORS = """
window.errors = [];
addEventListener("error", (event) => errors.push(event.message));
addEventListener("securitypolicyviolation", (event) =>
  errors.push(`policy: ${event.violatedDirective} ${event.blockedURI}`));
const complain = console.error;
console.error = (...words) => { errors.push(words.join(" ")); complain(...words); };
"""
_SPY_RESULT = """
setTimeout(async () => {
  const found = {};
  try { %s } catch (error) { errors.push("test: " + error.message); }
  found.errors = errors;
  parent.postMessage(JSON.stringify(found), "*");
}, 2500);
"""
# In a frame, because windows cannot be narrower than 500 pixels.
_FRAME = """<!doctype html><script>
addEventListener("message", (event) => {
  document.documentElement.dataset.found = event.data;
});
</script><iframe src="%s" width="%d" height="844" style="border: 0"></iframe>"""


def axe_source():
    """Returns the script of axe-core, from the .tgz that ``npm pack`` wrote."""
    (path,) = Path(AXE).glob("axe-core-*.tgz")
    with tarfile.open(path) as archive:
        source = archive.extractfile("package/axe.min.js").read().decode()
    return source.replace("</script", "<\\/script").replace("\r\n", "\n")


def browse(page, script, *, width=390, dark=False, library=""):
    """Returns what a script finds in a displayed page.

    The script fills ``found``. ``found["errors"]`` has all errors on the page, and
    what its policy has forbidden. The policy allows the scripts of the test too, of
    which ``library`` is run before the script.
    """
    text = page.read_text()
    own = [_SPY_ERRORS, library, _SPY_RESULT % script]
    digests = [hashlib.sha256(code.encode()).digest() for code in own]
    hashes = " ".join(f"'sha256-{base64.b64encode(d).decode()}'" for d in digests)
    assert text.count("script-src ") == 1
    text = text.replace("script-src ", f"script-src {hashes} ", 1)
    # After the policy, which must be the first to be read.
    meta = re.search(r"<meta http-equiv[^>]*>", text)[0]
    text = text.replace(meta, f"{meta}<script>{_SPY_ERRORS}</script>", 1)
    head, end, rest = text.rpartition("</body>")
    after = "".join(f"<script>{code}</script>" for code in own[1:])
    spied, frame = (page.with_name(f"{x}_{page.name}") for x in ("spied", "frame"))
    spied.write_text(head + after + end + rest)
    frame.write_text(_FRAME % (spied.as_uri(), width))
    settings = ["primaryPointerType=2", "availablePointerTypes=2"]  # touch
    settings.append(f"preferredColorScheme={0 if dark else 1}")
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
            f"--blink-settings={','.join(settings)}",
            "--virtual-time-budget=8000",
            "--dump-dom",
            frame.as_uri(),
        ]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    match = re.search(r'data-found="([^"]*)"', done.stdout)
    assert match, f"the page did not finish: {done.stderr[-2000:]}"
    return json.loads(html.unescape(match[1]))
