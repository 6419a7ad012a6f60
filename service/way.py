"""How a model is run: what the settings say, else what was tuned for this machine, else a sound default."""

from dataclasses import dataclass
from pathlib import Path

from artifact.device import CPU, available_cpus
from artifact.tuning import Machine, read_tuning
from service.settings import Settings

# Batches gain a CPU little and cost each image the time of its batch-mates; a GPU is idle without them.
_BATCH_CPU, _BATCH_GPU = 4, 32

# How long a thread may keep the interpreter from the others. Python's 5 ms are longer than most answers take: runners
# wait to hand their scores over, and the event loop waits to read the next request.
SWITCH_SECONDS = 0.0001


@dataclass(frozen=True, slots=True)
class Way:
    """Batches at once in this process, cores of each, and images in each at most."""

    runners: int
    threads: int
    max_batch: int


def way_to_run(settings: Settings, folder: Path, provider: str) -> Way:
    """The way to run the model version in a folder on an onnxruntime provider."""
    tuned = read_tuning(folder, Machine.here(provider))
    threads = settings.threads or (tuned.threads if tuned else 1)
    of_machine = tuned.runners if tuned and tuned.threads == threads else available_cpus() // threads
    return Way(
        runners=settings.runners or max(1, of_machine // settings.workers),
        threads=threads,
        max_batch=settings.max_batch or (tuned.max_batch if tuned else _BATCH_CPU if provider == CPU else _BATCH_GPU),
    )
