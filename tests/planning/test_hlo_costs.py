"""Tests of counts in the text of compiled programs against manual counts."""

import pytest
from program_texts import GPU, TPU

from wgan_jax.planning.hlo import attribute, computations, executions, sides, size
from wgan_jax.planning.hlo_costs import (
    Collective,
    collectives,
    donated,
    kernels,
    products,
    traffic,
)


def program(*lines, before=""):
    """Returns the text of a program with an entry computation after other ones."""
    body = "\n".join(f"  {line}" for line in lines)
    return f"HloModule m\n\n{before}ENTRY %main (a: f32[]) -> f32[] {{\n{body}\n}}\n"


def test_collective_is_found_with_its_loop():
    assert collectives(GPU) == [Collective("all-reduce", 4 * 8 * 4 * 4 * 2, (3,))]
    assert collectives(GPU)[0].times == 3
    assert collectives(TPU) == []


def test_bytes_of_a_collective_include_all_arrays():
    text = program(
        "%a = f32[8]{0} parameter(0)",
        "%both = (f32[8]{0}, bf16[4]{0}) all-reduce(%a, %b), to_apply=%sum",
        "%start = (f32[8]{0}, f32[32]{0}) all-gather-start(%a), dimensions={0}",
        "%done = f32[32]{0} all-gather-done(%start)",
        "%part = f32[2]{0} reduce-scatter(%a), dimensions={0}, to_apply=%sum",
        "%two = (f32[8]{0}, f32[8]{0}) collective-permute-start(%a)",
        "%four = (f32[8]{0}, f32[8]{0}, u32[], u32[]) collective-permute-start(%a)",
    )
    assert [(one.kind, one.bytes) for one in collectives(text)] == [
        ("all-reduce", 40),
        ("all-gather", 128),
        ("reduce-scatter", 32),
        ("collective-permute", 32),
        ("collective-permute", 32),
    ]


@pytest.mark.parametrize("said", [True, False])
def test_loop_is_multiplied_by_its_trip_count(said):
    text = GPU if said else GPU.replace('"known_trip_count":{"n":"3"},', "")
    # A call, a convolution, a fusion, and one kernel per round.
    assert kernels(text) == 3 + 3
    image, kernel = 4 * 8 * 4 * 4 * 2, 4 * 2 * 2
    once = (2 * image + kernel) * 2 + 2 * 24
    assert traffic(text) == once + 3 * 2 * image


def test_trip_counts_of_nested_loops_multiply():
    outer = GPU.replace("ENTRY %main", "%once")
    around = """
ENTRY %main (b: f32[2,3]) -> f32[3,2] {
  %b = f32[2,3]{1,0} parameter(0)
  ROOT %twice = f32[3,2]{1,0} while(%b), condition=%condition, body=%once, \
backend_config={"known_trip_count":{"n":"2"}}
}
"""
    assert [one.loops for one in collectives(outer + around)] == [(2, 3)]
    assert kernels(outer + around) == 2 * (3 + 3)


def test_conditional_counts_the_more_expensive_branch():
    ways = """%short (s: f32[4]) -> f32[4] {
  ROOT %s = f32[4]{0} parameter(0)
}

%long (l: f32[4]) -> f32[4] {
  %l = f32[4]{0} parameter(0)
  %more = f32[4]{0} negate(%l)
  ROOT %same = f32[4]{0} negate(%more)
}

"""
    choice = "conditional(%p, %a, %a), branch_computations={%short, %long}"
    text = program("%a = f32[4]{0} parameter(0)", f"%c = f32[4] {choice}", before=ways)
    assert kernels(text) == 2
    old = choice.replace("branch_computations={%short, %long}", "")
    old += "true_computation=%long, false_computation=%short"
    text = program("%a = f32[4]{0} parameter(0)", f"%c = f32[4] {old}", before=ways)
    assert kernels(text) == 2


def test_traffic_counts_device_memory_only():
    whole, row, w = 4 * 32, 4 * 8, 2 * 3 * 128
    # Read the input, read a row, copy the kernel, read it again, write the result.
    assert traffic(TPU) == whole + row + 2 * w + w + whole


def test_fusion_traffic_counts_accessed_slices():
    fused = """%row (whole: f32[100,8], at: s32[]) -> f32[1,8] {
  %whole = f32[100,8]{1,0} parameter(0)
  %at = s32[] parameter(1)
  ROOT %part = f32[1,8]{1,0} dynamic-slice(%whole, %at, %at), dynamic_slice_sizes={1,8}
}

%put (into: f32[100,8], value: f32[1,8], where: s32[]) -> f32[100,8] {
  %into = f32[100,8]{1,0} parameter(0)
  %value = f32[1,8]{1,0} parameter(1)
  %where = s32[] parameter(2)
  ROOT %new = f32[100,8]{1,0} dynamic-update-slice(%into, %value, %where, %where)
}

"""
    text = program(
        "%a = f32[100,8]{1,0} parameter(0)",
        "%i = s32[] parameter(1)",
        "%read = f32[1,8]{1,0} fusion(%a, %i), kind=kLoop, calls=%row",
        "%written = f32[100,8]{1,0} fusion(%a, %read, %i), kind=kLoop, calls=%put",
        before=fused,
    )
    # Read and write a row, read its index; the same for the update.
    assert traffic(text) == (32 + 32 + 4) + (32 + 32 + 4)


def test_workspace_of_a_library_is_no_traffic():
    call = 'custom-call(%a, %a), custom_call_target="__cublas$lt$matmul"'
    text = program(
        "%a = f32[4,4]{1,0} parameter(0)",
        f"%b = (f32[4,4]{{1,0}}, s8[999]{{0}}) {call}",
    )
    assert traffic(text) == 3 * 64


def test_convolution_products_exclude_padding():
    # 4 pixels, 3 taps, one zero at each end: 10 pairs per axis.
    window = "window={size=3x3 pad=1_1x1_1}, dim_labels=b01f_01io->b01f"
    text = program(
        "%x = f32[2,4,4,3]{3,2,1,0} parameter(0)",
        "%w = f32[3,3,3,5]{3,2,1,0} parameter(1)",
        f"%y = f32[2,4,4,5]{{3,2,1,0}} convolution(%x, %w), {window}",
    )
    assert products(text) == 2 * 2 * 10 * 10 * 3 * 5


@pytest.mark.parametrize(
    ("kind", "operands", "result"),
    [
        ("Forward", "%x, %w", "2,2,2,5"),
        ("BackwardInput", "%y, %w", "2,4,4,3"),
        ("BackwardFilter", "%x, %y", "5,4,4,3"),
    ],
)
def test_cudnn_forward_and_gradients_are_counted_equally(kind, operands, result):
    # 4 taps at offsets -1 and 1 on 4 pixels: 3 + 3 pairs per axis.
    window = "window={size=4x4 stride=2x2 pad=1_1x1_1}, dim_labels=b01f_o01i->b01f"
    text = program(
        "%x = f32[2,4,4,3]{3,2,1,0} parameter(0)",
        "%w = f32[5,4,4,3]{3,2,1,0} parameter(1)",
        "%y = f32[2,2,2,5]{3,2,1,0} parameter(2)",
        f"%z = (f32[{result}]{{3,2,1,0}}, u8[9]{{0}}) custom-call({operands}), "
        f"{window}, "
        f'custom_call_target="__cudnn$conv{kind}"',
    )
    assert products(text) == 2 * 2 * 6 * 6 * 3 * 5


@pytest.mark.parametrize(
    ("kind", "operands", "result"),
    [
        ("Forward", "%x, %w", "2,4,4,6"),
        ("BiasActivationForward", "%x, %w, %b", "2,4,4,6"),
        ("BackwardInput", "%y, %w", "2,4,4,4"),
        ("BackwardFilter", "%x, %y", "6,3,3,2"),
    ],
)
def test_cudnn_groups_divide_the_channels(kind, operands, result):
    # 10 pairs per axis; each of 6 results uses the 2 channels of its group.
    window = "window={size=3x3 pad=1_1x1_1}, dim_labels=b01f_o01i->b01f"
    text = program(
        "%x = f32[2,4,4,4]{3,2,1,0} parameter(0)",
        "%w = f32[6,3,3,2]{3,2,1,0} parameter(1)",
        "%y = f32[2,4,4,6]{3,2,1,0} parameter(2)",
        "%b = f32[6]{0} parameter(3)",
        f"%z = (f32[{result}]{{3,2,1,0}}, u8[9]{{0}}) custom-call({operands}), "
        f"{window}, feature_group_count=2, "
        f'custom_call_target="__cudnn$conv{kind}"',
    )
    assert products(text) == 2 * 2 * 10 * 10 * 2 * 6


@pytest.mark.parametrize(
    ("operands", "result", "form"),
    [
        (
            "%x, %w",
            "2,4,4,6",
            "window={size=3x3 pad=1_1x1_1}, dim_labels=b01f_01io->b01f, "
            "feature_group_count=2",
        ),
        # JAX's kernel gradient: 4 channels as examples, in 2 groups.
        (
            "%x, %y",
            "2,3,3,6",
            "window={size=4x4 pad=1_1x1_1}, dim_labels=f01b_i01o->b01f, "
            "batch_group_count=2",
        ),
        # On a TPU, groups are an axis with 2 taps, one of which is on a dilation zero.
        (
            "%grouped, %apart",
            "2,4,4,2,3",
            "window={size=3x3x2 stride=1x1x1 pad=1_1x1_1x0_0 lhs_dilate=1x1x2}, "
            "dim_labels=b012f_01i2o->b012f",
        ),
    ],
)
def test_grouped_convolutions_in_every_notation(operands, result, form):
    text = program(
        "%x = f32[2,4,4,4]{3,2,1,0} parameter(0)",
        "%w = f32[3,3,2,6]{3,2,1,0} parameter(1)",
        "%y = f32[2,4,4,6]{3,2,1,0} parameter(2)",
        "%grouped = f32[2,4,4,2,2]{4,3,2,1,0} parameter(3)",
        "%apart = f32[3,3,2,2,3]{4,3,2,1,0} parameter(4)",
        f"%z = f32[{result}]{{0}} convolution({operands}), {form}",
    )
    assert products(text) == 2 * 2 * 10 * 10 * 2 * 6


def test_dilation_zeros_are_excluded():
    # The input and kernel gradients of the same convolution.
    image = "window={size=4x4 pad=2_2x2_2 lhs_dilate=2x2 rhs_reversal=1x1}"
    kernel = "window={size=2x2 pad=1_1x1_1 rhs_dilate=2x2}"
    text = program(
        "%y = f32[2,2,2,5]{3,2,1,0} parameter(0)",
        "%w = f32[4,4,3,5]{3,2,1,0} parameter(1)",
        "%x = f32[2,4,4,3]{3,2,1,0} parameter(2)",
        f"%dx = f32[2,4,4,3]{{3,2,1,0}} convolution(%y, %w), {image}, "
        "dim_labels=b01f_01oi->b01f",
        f"%dw = f32[3,4,4,5]{{3,2,1,0}} convolution(%x, %y), {kernel}, "
        "dim_labels=f01b_i01o->b01f",
    )
    assert products(text) == 2 * (2 * 2 * 6 * 6 * 3 * 5)


def test_matrix_products_in_every_notation():
    library = (
        'custom_call_target="__cublas$gemm", backend_config={"gemm_backend_config":'
        '{"dot_dimension_numbers":{"lhs_contracting_dimensions":["1"]}}}'
    )
    fused = """%inside (p: f32[4,8], q: f32[8,2]) -> f32[4,2] {
  %p = f32[4,8]{1,0} parameter(0)
  %q = f32[8,2]{1,0} parameter(1)
  ROOT %pq = f32[4,2]{1,0} convolution(%p, %q), dim_labels=bf_io->bf
}

"""
    text = program(
        "%a = f32[4,8]{1,0} parameter(0)",
        "%b = f32[8,2]{1,0} parameter(1)",
        "%one = f32[4,2]{1,0} dot(%a, %b), lhs_contracting_dims={1}, "
        "rhs_contracting_dims={0}",
        f"%two = (f32[4,2]{{1,0}}, s8[64]{{0}}) custom-call(%a, %b), {library}",
        "%three = f32[4,2]{1,0} fusion(%a, %b), kind=kOutput, calls=%inside",
        before=fused,
    )
    assert products(text) == 3 * 2 * 4 * 8 * 2
    assert len(executions(text, fused=True)) == len(executions(text)) + 3


def test_donated_arguments_are_aliased_by_results():
    aliases = "input_output_alias={ {0}: (1, {}, may-alias), {1}: (2, {}, must-alias) }"
    text = program(
        "%a = f32[100]{0} parameter(0)",
        "%b = f32[8]{0:T(1024)} parameter(1)",
        "%c = s32[] parameter(2), sharding={replicated}",
    ).replace("HloModule m", f"HloModule m, is_scheduled=true, {aliases}")
    assert donated(text) == 32 + 4
    assert donated(GPU) == 0


def test_bytes_and_dimensions_of_types():
    assert size("f32[2,3]{1,0}") == 24
    assert size("bf16[128]{0:T(128)}") == 256
    assert size("pred[5]{0}") == 5
    assert size("f32[]") == 4
    assert size("(u8[7]{0}, f32[2]{0})") == 7
    assert size("f8e4m3fn[3]{0}") == 3
    assert sides("f32[2,3]{1,0}") == [2, 3]
    assert sides("f32[]") == []


def test_attributes_with_and_without_braces():
    loop = next(x for x in computations(GPU)["main"] if x.operation == "while")
    assert attribute("body", loop) == "body"
    conv = next(x for x in computations(GPU)["main"] if x.operation == "custom-call")
    assert attribute("window", conv) == "size=1x1"
    assert attribute("calls", conv) is None
