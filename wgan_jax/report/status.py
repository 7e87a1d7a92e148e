"""What a run was doing when its report was written."""

import time
from dataclasses import dataclass

from wgan_jax.report.run import Run

# A heartbeat that is older belongs to a run that was killed, or hangs.
_SILENT_SECONDS = 1_800.0
_ENDED = {"done": "Finished", "interrupted": "Interrupted", "failed": "Failed"}
_GOING_ON = ("training", "evaluation")


@dataclass(frozen=True)
class Status:
    """Status of a run.

    Attributes:
        word: one word, such as ``Finished``; ``Unknown`` for older runs.
        detail: what else is known, in words; may be empty.
        running: whether the run goes on.
    """

    word: str
    detail: str
    running: bool = False


def status_of(run: Run) -> Status:
    """Returns the status of a run by its last heartbeat.

    Args:
        run: a run.
    """
    stage, beat = run.heartbeat.get("stage"), run.heartbeat.get("time")
    if not isinstance(beat, int | float):
        return Status("Unknown", "")
    at = f"{time.strftime('%Y-%m-%d %H:%M', time.gmtime(beat))} UTC"
    if stage in _GOING_ON:
        if time.time() - beat > _SILENT_SECONDS:
            return Status("Silent", f"no sign of the process since {at}")
        return Status("Running", f"as of {at}", running=True)
    error = run.heartbeat.get("error")
    detail = f"{at}: {error}" if isinstance(error, str) and error else at
    return Status(_ENDED.get(str(stage), "Unknown"), detail)
