"""What a run came from: its code, its photos, and the machine and libraries that it ran on."""

import platform
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from artifact.device import available_cpus
from training.metrics import Hardware

_LIBRARIES = ("keras", "tensorflow-cpu", "tensorflow", "jax", "numpy", "pillow")


@dataclass(frozen=True)
class Origin:
    """All that a report says of a run which its findings do not know."""

    revision: str
    source: str
    licence: str
    skipped: tuple[str, ...]
    """The photos that could not be read, each with the reason."""
    hardware: Hardware
    tools: dict[str, str]


def hardware() -> Hardware:
    """The machine that this process runs on."""
    return Hardware(machine=platform.machine(), processor=_processor(), cpus=available_cpus(), system=platform.system())


def tools() -> dict[str, str]:
    """The versions of Python and of the libraries that took part, as far as they are installed."""
    return {"python": platform.python_version()} | {
        library: found for library in _LIBRARIES if (found := _version(library)) is not None
    }


def _version(library: str) -> str | None:
    try:
        return version(library)
    except ModuleNotFoundError:
        return None


def _processor() -> str:
    """What the processor calls itself; Python knows that on some systems only."""
    information = Path("/proc/cpuinfo")
    lines = information.read_text(encoding="utf-8").splitlines() if information.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or "unknown"
