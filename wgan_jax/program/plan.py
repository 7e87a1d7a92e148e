"""``--mode=plan``: costs of a run on devices that are not available.

The training step is compiled as for training, for the batch of the config and the
given devices. All figures are per device and per iteration, and are read from the
compiled program. Terms that are not evaluated in every update are counted as if
they were.
"""

import functools
import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from wgan_jax.config.build import build_source
from wgan_jax.config.precision import with_dtype
from wgan_jax.config.problems import Problems
from wgan_jax.config.resolve import Config, resolve
from wgan_jax.errors import ConfigError
from wgan_jax.io.files import write_text
from wgan_jax.parallel.sharding import DATA_AXIS, replicated
from wgan_jax.planning.accelerators import (
    Accelerator,
    Target,
    parse_target,
    target_mesh,
)
from wgan_jax.planning.costs import Costs, read_costs
from wgan_jax.planning.flops import operations
from wgan_jax.program import setup
from wgan_jax.program.console import Log, finish, warn
from wgan_jax.program.setup import Experiment
from wgan_jax.training.init import abstract_state
from wgan_jax.training.steps import train_step


@dataclass(frozen=True, kw_only=True)
class Planned(Experiment):
    """Experiment on devices that are not available.

    Attributes:
        pipeline: pipeline that is checked but not read; None if the data is not
            prepared.
    """

    pipeline: Any

    @functools.cached_property
    def key(self) -> Any:
        """Key of the run, or of each replica, as shape, dtype and sharding."""
        dtype = jax.eval_shape(lambda: jax.random.key(0)).dtype
        if not self.is_replicated:
            return jax.ShapeDtypeStruct((), dtype, sharding=replicated(self.mesh))
        apart = NamedSharding(self.mesh, PartitionSpec(DATA_AXIS))
        return jax.ShapeDtypeStruct((len(self.seeds),), dtype, sharding=apart)

    def operations(self, batches: int) -> float:
        """Returns the operations of an iteration, over all replicas and devices.

        Args:
            batches: number of batches in the iteration.
        """
        lead = int(self.is_replicated or self.per_call > 1)
        batch = jax.tree.map(
            lambda x: jax.ShapeDtypeStruct(x.shape[lead:], x.dtype),
            self._abstract_batch(batches),
        )
        key = jax.eval_shape(lambda: jax.random.key(0))
        step = functools.partial(train_step, self.gan)
        return len(self.seeds) * operations(step, abstract_state(self.gan), batch, key)


def plan(
    config: Config,
    *,
    log: Log,
    topology: str | None = None,
    output: str | None = None,
) -> int:
    """Compiles the training step for unavailable devices and prints its costs.

    ``accelerators.prepare_environment`` must be called first, before JAX is used.

    Args:
        config: config of one experiment.
        log: function that prints one line.
        topology: the devices, such as ``v5e:2x4``.
        output: path of a JSON file to write the costs to.

    Returns:
        Exit code: 0, or 1 if the step does not fit into the memory of the
        devices.

    Raises:
        ConfigError: if there is a mistake in the config or the topology.
        MissingCompilerError: if the compiler for the devices is not installed.
            The message says what to install.
    """
    target = parse_target(topology or "")
    if output and not Path(output).absolute().parent.is_dir():
        raise ConfigError(f"--output={output} is in a folder that does not exist.")
    experiment = prepare(config, target_mesh(target))
    began = time.perf_counter()
    try:
        programs = experiment.compile(0, log=log)
    except jax.errors.JaxRuntimeError as error:
        return _not_compiled(error, target, log=log)
    about = _about(experiment, target, seconds=time.perf_counter() - began)
    found = []
    for batches, program in programs.items():
        costs = read_costs(
            program,
            target,
            state=experiment.target,
            updates=batches - int(experiment.gan.objective.paired),
            traced=experiment.operations(batches),
            per_call=experiment.per_call,
            microbatches=experiment.gan.microbatches,
            dtype=about["compute_dtype"],
        )
        images = about["batch_size"] * costs.updates * len(experiment.seeds)
        rate = {"images_per_second": images / costs.bound.seconds}
        found.append(costs.record() | rate)
        for line in table(costs, target, images=images, dtype=about["compute_dtype"]):
            log(line)
    if output:
        write_text(output, json.dumps(about | {"iterations": found}, indent=1))
        finish(log, f"Written to {output}.", output)
    fits = all(x["memory"]["peak"] <= target.accelerator.memory for x in found)
    return 0 if fits else 1


def prepare(config: Config, mesh: Mesh) -> Planned:
    """Builds the objects of an experiment on a mesh, without its data.

    Args:
        config: config of one experiment.
        mesh: device mesh.

    Returns:
        The experiment.

    Raises:
        ConfigError: if the config has mistakes.
        DataError: if prepared data cannot be opened.
    """
    config = with_dtype(resolve(config), "gpu")  # like all devices of a plan
    source, problems = build_source(config, examples=False), Problems()
    built = setup.check_parts(config, source, problems, mesh=mesh)
    problems.raise_all()
    assert built is not None
    gan_of, settings, seeds, pipeline = built
    return Planned(
        config=config,
        mesh=mesh,
        source=source,
        pipeline=pipeline,
        gan_of=gan_of,
        settings=settings,
        seeds=seeds,
    )


def table(costs: Costs, target: Target, *, images: int, dtype: str) -> list[str]:
    """Returns the costs as lines of text.

    Args:
        costs: costs of an iteration.
        target: the devices.
        images: number of real images per iteration.
        dtype: dtype of layer computations.
    """
    device, bound, memory = target.accelerator, costs.bound, costs.memory
    peak, kind = device.peak, "bfloat16"
    if dtype == "float32":
        peak, kind = device.peak_float32, f"float32 as {device.float32_as}"
    share = memory.peak / device.memory
    sent = sum(one.bytes for one in costs.exchanged.values())
    lines = [
        f"Costs per device ({device.title}, 1 of {target.devices}), for an iteration "
        f"of {costs.updates} critic updates and 1 generator update:",
        _row(
            "operations",
            _number(costs.operations, "FLOP"),
            f"at {_number(peak, 'FLOP/s')} ({kind})",
            bound.operations,
        ),
        _row(
            "",
            _number(costs.operations_traced, "FLOP"),
            "required, divided by the number of devices",
        ),
        _row(
            "memory traffic",
            _number(costs.traffic, "B"),
            f"at {_number(device.bandwidth, 'B/s')}",
            bound.memory,
        ),
        _row("communication", _number(sent, "B"), _kinds(costs.exchanged), bound.links),
    ]
    for name, part in (
        ("critic update", costs.critic_update),
        ("generator update", costs.generator_update),
    ):
        if part is not None and sent:
            lines.append(
                _row(f"  a {name}", _number(part.bytes, "B"), f"in {part.count:g}")
            )
    lines += [
        _row(
            "peak memory",
            _number(memory.peak, "B"),
            f"of {_number(device.memory, 'B')}: arguments "
            f"{_number(memory.arguments, 'B')}, results {_number(memory.results, 'B')} "
            f"minus {_number(memory.donated, 'B')} donated, temporaries "
            f"{_number(memory.temporaries, 'B')}, program "
            f"{_number(memory.program, 'B')}",
        ),
        _row(
            "state",
            _number(costs.state_bytes, "B"),
            f"{costs.state_donated / costs.state_bytes:.1%} donated",
        ),
        _kernels(costs, device),
        f"At most {1 / bound.seconds:,.1f} iterations/s, {images / bound.seconds:,.0f} "
        f"images/s over all devices, limited by {_BINDS[bound.binds]}.",
    ]
    if share > 1:
        lines.append(
            f"The step does not fit into memory: the peak is {share:.2f} times the "
            f"memory of a {device.title}. Use more devices, a smaller batch, "
            "config.training.microbatches or placement=zero1."
        )
    return lines


_BINDS = {
    "operations": "the operations",
    "memory": "the memory bandwidth",
    "links": "the communication",
    "launches": "the kernel launches",
}


def _row(name: str, figure: str, note: str, seconds: float | None = None) -> str:
    line = f"  {name:18} {figure:>12}  {note}"
    return line if seconds is None else f"{line}: {1e3 * seconds:.3g} ms"


def _kinds(exchanged: dict[str, Any]) -> str:
    named = [f"{one.count:g} {kind}s" for kind, one in exchanged.items()]
    return f"in {', '.join(named)}" if named else "nothing"


def _kernels(costs: Costs, device: Accelerator) -> str:
    count = f"{costs.kernels:,.0f}"
    if not device.launch:
        return _row("kernels", count, "without launch cost")
    note = f"at {1e6 * device.launch:g} us each"
    return _row("kernels", count, note, costs.bound.launches)


def _number(value: float, unit: str) -> str:
    """Returns a number with three digits and an SI prefix."""
    for prefix in ("", "k", "M", "G", "T"):
        if abs(value) < 999.5 or prefix == "T":
            break
        value /= 1000
    return f"{value:.3g} {prefix}{unit}"


def _about(experiment: Planned, target: Target, *, seconds: float) -> dict[str, Any]:
    """Returns a description of the program and its target as JSON values."""
    training = experiment.config.training
    accelerator = target.accelerator
    return {
        "topology": str(target),
        "devices": target.devices,
        "published": {
            "title": accelerator.title,
            "memory": accelerator.memory,
            "bandwidth": accelerator.bandwidth,
            "peak": accelerator.peak,
            "peak_float32": accelerator.peak_float32,
            "link": accelerator.link,
        },
        "estimated": {"launch": accelerator.launch},
        "batch_size": training.batch_size,
        "iterations_per_call": experiment.per_call,
        "replicas": len(experiment.seeds),
        "placement": experiment.placement,
        "compute_dtype": training.compute_dtype,
        "compile_seconds": round(seconds, 1),
        "jax": jax.__version__,
    }


def _not_compiled(error: Exception, target: Target, *, log: Log) -> int:
    """Logs that the compiler ran out of memory; raises any other error again."""
    message = str(error)
    if "RESOURCE_EXHAUSTED" not in message:
        raise error
    warn(
        log,
        f"The step does not fit into the memory of a {target.accelerator.title}. "
        f"Compiler message: {' '.join(message.split())[:300]}",
    )
    return 1
