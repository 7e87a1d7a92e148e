"""Content security policy of the page."""

import base64
import hashlib
import secrets
from collections.abc import Sequence


def new_nonce() -> str:
    """Returns a number that nobody can guess, for the style sheets of one page."""
    return secrets.token_urlsafe(16)


def policy(scripts: Sequence[str], nonce: str) -> str:
    """Returns a policy that allows nothing but the content of the page itself.

    Text that was inserted in spite of the escaping could not run scripts, load
    anything or send anything.

    Args:
        scripts: texts of all inline scripts. They are allowed by their hashes.
        nonce: nonce of the style sheets, including those that Bokeh adds.
    """
    hashes = [hashlib.sha256(script.encode()).digest() for script in scripts]
    allowed = " ".join(f"'sha256-{base64.b64encode(h).decode()}'" for h in hashes)
    return (
        f"default-src 'none'; script-src {allowed}; style-src 'nonce-{nonce}'; "
        "img-src data:; base-uri 'none'; form-action 'none'"
    )
