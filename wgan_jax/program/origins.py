"""``--fork`` and ``--init``: which earlier run a new run starts from."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wgan_jax.errors import ConfigError, WorkdirError
from wgan_jax.program.restoring import check_choice
from wgan_jax.program.workdir import Workdir


@dataclass(frozen=True, kw_only=True)
class Origin:
    """Where a new run starts.

    Attributes:
        kind: ``fork`` for the whole state, ``init`` for weights at iteration 0.
        source: folder of a run; for ``init``, also a trained generator.
        checkpoint: ``latest``, ``best`` or an iteration, of a run.
        weights: ``ema`` or ``live``, of the run's generator for ``init``.
    """

    kind: str
    source: str
    checkpoint: str = "latest"
    weights: str | None = None

    @property
    def flag(self) -> str:
        """The flag as it is typed."""
        return f"--{self.kind}={self.source}"

    @property
    def is_run(self) -> bool:
        """Whether the source is the folder of a run."""
        return self.kind == "fork" or (Path(self.source) / "config.json").is_file()


def asked_origin(
    *,
    fork: str | None,
    init: str | None,
    checkpoint: str | None,
    weights: str | None,
) -> Origin | None:
    """Returns the origin that flags ask for; None without ``--fork`` and ``--init``.

    Args:
        fork: folder of a run.
        init: folder of a run, name of a trained generator, exported folder, or
            file of weights.
        checkpoint: ``latest``, ``best`` or an iteration, of a run.
        weights: ``ema`` or ``live``, for ``init`` from a run.

    Raises:
        ConfigError: if the flags contradict each other.
    """
    if fork is not None and init is not None:
        raise ConfigError("--fork and --init cannot be combined.")
    source = init if fork is None else fork
    for name, value in (("checkpoint", checkpoint), ("weights", weights)):
        if value is not None and source is None:
            raise ConfigError(
                f"--{name} needs --fork or --init in --mode=train; a run resumes from "
                "its latest checkpoint."
            )
    if source is None:
        return None
    if fork is not None and weights is not None:
        raise ConfigError("--weights and --fork cannot be combined; a fork has both.")
    check_choice(checkpoint or "latest")
    path = Path(source)
    kind = "init" if fork is None else "fork"
    found = Origin(
        kind=kind,
        source=str(path.absolute()) if path.exists() or fork is not None else source,
        checkpoint=checkpoint or "latest",
        weights=weights,
    )
    for name, value in (("checkpoint", checkpoint), ("weights", weights)):
        if value is not None and not found.is_run:
            raise ConfigError(
                f"--{name} is not read by --init={init}, which is not a run."
            )
    return found


def settled_origin(workdir: Workdir, asked: Origin | None) -> Origin | None:
    """Returns the origin of a run: the recorded one, if the run has started.

    Args:
        workdir: folder of the run.
        asked: origin that the flags ask for.

    Raises:
        WorkdirError: if the run has another origin.
    """
    if asked is not None and asked.is_run and Path(asked.source) == workdir.path:
        raise WorkdirError(
            f"{asked.flag} is also --workdir. Use a new folder as --workdir; the run "
            "that it starts from is not changed."
        )
    if not workdir.config.exists():
        return asked
    known = workdir.record().get("origin")
    if asked is not None and not _is_recorded(asked, known):
        began = "at iteration 0"
        if known is not None:
            began = f"from {known['source']}, iteration {known['step']}"
        raise WorkdirError(
            f"{workdir.path} has a run that started {began}, and not by {asked.flag}. "
            "Use another --workdir, or omit the flag to resume that run."
        )
    if known is None:
        return None
    fields = ("kind", "source", "checkpoint", "weights")
    return Origin(**{name: known[name] for name in fields})


def _is_recorded(asked: Origin, known: Mapping[str, Any] | None) -> bool:
    if known is None or (asked.kind, asked.source) != (known["kind"], known["source"]):
        return False
    exact = asked.checkpoint.isdecimal()
    same = not exact or int(asked.checkpoint) == known["step"]
    return same and asked.weights in (None, known["weights"])


def check_unchanged(record: Mapping[str, Any], workdir: Workdir) -> None:
    """Raises WorkdirError if the origin has changed since the run was started.

    Args:
        record: facts about the origin as it is now.
        workdir: folder of the run.
    """
    if not workdir.config.exists():
        return
    known = workdir.record().get("origin")
    if known is not None and known["crc32"] != record["crc32"]:
        raise WorkdirError(
            f"{known['source']} has changed since {workdir.path} was started from it. "
            "Use another --workdir."
        )


def in_words(record: Mapping[str, Any]) -> str:
    """Returns where a run started, as one line.

    Args:
        record: ``Start.record``.
    """
    step = f", iteration {record['step']}" if record["step"] is not None else ""
    weights = f" ({record['weights']} weights)" if record["weights"] else ""
    what = "Forked from" if record["kind"] == "fork" else "Initialized from"
    changes = "; ".join(record["differences"]) or "no field"
    changed = f"; changed: {changes}" if record["kind"] == "fork" else ""
    if record["kind"] == "fork" and record["renewed"]:
        changed += f"; new: {', '.join(record['renewed'])}"
    return f"{what} {record['source']}{step}{weights}{changed}."
