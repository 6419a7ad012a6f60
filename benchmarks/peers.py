"""Other servers and Hangtag side by side: the same network, the same images, rounds that take turns; prints ratios."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory, gettempdir
from typing import Any, Literal

from pydantic import Field

from artifact.command import Options
from artifact.errors import DataError
from artifact.repository import Repository
from benchmarks import overhead
from benchmarks.peer_model import publish
from benchmarks.serving import serve_command, serving

OURS = "hangtag"
Workload = Literal["photo", "tiny"]
_TYPES: dict[Workload, str] = {"photo": "image/jpeg", "tiny": "image/png"}
_SERVER = """
[[server]]
name = "{name}"
cmd = [{command}]
ready = "/health/ready"
request = {{ kind = "raw", path = "/v1/models/{workload}/classify", content_type = "{content_type}" }}
expect = "score"
"""


class PeersOptions(Options):
    """Measure Hangtag beside other servers, on the machine at hand, and print the ratios.

    The harness that starts and loads them is a folder with `run.py`, `models/` and, once its set-up ran, all peers.

    Example: hangtag bench peers --harness ../shared/bench --workload photo --servers kserve,triton
    """

    harness: Path = Field(Path("../shared/bench"), description="the folder of the harness")
    workload: Workload = Field("photo", description="photo: MobileNetV2 0.5 at 160 pixels; tiny: a 28 x 28 network")
    servers: str = Field("kserve,triton,bentoml", description="the peers, as the harness names them")
    workers: str = Field("1", description="processes of ours; each number is a server of its own")
    rounds: int = Field(5, ge=1, description="how often the servers take turns")
    seconds: float = Field(2.5, gt=0, description="how long each load lasts")
    out: Path = Field(Path("peers.json"), description="where what was measured is kept")


def run(arguments: Sequence[str]) -> int:
    """Measure, and print both sides and the ratios."""
    options = PeersOptions.parse("bench peers", arguments)
    harness = options.harness.resolve() / "run.py"
    if not harness.is_file():
        raise DataError(f"{harness} is not there; name the folder of the harness by --harness.")
    options.out.unlink(missing_ok=True)  # the harness would add to what was measured before
    with TemporaryDirectory() as folder:
        models = Repository(Path(folder))
        publish(harness.parent / "models" / f"{options.workload}.onnx", options.workload, models)
        extra = Path(folder) / "hangtag.toml"
        ours = {OURS + ("" if count == "1" else f"-{count}"): count for count in options.workers.split(",")}
        extra.write_text("".join(_server(name, options.workload, models.root, count) for name, count in ours.items()))
        common = ["--workload", options.workload, "--rounds", str(options.rounds), "--out", str(options.out.resolve())]
        _call(harness, "ceiling", *common, "--seconds", "1")
        servers = ["--extra", str(extra), "--servers", f"{','.join(ours)},{options.servers}"]
        _call(harness, "perf", *common, *servers, "--seconds", str(options.seconds), "--open", "0.8", "--append")
        alone = _alone(models, options.workload)
    print("\n".join([*table(json.loads(options.out.read_text()), options.workload), alone]))
    return 0


def _server(name: str, workload: Workload, models: Path, workers: str) -> str:
    """Ourselves, as the harness describes a server."""
    return _SERVER.format(
        name=name,
        command=", ".join(json.dumps(word) for word in serve_command(models, "{port}", "--workers", workers)),
        workload=workload,
        content_type=_TYPES[workload],
    )


def _alone(models: Repository, workload: Workload) -> str:
    """One client at a time, and decode and bare onnxruntime in this process, on the harness's own images."""
    home = Path(os.environ.get("BENCH_HOME", Path(gettempdir()) / "bench"))
    images = [file.read_bytes() for file in sorted((home / f"images-{workload}").iterdir())]
    with serving(models.root) as ours:
        times = overhead.measure(models.open(workload, "1"), ours.url, images, rounds=20, requests=len(images))
    bare, served = (median(times[name]) * 1e3 for name in ("bare", "served"))
    return f"one client, p50 over decode and bare run:    {served / bare:.2f} ({served:.2f} ms over {bare:.2f} ms)"


def _call(harness: Path, *arguments: str) -> None:
    subprocess.run([sys.executable, str(harness), *arguments], check=True)  # noqa: S603 - the harness that was named


def table(measured: dict[str, Any], workload: str) -> list[str]:
    """The lines of the comparison: each server, and then ours over the best of the others, medians of the rounds."""
    runs = [run for run in measured["runs"] if run["workload"] == workload and not run.get("failed")]
    servers = {run["server"]: _Server([each for each in runs if each["server"] == run["server"]]) for run in runs}
    lines = [
        f"{'server':10} {'c1':>7} {'c8':>7} {'c32':>7} {'c128':>7}  p50 at c1  p99 at c128  p99 at 80 %  MB  s to first"
    ]
    lines += [f"{name:10} {server}" for name, server in servers.items()]
    ours = {name: server for name, server in servers.items() if name.startswith(OURS)}
    peers = [server for name, server in servers.items() if name not in ours]
    best, calmest = max(peer.peak for peer in peers), min(peer.open_p99 for peer in peers)
    whole = {name: rate for name, rate in measured["ceiling"][workload]["median"].items() if name.startswith("whole")}
    ceilings = {
        decoder: max(rate for name, rate in whole.items() if decoder in name)
        for decoder in ("pillow draft", "simplejpeg", "opencv")
        if any(decoder in name for name in whole)
    }
    for name, server in ours.items():
        c32, c128 = server.closed("32", "rps"), server.closed("128", "rps")
        lines += [
            f"{name}:",
            f"  at 32 clients over the best peer's peak:    {c32 / best:.2f}",
            *(f"  at 32 clients over the ceiling, {each}: {c32 / rate:.2f}" for each, rate in ceilings.items()),
            f"  p99 at 80 % of the peak over the least of a peer: {server.open_p99 / calmest:.2f}",
            f"  at 128 clients over its own peak:           {c128 / server.peak:.2f}",
            f"  p99 at 128 clients over 128 / rate:         {server.closed('128', 'p99') / (128e3 / c128):.2f}",
        ]
    return lines


class _Server:
    """What was measured of one server."""

    def __init__(self, runs: list[dict[str, Any]]) -> None:
        self._runs = runs
        self.peak = max(self.closed(clients, "rps") for clients in runs[0]["closed"])
        self.open_p99 = median(run["open"]["0.8"]["p99"] for run in runs)

    def closed(self, clients: str, what: str) -> float:
        """The median over the rounds with so many clients."""
        return float(median(run["closed"][clients][what] for run in self._runs))

    def __str__(self) -> str:
        rates = " ".join(f"{self.closed(clients, 'rps'):7.0f}" for clients in ("1", "8", "32", "128"))
        memory = median(run["rss_peak"] for run in self._runs) / 2**20
        return (
            f"{rates} {self.closed('1', 'p50'):10.1f} {self.closed('128', 'p99'):12.0f} {self.open_p99:12.0f} "
            f"{memory:4.0f} {median(run['ready_s'] for run in self._runs):6.1f}"
        )
