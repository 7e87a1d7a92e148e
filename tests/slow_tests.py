"""Tests that the default run leaves to ``-m slow``.

The default run takes each part once. The tests here repeat a check with other
networks, settings or processes, and take seconds of compilation each time.
"""

import re
from collections.abc import Collection

# Fixtures that run for minutes: a rehearsal of all stages, a step on eight devices.
FIXTURES = frozenset({"rehearsed", "eight_devices"})

# Functions, and the cases of each that are slow; an empty pattern is all of them.
FUNCTIONS = {
    "test_a_step_with_a_gradient_penalty_is_finite": "^r3gan",
    "test_all_derivatives_with_each_form_forced": "^(?!forward_conv|backward_conv)",
    "test_a_run_whose_checkpoints_vanish_continues_and_says_so": "",
    "test_bfloat16_is_near_float32": "",
    "test_bfloat16_training_is_close_to_float32": "",
    "test_check_file_has_the_values_of_the_case": "",
    "test_conditional_samples_cycle_through_the_classes": "",
    "test_corrected_estimates_are_distances": "",
    "test_critic_loss_and_gradient_are_close_to_float32": "",
    "test_devices_agree": "^(8-float64|2-float64)",
    "test_diverged_replica_is_named": "",
    "test_diverged_run_stops_and_names_the_metrics": "",
    "test_every_regularizer_on_every_generator_that_may_have_one": "^(?!mlp-)",
    "test_every_row_of_every_table_takes_part": "",
    "test_flax_layers_make_the_same_network": "",
    "test_given_number_of_iterations_is_traced": "",
    "test_interrupted_last_evaluation_is_repeated": "",
    "test_killed_runs_end_as_the_unbroken_one": "",
    "test_one_at_a_time": "",
    "test_operations_of_every_config_are_counted": (
        "^(?!digits|gaussians_wgan_gp|cifar10_wgan_gp$|cifar10_r3gan_small)"
    ),
    "test_other_process_ends_when_one_is_killed": "",
    "test_our_side_runs_every_step": "",
    "test_our_side_runs_every_step_without_a_penalty": "",
    "test_page_is_smaller_than_5_megabytes": "",
    "test_pictures_become_a_page": "",
    "test_real_sets": "^fashion",
    "test_replicas_equal_runs_with_their_seeds": "",
    "test_replicas_equal_separate_runs": "^(False-True|True-True|True-False)",
    "test_report_has_the_steps_and_labels_of_its_case": "",
    "test_resumed_run_equals_the_uninterrupted_run": "",
    "test_resumed_run_has_equal_evaluations": "",
    "test_run_resumes_exactly_after_sigterm": "",
    "test_runs_go_on_after_the_disk_was_full": "",
    "test_sample_mode_uses_the_label": "",
    "test_short_run_is_traced_to_its_end": "",
    "test_signal_saves_a_checkpoint_and_says_how_to_resume": "^2$",
    "test_signal_stops_after_a_call_and_run_resumes": "",
    "test_signals_lose_nothing": "",
    "test_sigterm_stops_an_evaluation": "",
    "test_sigterm_to_one_process_stops_all": "",
    "test_steps_go_the_right_way_for_every_objective": "^r3gan",
    "test_weight_norm_leaves_a_critic_as_it_starts": "",
}

# Networks that take seconds to compile, in tests that run over networks, except in
# the functions that each network passes once.
NETWORKS = re.compile("resnet64|sngan_cnn|resnet dropout|resnet auxiliary|r3gan by cl")
ONCE = frozenset(
    {
        "test_both_networks_take_powers_of_two",
        "test_image_depends_only_on_its_own_latent",
        "test_score_depends_only_on_its_own_example",
        "test_shapes_and_range_at_the_start",
        "test_the_command_names_the_nearest_sizes",
    }
)
PAIRS_OF_THE_CONTRACT = re.compile("^(article|mlp weight_norm|dcgan batch|dcgan_gp by)")


def is_slow(path: str, function: str, case: str, fixtures: Collection[str]) -> bool:
    """Returns whether a test is left to the slow run.

    Args:
        path: file of the test, relative to the repository.
        function: name of the test function.
        case: id of the parameters; empty without parameters.
        fixtures: names of its fixtures.
    """
    if FIXTURES & set(fixtures):
        return True
    if function in FUNCTIONS and re.search(FUNCTIONS[function], case):
        return True
    contract = path.endswith("test_contract.py")
    if contract and PAIRS_OF_THE_CONTRACT.search(case):
        return True
    over_networks = contract or path.startswith("tests/networks/")
    return over_networks and function not in ONCE and bool(NETWORKS.search(case))
