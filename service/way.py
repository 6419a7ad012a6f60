"""How a model is run: what the settings say, else what was tuned for this machine, else a sound default."""

from dataclasses import dataclass
from pathlib import Path

from artifact.device import CPU, available_cpus, best_provider
from artifact.tuning import Machine, read_tuning
from service.settings import Settings

# Batches gain a CPU little and cost each image the time of its batch-mates; a GPU is idle without them.
_BATCH_CPU, _BATCH_GPU = 4, 32


@dataclass(frozen=True, slots=True)
class Way:
    """Batches at once in this process, cores of each, and images in each at most."""

    runners: int
    threads: int
    max_batch: int


def way_to_run(settings: Settings, folder: Path) -> Way:
    """The way to run the model version in a folder; raises ProviderUnavailable."""
    provider = best_provider(settings.device)
    tuned = read_tuning(folder, Machine.here(provider))
    threads = settings.threads or (tuned.threads if tuned else 1)
    of_machine = tuned.runners if tuned else available_cpus() // threads
    return Way(
        runners=settings.runners or max(1, of_machine // settings.workers),
        threads=threads,
        max_batch=settings.max_batch or (tuned.max_batch if tuned else _BATCH_CPU if provider == CPU else _BATCH_GPU),
    )
