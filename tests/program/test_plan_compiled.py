"""Tests of iterations of residual networks compiled for accelerators."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from compilers import require_compiler

pytestmark = pytest.mark.slow
CASES = Path(__file__).with_name("plan_cases.py")


@pytest.fixture(scope="module", params=["v5e:2x4", "h100:8"])
def topology(request):
    require_compiler(request.param)
    return request.param


@pytest.fixture(scope="module")
def costs(topology):
    """Returns the costs of each case as JSON values."""
    cases = ["ours", "plain", "deeper", "without norm", "deeper without norm"]
    run = subprocess.run(
        [sys.executable, CASES, topology, *cases],
        env=os.environ | {"JAX_ENABLE_COMPILATION_CACHE": "false"},
        capture_output=True,
        text=True,
        timeout=1200,
        check=False,
    )
    assert run.returncode == 0, run.stderr[-2000:]
    return json.loads(run.stdout.splitlines()[-1])


def messages(found):
    return found["critic_update"]["count"], found["generator_update"]["count"]


def test_one_message_per_update_for_any_depth(costs):
    # All gradients and metrics of an update are in one message.
    assert messages(costs["without norm"]) == (1, 1)
    assert messages(costs["deeper without norm"]) == (1, 1)


def test_batch_norm_needs_one_message_per_direction(costs):
    for case in ("ours", "deeper"):
        norms = costs[case]["norms"]
        assert messages(costs[case]) == (1 + norms, 1 + 2 * norms)
    assert costs["deeper"]["norms"] == costs["ours"]["norms"] + 2 == 9


def test_all_messages_are_all_reduces(costs):
    assert all(set(found["exchanged"]) == {"all-reduce"} for found in costs.values())


def test_state_is_donated(costs):
    for found in costs.values():
        assert found["state_donated"] == pytest.approx(found["state_bytes"], rel=0.02)


def test_compiled_operations_match_traced_operations(costs):
    found = costs["ours"]
    ratio = found["operations"] / found["operations_traced"]
    assert ratio == pytest.approx(1, abs=0.05)


def test_fused_pooling_and_upsampling_reduce_operations(costs):
    ratio = costs["ours"]["operations"] / costs["plain"]["operations"]
    assert ratio <= 0.7
