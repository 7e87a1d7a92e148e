"""Tests that mistakes on the command line are reported, and nothing is written."""

import pytest

from wgan_jax.augmentation import AUGMENTATIONS
from wgan_jax.errors import choices
from wgan_jax.evaluation import EXTRACTORS
from wgan_jax.losses import PENALTIES
from wgan_jax.networks import GENERATORS, PARAMETRIZATIONS
from wgan_jax.optimizers import OPTIMIZERS
from wgan_jax.program.cli import main

# Arguments with one mistake, and a part of the message.
SINGLE = {
    "--mode=trian": "choices: configs, data, evaluate, export, plan",
    "--cnofig.x=1": "cnofig.x",
    "extra": "'extra' is not an option",
    "--images=a.npz": "not read by --mode=train",
    "--checkpoint=best": "--checkpoint needs --fork or --init",
    "--mode=report": "is not the folder of a run",
    "--mode=report --config.trainin.x=1": "config.trainin is not a known field",
    "--config.training.batch_size": "needs a value",
    "--config.samples=3": "config.samples is a group",
    "--config.samples=None": "config.samples is missing",
    "--config.seed.x=3": "config.seed is not a group",
    "--config.seed=-1": "seed is -1; it must be a whole number in [0, 4294967295]",
    "--config.seed=1.5": "seed is 1.5; it must be a whole number",
    "--config.trainin.batch_size=3": "did you mean training?",
    "--config.training.batch_siz=3": "did you mean batch_size?",
    "--config.training.batch_size=1": "the generator gets 1 example at a time",
    "--config.training.generator_batch_size=1": "generator_batch_size is 1, so the",
    "--config.training.microbatches=64": "microbatches is 64, so the generator gets 1",
    "--config.training.microbatches=64 --config.training.generator_batch_size=128": (
        "batch_size is 64 and config.training.microbatches is 64, so the generator"
    ),
    "--config.training.batch_size=0": "batch_size is 0; it must be a whole number",
    "--config.training.batch_size=x": "batch_size is 'x'; it must be a whole number",
    "--config.training.batch_size=2000": "batch_size is 2000; it must be in 1 to",
    "--config.training.iterations=many": "is 'many'; it must be a whole number",
    "--config.training.n_critic=0": "n_critic is 0",
    "--config.training.boosted_first=3": "boosted_n_critic is missing",
    "--config.training.ema_decay=1": "ema_decay is 1.0; it must be a number in [0, 1)",
    "--config.training.compute_dtype=float16": "did you mean bfloat16?",
    "--config.training.placement=zero3": "did you mean zero1?",
    "--config.training.microbatches=3": "Use a multiple of 3",
    "--config.training.learning_rate_schedule=cosine": "final is missing",
    "--config.training.learning_rate_final=0.1": "not read by the schedule 'constant'",
    "--config.training.schedule_iterations=10": "no schedule reads it",
    "--config.objective=wassertsein": "did you mean wasserstein?",
    "--config.objective.label_smoothing=0.1": "not read by 'wasserstein'",
    "--config.objective=relativistic --config.training.generator_batch_size=8": "pairs",
    "--config.dataset.name=digit": "did you mean digits?",
    "--config.dataset.split=validation": "config.dataset.split: the split 'validation'",
    "--config.dataset.size=3": "config.dataset.size is not read by 'digits'",
    "--config.dataset.labels=yep": "it must be True or False",
    "--config.dataset.labels=True --config.samples.label=10": "is 10; it must be in 0",
    "--config.samples.label=3": "config.samples.label is 3, but",
    "--config.generator.name=no": choices(GENERATORS),
    "--config.generator.widht=3": "did you mean width?",
    "--config.generator.latent_size=0": "latent_size is 0",
    "--config.dataset.name=gaussians8": "(2,)",
    "--config.critic.parametrization=no": choices(PARAMETRIZATIONS),
    "--config.penalty.name=no": choices(PENALTIES),
    "--config.penalty.name=r1 --config.penalty.target=2": "choices: none",
    "--config.penalty.weight=nan": "penalty.weight is nan; it must be a number above 0",
    "--config.penalty.target=-1": "target is -1.0; it must be a number at least 0",
    "--config.penalty.every=0": "config.penalty.every is 0",
    "--config.penalties.a.weight=1": "config.penalties.a.name is missing",
    "--config.constraint.bound=1": "config.constraint.name is missing",
    "--config.constraint.name=clip_weights": "constraint.bound is missing",
    "--config.regularizer.name=path_length": "regularizer.weight is missing",
    "--config.conditional.critic_weight=1": "config.dataset.labels is False",
    "--config.augmentation.policy=no": ", ".join(AUGMENTATIONS),
    "--config.optimizer.critic.name=no": choices(OPTIMIZERS),
    "--config.optimizer.crit.b1=0.1": "did you mean critic?",
    "--config.optimizer.critic.b1=1": "b1 is 1.0; it must be a number in [0, 1)",
    "--config.sweep.field=penalty.weight": "sweep.values is missing",
    "--config.sweep.field=seed --config.sweep.values=1,2": "a decimal number",
    "--config.sweep.field=log.report_minutes --config.sweep.values=1,2": (
        "all replicas share the fields of dataset"
    ),
    "--config.sweep.field=penalty.weight --config.sweep.values=1,1": "distinct",
    "--config.checkpoint.keep=no": "keep is 'no'",
    "--config.log.every=1.5": "every is 1.5",
    "--config.evaluation.measures=fid,kernel": "measures 'fid' is not known",
    "--config.evaluation.best_by=fid": "best_by is 'fid'",
    "--config.evaluation.held_out=train": "which is the training split",
    "--config.dataset.split=train[:1000] --config.evaluation.held_out=train[500:]": (
        "1,000 examples, and 500 of them are in the training split 'train[:1000]'"
    ),
    "--config.evaluation.split=dev": "config.evaluation.split: the split",
    "--config.evaluation.features.name=no": choices(EXTRACTORS),
}
SEVERAL = [
    ("--config.training.batch_size=2000 --config.evaluation.split=dev", 2),
    ("--config.training.iterations_per_call=7", 4),
    (
        "--config.training.batch_size=0 --config.penalty.weight=-1 --config.log.ever=3 "
        "--config.critic.name=dcgn --config.optimizer.critic.b1=2",
        5,
    ),
    (
        "--config.objective=hing --config.dataset.name=digit --config.log.every=0 "
        "--config.training.n_critic=x --config.evaluation.seed=-1",
        5,
    ),
    (
        "--config.training.batch_size=100000 --config.samples.label=3 "
        "--config.training.learning_rate_final=0.5",
        3,
    ),
    ("--config.seed.x=1 --config.penalty=r1 --config.training.iterations=", 3),
    (
        "--config.dataset.split=dev --config.training.n_critic=0 "
        "--config.evaluation.held_out=nope",
        3,
    ),
    (
        "--config.training.microbatches=7 --config.penalty.target=-2 "
        "--config.augmentation.policy=blur --config.conditional.critic_weight=-1",
        4,
    ),
]


def lines_of(tmp_path, capsys, arguments):
    """Returns the lines on stderr, after checking the exit code and the folder."""
    workdir = tmp_path / "none"
    argv = ["launch.py", "--config=configs/digits_wgan_gp.py", f"--workdir={workdir}"]
    assert main([*argv, *arguments.split()]) == 2
    assert not workdir.exists()
    return capsys.readouterr().err.strip().splitlines()


@pytest.mark.parametrize(("arguments", "part"), SINGLE.items())
def test_one_mistake_gives_one_line(tmp_path, capsys, arguments, part):
    (line,) = lines_of(tmp_path, capsys, arguments)
    assert line.startswith("launch.py: ")
    assert part in line


@pytest.mark.parametrize(("arguments", "count"), SEVERAL)
def test_all_mistakes_are_reported_at_once(tmp_path, capsys, arguments, count):
    first, *lines = lines_of(tmp_path, capsys, arguments)
    assert first == f"launch.py: {count} mistakes in the config:"
    assert len(lines) == count
    if "per_call" not in arguments:
        for argument in arguments.split():
            name = argument.partition("=")[0].removeprefix("--")
            assert any(name in line for line in lines), name


def test_missing_labels_are_one_mistake(tmp_path, capsys):
    argv = ["launch.py", "--config=configs/swiss_roll_wgan_gp.py"]
    argv += [f"--workdir={tmp_path / 'none'}", "--config.dataset.labels=True"]
    assert main(argv) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert "config.dataset.labels is True, but 'swiss_roll' has no labels" in line
