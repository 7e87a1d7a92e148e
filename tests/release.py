"""Tests that run before a release only."""

import os

import pytest

before_a_release = pytest.mark.skipif(
    not os.environ.get("RELEASE"), reason="runs before a release, with RELEASE=1"
)
before_a_release_or_asked = pytest.mark.skipif(
    not (os.environ.get("RELEASE") or os.environ.get("FAULTS")),
    reason="runs before a release, with RELEASE=1, or with FAULTS=N",
)
