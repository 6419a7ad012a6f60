"""Whether there is memory for one more model, and that those who go leave theirs behind."""

import ctypes
import os
from pathlib import Path

from artifact.errors import MemoryShort
from service.settings import Settings

_CGROUP_LIMIT = Path("/sys/fs/cgroup/memory.max")
_STATM = Path("/proc/self/statm")

# What a loaded model takes: its weights in the file, in onnxruntime's graph and packed for its kernels; and room for
# what it computes, with batches and golden samples.
_TIMES_FILE, _ASIDE = 3, 32 * 2**20


_M_MMAP_THRESHOLD = -3  # glibc's malloc.h
_LARGE = 2**20


def return_large_blocks() -> None:
    """Let the C library give each block of over 1 MiB back to the system as soon as it is free.

    glibc raises that size by itself to what was freed last, and then holds models that are gone in pieces: 50 reloads
    of a small model under load took 190 MiB. Other C libraries, which have no such call, are left as they are.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt:
        mallopt(_M_MMAP_THRESHOLD, _LARGE)


def check_room(settings: Settings, model: Path, what: str) -> None:
    """Raise MemoryShort where a model, which is not read yet, would bring this process over its limit."""
    model_bytes = model.stat().st_size if model.is_file() else 0
    limit = memory_limit(settings) // settings.workers
    used, needed = _resident(), _TIMES_FILE * model_bytes + _ASIDE
    if limit and used + needed > limit:
        raise MemoryShort(
            f"{what} needs about {needed >> 20} MiB, and {used >> 20} of the {limit >> 20} MiB that this process "
            "may take are taken; give it more memory, or take a label from another version first."
        )


def memory_limit(settings: Settings) -> int:
    """Bytes that the whole service may take, as set, else as the container may; 0 where nobody says."""
    return settings.memory_bytes or _cgroup_limit()


def _cgroup_limit() -> int:
    text = _CGROUP_LIMIT.read_text().strip() if _CGROUP_LIMIT.is_file() else ""
    return int(text) if text.isdigit() else 0


def _resident() -> int:
    """Bytes that this process alone takes, without libraries; 0 where the system does not tell, as outside Linux."""
    if not _STATM.is_file():
        return 0
    _, resident, shared, *_ = map(int, _STATM.read_text().split())
    return (resident - shared) * os.sysconf("SC_PAGE_SIZE")
