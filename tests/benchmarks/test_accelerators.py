"""What the benchmark of accelerators reads in a compiled program's text."""

import sys
from pathlib import Path

import jax
import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

import deviceless
from accelerators import COLUMNS, Case, rounded, rows
from program_text import (
    collectives,
    convolutions,
    kernels,
    traffic,
    transpositions,
    written,
)

# What the CUDA compiler prints: a transposition in a fusion, a library's convolution,
# a loop of three with a sum over devices in it.
GPU = """HloModule jit_step, is_scheduled=true

%fused_transpose (p.0: f32[2,3]) -> f32[3,2] {
  %p.0 = f32[2,3]{1,0} parameter(0)
  ROOT %transpose.1 = f32[3,2]{1,0} transpose(%p.0), dimensions={1,0}
}

%body (arg: (s32[], f32[8,4,4,2])) -> (s32[], f32[8,4,4,2]) {
  %arg = (s32[], f32[8,4,4,2]{3,2,1,0}) parameter(0)
  %count = s32[] get-tuple-element(%arg), index=0
  %images = f32[8,4,4,2]{3,2,1,0} get-tuple-element(%arg), index=1
  %all-reduce-start = f32[8,4,4,2]{3,2,1,0} all-reduce-start(%images), to_apply=%sum
  %all-reduce-done = f32[8,4,4,2]{3,2,1,0} all-reduce-done(%all-reduce-start)
  ROOT %tuple.1 = (s32[], f32[8,4,4,2]{3,2,1,0}) tuple(%count, %all-reduce-done)
}

%condition (arg.1: (s32[], f32[8,4,4,2])) -> pred[] {
  %arg.1 = (s32[], f32[8,4,4,2]{3,2,1,0}) parameter(0)
  %count.1 = s32[] get-tuple-element(%arg.1), index=0
  %limit = s32[] constant(3)
  ROOT %less = pred[] compare(%count.1, %limit), direction=LT
}

ENTRY %main (a: f32[2,3], x: f32[8,4,4,2], w: f32[2,1,1,2]) -> f32[3,2] {
  %a = f32[2,3]{1,0} parameter(0)
  %x = f32[8,4,4,2]{3,2,1,0} parameter(1), sharding={replicated}
  %w = f32[2,1,1,2]{3,2,1,0} parameter(2)
  %conv = (f32[8,4,4,2]{3,2,1,0}, u8[0]{0}) custom-call(%x, %w), window={size=1x1}, \
dim_labels=b01f_o01i->b01f, custom_call_target="__cudnn$convForward"
  %y = f32[8,4,4,2]{3,2,1,0} get-tuple-element(%conv), index=0
  %zero = s32[] constant(0)
  %start = (s32[], f32[8,4,4,2]{3,2,1,0}) tuple(%zero, %y)
  %loop = (s32[], f32[8,4,4,2]{3,2,1,0}) while(%start), condition=%condition, \
body=%body, backend_config={"known_trip_count":{"n":"3"},"init":"0"}
  %other = f32[8,4,4,2]{3,2,1,0} convolution(%x, %w), window={size=1x1}, \
dim_labels=b01f_o01i->b01f
  ROOT %fusion = f32[3,2]{1,0} fusion(%a), kind=kInput, calls=%fused_transpose
}
"""

# What the TPU's prints: tiles and the chip's own memory S(1) in the layouts.
TPU = """HloModule jit_step, is_scheduled=true

ENTRY %main (x: f32[4,8], w: bf16[1,1,3,128]) -> f32[4,8] {
  %x = f32[4,8]{1,0:T(8,128)} parameter(0)
  %w = bf16[1,1,3,128]{3,2,1,0:T(4,128)(2,1)} parameter(1)
  %near = (f32[4,8]{1,0:T(8,128)S(1)}, f32[4,8]{1,0:T(8,128)}, u32[]{:S(2)}) \
copy-start(%x), backend_config={"flag_configs":[]}
  %here = f32[4,8]{1,0:T(8,128)S(1)} copy-done(%near)
  %part = ((f32[4,8]{1,0:T(8,128)}), f32[1,8]{1,0:T(8,128)S(1)}, s32[]{:S(2)}) \
slice-start(%x), slice={[0:1], [0:8]}
  %row = f32[1,8]{1,0:T(8,128)S(1)} slice-done(%part)
  %turned = f32[4,8]{0,1:T(8,128)S(1)} copy(%here)
  %same = bf16[1,1,3,128]{3,2,0,1:T(4,128)(2,1)} copy(%w)
  %dense = f32[4,4]{1,0:T(8,128)S(1)} convolution(%here, %turned), \
dim_labels=bf_io->bf
  %conv = f32[4,8,8,128]{3,0,2,1:T(8,128)S(1)} convolution(%here, %same), \
window={size=1x1}, dim_labels=b01f_01io->b01f
  ROOT %out = f32[4,8]{1,0:T(8,128)} fusion(%here, %dense), kind=kLoop, calls=%add
}
"""


def test_convolutions_are_told_from_products_and_from_the_librarys():
    assert convolutions(GPU) == {"cudnn": 1, "dilated": 0, "others": 1}
    assert convolutions(TPU) == {"cudnn": 0, "dilated": 0, "others": 1}
    dilated = GPU.replace("size=1x1}", "size=1x1 rhs_dilate=2x2}")
    assert convolutions(dilated) == {"cudnn": 1, "dilated": 1, "others": 1}


def test_transpositions_are_found_in_fusions_and_in_copies():
    assert transpositions(GPU) == {"count": 1, "bytes": 24}
    # Of the TPU's four copies one changes the order: sides of length 1 have none.
    assert transpositions(TPU) == {"count": 1, "bytes": 128}


def test_a_move_between_memories_can_be_a_transposition():
    moved = TPU.replace("%near = (f32[4,8]{1,0", "%near = (f32[4,8]{0,1")
    assert transpositions(moved) == {"count": 2, "bytes": 256}


def test_each_speech_between_devices_is_counted_once():
    found = collectives(GPU)
    assert found.pop("all-reduce") == 1
    assert not any(found.values())
    assert not any(collectives(TPU).values())


@pytest.mark.parametrize("said", [True, False])
def test_a_loop_counts_as_often_as_it_runs(said):
    text = GPU if said else GPU.replace('"known_trip_count":{"n":"3"},', "")
    # A call, a convolution, a fusion, and one in each round.
    assert kernels(text) == 3 + 3
    image, kernel = 4 * 8 * 4 * 4 * 2, 4 * 2 * 2
    once = (2 * image + kernel) * 2 + 2 * 24
    assert traffic(text) == once + 3 * 2 * image


def test_traffic_is_with_the_devices_memory():
    whole, row, w = 4 * 32, 4 * 8, 2 * 3 * 128
    # Fetched, a row fetched, the kernel copied, read again, the result written.
    assert traffic(TPU) == whole + row + 2 * w + w + whole


def test_bytes_of_types():
    assert written("f32[2,3]{1,0}") == 24
    assert written("bf16[128]{0:T(128)}") == 256
    assert written("pred[5]{0}") == 5
    assert written("f32[]") == 4
    assert written("(u8[7]{0}, f32[2]{0})") == 7
    assert written("f8e4m3fn[3]{0}") == 3


def test_a_table_has_a_line_for_each_side_and_for_the_ratios():
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


def test_files_keep_four_digits():
    assert rounded({"a": {"b": 1.23456}, "c": 123456}) == {
        "a": {"b": 1.235},
        "c": 123456,
    }


def test_without_compilers_a_sentence_says_what_to_install(monkeypatch, capsys):
    def no_plugin(**options):
        raise RuntimeError("no such platform\nat all")

    monkeypatch.setattr(deviceless.topologies, "get_topology_desc", no_plugin)
    with pytest.raises(SystemExit) as stopped:
        deviceless.meshes()
    assert stopped.value.code == 2
    said = capsys.readouterr()
    assert "H100: left out (no such platform)" in said.out
    assert said.err.count("\n") == 1
    assert (
        f"pip install --no-deps libtpu jax-cuda12-plugin=={jax.__version__}" in said.err
    )
