"""A service of ours, started for a measurement and stopped after it."""

import http.client
import os
import socket
import subprocess
import sys
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import hangtag
from artifact.errors import HangtagError

_START_SECONDS = 60


def serve_command(models: Path, port: str, *options: str) -> list[str]:
    """How to start it: nothing is known from before, and nothing but warnings is logged."""
    command = [sys.executable, str(Path(hangtag.__file__).resolve()), "serve", "--models", str(models), "--port", port]
    return [*command, "--cache-bytes", "0", "--drain-seconds", "0", "--log-level", "warning", *options]


@dataclass(frozen=True)
class Served:
    """A running service."""

    url: str
    pid: int

    def cpu_seconds(self) -> float:
        """How much of a core it has used until now, in all its threads; Linux only."""
        used = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(used[11]) + int(used[12])) / os.sysconf("SC_CLK_TCK")  # in user and in system mode

    def resident_bytes(self) -> int:
        """How much memory it has now; Linux only."""
        return int(Path(f"/proc/{self.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@contextmanager
def serving(models: Path, options: Sequence[str] = (), cores: Collection[int] = ()) -> Iterator[Served]:
    """Serve a repository, on certain cores or all, while the context lasts, from when every model answers.

    Raises HangtagError when that takes too long.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = serve_command(models, str(port), *options)
    process = subprocess.Popen(command, process_group=0)  # noqa: S603 - ourselves; Ctrl-C is for who measures
    if cores:
        os.sched_setaffinity(process.pid, cores)
    try:
        _wait_until_ready(process, port)
        yield Served(f"http://127.0.0.1:{port}", process.pid)
    finally:
        process.terminate()
        process.wait()


def _wait_until_ready(process: "subprocess.Popen[bytes]", port: int) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        asking = closing(http.client.HTTPConnection("127.0.0.1", port, timeout=_START_SECONDS))
        with suppress(OSError), asking as connection:
            connection.request("GET", "/health/ready")
            if connection.getresponse().status == http.client.OK:
                return
        time.sleep(0.02)
    raise HangtagError("The service that was to be measured did not get ready; its log stands above.")
