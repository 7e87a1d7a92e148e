"""Tests of what benchmarks/accelerators.py reads from compiled programs."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

import deviceless
from accelerators import COLUMNS, Case, rounded, rows
from compiled_forms import convolutions, transpositions
from program_texts import GPU, TPU

from wgan_jax.planning import accelerators


def test_convolutions_are_counted_by_implementation():
    assert convolutions(GPU) == {"cudnn": 1, "dilated": 0, "others": 1}
    assert convolutions(TPU) == {"cudnn": 0, "dilated": 0, "others": 1}
    dilated = GPU.replace("size=1x1}", "size=1x1 rhs_dilate=2x2}")
    assert convolutions(dilated) == {"cudnn": 1, "dilated": 1, "others": 1}


def test_transpositions_are_found_in_fusions_and_copies():
    assert transpositions(GPU) == {"count": 1, "bytes": 24}
    # One of the TPU's four copies changes the order; dimensions of size 1 do not count.
    assert transpositions(TPU) == {"count": 1, "bytes": 128}


def test_copy_between_memories_can_be_a_transposition():
    moved = TPU.replace("%near = (f32[4,8]{1,0", "%near = (f32[4,8]{0,1")
    assert transpositions(moved) == {"count": 2, "bytes": 256}


def test_table_has_lines_for_both_sides_and_ratios():
    side = {
        "kernels": 4,
        "convolutions": 3,
        "convolutions_of_cudnn": 2,
        "convolutions_of_cudnn_dilated": 2,
    }
    found = {"ours": side, "plain": side, "ratios": {"kernels": 1.0}}
    lines = list(rows(Case("H100", "dcgan", "critic"), found))
    assert len({len(line) for line in lines}) == 1
    start = len(lines[0]) - sum(width for _, width, _ in COLUMNS)
    assert lines[0][:start].split() == ["H100", "dcgan,", "critic", "ours"]
    assert lines[0][start:].split() == [*"------", "3", "1", "2", "4", *"--", "0", "-"]
    assert lines[2].split()[0] == "ratios"


def test_files_have_four_significant_digits():
    assert rounded({"a": {"b": 1.23456}, "c": 123456}) == {
        "a": {"b": 1.235},
        "c": 123456,
    }


def test_missing_compilers_error_says_what_to_install(monkeypatch, capsys):
    def no_plugin(**options):
        raise RuntimeError("no such platform\nat all")

    monkeypatch.setattr(accelerators.topologies, "get_topology_desc", no_plugin)
    with pytest.raises(SystemExit) as stopped:
        deviceless.meshes()
    assert stopped.value.code == 2
    said = capsys.readouterr()
    assert (
        "H100: skipped, the compiler for h100:4 is not installed (no such platform)"
        in (said.out)
    )
    assert said.err.count("\n") == 1
    assert "pip install 'wgan-jax[plan]'" in said.err
