"""Where models run: the cores that may be used, the onnxruntime providers of a device, and how a GPU is used."""

from pathlib import Path
from typing import Literal

import onnxruntime as ort
from loky.backend.context import cpu_count

from artifact.errors import ProviderUnavailable

Device = Literal["cpu", "cuda", "auto"]

CPU, CUDA = "CPUExecutionProvider", "CUDAExecutionProvider"

# Larger batches gain a CPU little and cost each image the time of its batch-mates; a GPU is idle without them.
_BATCH_CPU, _BATCH_GPU = 4, 32

_CUDA_OPTIONS = {
    # The default tries every algorithm for each convolution and batch size, for seconds, when it first meets it.
    "cudnn_conv_algo_search": "HEURISTIC",
    # The default doubles what it takes, which other models on the same GPU may need.
    "arena_extend_strategy": "kSameAsRequested",
}


def available_cpus() -> int:
    """How many cores this process may use: the least of machine, CPU affinity and cgroup quota, at least 1."""
    return int(cpu_count())


def has_vnni(cpu_info: Path = Path("/proc/cpuinfo")) -> bool:
    """Whether the processor is known to sum 8-bit products without overflow; only Linux tells."""
    return cpu_info.is_file() and "vnni" in cpu_info.read_text(encoding="utf-8", errors="replace")


def best_provider(device: Device, available: list[str] | None = None) -> str:
    """The onnxruntime provider that a session on the device should get; raises ProviderUnavailable."""
    offered = ort.get_available_providers() if available is None else available
    if device == "cuda" and CUDA not in offered:
        raise ProviderUnavailable(
            f"This onnxruntime cannot use CUDA (it offers {', '.join(offered)}); "
            "install onnxruntime-gpu, or choose the device cpu or auto."
        )
    return CUDA if device != "cpu" and CUDA in offered else CPU


def providers(best: str, gpu_memory: int = 0) -> list[tuple[str, dict[str, str]]]:
    """The providers that a session tries, with their options; `gpu_memory` bytes of a GPU at most, 0 for no limit."""
    if best == CPU:
        return [(CPU, {})]
    limit = {"gpu_mem_limit": str(gpu_memory)} if gpu_memory else {}
    return [(CUDA, _CUDA_OPTIONS | limit), (CPU, {})]


def usual_batch(provider: str) -> int:
    """How many images one run has at most on a provider, where nobody has measured what is best."""
    return _BATCH_CPU if provider == CPU else _BATCH_GPU


def batch_sizes(provider: str, max_batch: int) -> tuple[int, ...]:
    """The only sizes of batch that a provider is to meet, ascending; none where it may meet any.

    A GPU plans memory and algorithms anew for each size that it meets, so it meets few: powers of two, and the largest.
    """
    if provider == CPU:
        return ()
    return (*(2**power for power in range((max_batch - 1).bit_length())), max_batch)
