"""How a model is run: what the settings say, else what was tuned for this machine, else a sound default."""

from dataclasses import dataclass
from pathlib import Path

from artifact.device import CPU, available_cpus, usual_batch
from artifact.tuning import Machine, read_tuning
from service.settings import Settings

# Batches gain a CPU little, so there a photo goes by itself while more urgent ones come, which would wait for its
# batch-mates, too.
_BESIDE_CPU = 1

# How long a thread may keep the interpreter from the others. Python's 5 ms are longer than most answers take: runners
# wait to hand their scores over, and the event loop waits to read the next request.
SWITCH_SECONDS = 0.0001


@dataclass(frozen=True, slots=True)
class Way:
    """Batches at once in this process, cores of each, and images in each at most, and beside more urgent ones.

    Of the batches, `background` ones may be of those that nobody waits for, while others come.
    """

    runners: int
    threads: int
    max_batch: int
    max_beside: int
    background: int


def way_to_run(settings: Settings, folder: Path, provider: str) -> Way:
    """The way to run the model version in a folder on an onnxruntime provider."""
    tuned = read_tuning(folder, Machine.here(provider))
    threads = settings.threads or (tuned.threads if tuned else 1)
    of_machine = tuned.runners if tuned and tuned.threads == threads else available_cpus() // threads
    runners = settings.runners or max(1, of_machine // settings.workers)
    max_batch = settings.max_batch or (tuned.max_batch if tuned else usual_batch(provider))
    if provider == CPU:
        return Way(runners, threads, max_batch, _BESIDE_CPU, background=max(1, runners - 1))
    return Way(runners, threads, max_batch, max_beside=max_batch, background=runners)
