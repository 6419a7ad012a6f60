"""How a model runs best on one kind of machine, as `hangtag tune` measured it; a small file beside the model."""

import platform
from datetime import datetime
from pathlib import Path
from typing import Self

import onnxruntime as ort
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from artifact.device import available_cpus

TUNING_FILE = "tuning.json"


class Machine(BaseModel):
    """What decides how fast a model runs: tuned figures are of use only where all of it is the same."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    processor: str
    cores: int = Field(ge=1)
    provider: str
    onnxruntime: str

    @classmethod
    def here(cls, provider: str) -> Self:
        """The machine at hand, with the onnxruntime provider that a session gets."""
        return cls(processor=_processor(), cores=available_cpus(), provider=provider, onnxruntime=ort.__version__)


class Measured(BaseModel):
    """One way to run a model, and how it did under a closed loop of callers that kept all runners busy."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    runners: int = Field(ge=1)
    threads: int = Field(ge=1)
    max_batch: int = Field(ge=1)
    images_per_second: float
    p50_ms: float
    p99_ms: float


class Tuning(BaseModel):
    """The way that was chosen, and all that were measured."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    machine: Machine
    created: datetime
    chosen: Measured
    measured: list[Measured]

    def write(self, folder: Path) -> Path:
        """Put the file beside the model, in one step."""
        path = folder / TUNING_FILE
        new = path.with_suffix(".new")
        new.write_text(self.model_dump_json(indent=2) + "\n", encoding="utf-8")
        new.replace(path)
        return path


def read_tuning(folder: Path, machine: Machine) -> Measured | None:
    """What was chosen for this machine; None where nothing was, or nothing that can be understood."""
    try:
        tuning = Tuning.model_validate_json((folder / TUNING_FILE).read_bytes())
    except (OSError, ValidationError):
        return None
    return tuning.chosen if tuning.machine == machine else None


def _processor() -> str:
    """The processor's name, as Linux tells it, else its architecture."""
    cpu_info = Path("/proc/cpuinfo")
    lines = cpu_info.read_text(encoding="utf-8", errors="replace").splitlines() if cpu_info.is_file() else []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.machine())
