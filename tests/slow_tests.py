"""Tests that the default run leaves to ``-m slow``, by patterns of their ids.

The default run takes each part once. What stands here repeats a check with other
networks, settings or processes, and takes seconds of compilation each time.
"""

import re
from collections.abc import Collection

# Networks that take seconds to compile, except in tests that each of them needs once.
_NETWORKS = re.compile(
    r"(tests/networks|test_contract).*"
    r"(resnet64|sngan_cnn|resnet dropout|resnet auxiliary|r3gan by class)"
)
_ONCE = re.compile(
    "test_shapes_and_range_at_the_start|test_an_image_is_of_its_own_latent|"
    "test_a_score_is_of_its_own_example"
)
_PATTERNS = re.compile(
    "|".join(
        (
            r"test_devices_agree\[(8-float64|2-float64)",
            r"replicas_equal_separate_runs\[(False-True|True-True|True-False)",
            r"test_multiprocess.*sigterm",
            r"test_methods.*(resumed_run_equals|replicas_equal_runs|diverged_replica)",
            r"each_form_forced\[(?!forward_conv|backward_conv)",
            r"weight_norm_leaves_a_critic",
            r"test_pytorch_benchmark.*(our_side_runs|report_has_the|check_file)",
            r"test_calls.*signal_stops",  # test_program has the same without calls
            r"test_mixed_precision",
            r"test_page_is_smaller",
            r"operations_of_every_config_are_counted"
            r"\[(?!digits|gaussians_wgan_gp|cifar10_wgan_gp\])",
            r"test_profile.*(short_run|given_number)",
            r"signal_saves_a_checkpoint.*\[2\]",
            r"test_diverged_run_stops",
            r"test_real_sets\[fashion",
            r"test_contract.*\[(article|mlp weight_norm|dcgan batch_norm|dcgan_gp by)",
            r"test_contract.*takes_part",
            r"test_every_regularizer_on.*\[(?!mlp-)",
            r"right_way_for_every_objective\[r3gan",
            r"test_flax_layers_make_the_same_network",
            r"test_networks.*bfloat16_is_near_float32",
            r"test_conditional_samples_cycle",
            r"test_sample_mode_uses_the_label",
            r"test_periodic_evaluation.*(interrupted_last|resumed_run_has_equal)",
        )
    )
)


# Fixtures that run for minutes: a rehearsal of all stages, a step on eight devices.
_FIXTURES = {"rehearsed", "eight_devices"}


def is_slow(name: str, fixtures: Collection[str]) -> bool:
    """Returns whether a test is left to the slow run.

    Args:
        name: id of the test, such as ``tests/test_memory.py::test_it[case]``.
        fixtures: names of its fixtures.
    """
    if _FIXTURES & set(fixtures):
        return True
    if _NETWORKS.search(name) and not _ONCE.search(name):
        return True
    return _PATTERNS.search(name) is not None
