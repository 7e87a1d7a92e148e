"""Handwritten texts of compiled programs in the format of XLA."""

# For CUDA: a transposition in a fusion, a library convolution, and a loop of three
# rounds with an all-reduce.
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

# For a TPU: layouts with tiles and on-chip memory S(1).
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
