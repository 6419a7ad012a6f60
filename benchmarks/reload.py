"""What a roll-out costs those who ask meanwhile: versions that take turns under load, tails and memory."""

import asyncio
import http.client
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit

import uvloop
from pydantic import Field
from pydantic_settings import CliPositionalArg

from artifact.command import Options
from artifact.errors import HangtagError
from artifact.repository import Repository
from artifact.rollout import Rollout
from artifact.tuning import TUNING_FILE
from benchmarks.client import Seen, Target, closed_loop, open_loop
from benchmarks.serving import Served, serving
from service.keys.file import KeysFile
from service.keys.key import make

MOST_P99, MOST_MEMORY, LOAD = 1.5, 1.05, 0.8
SETTLED = 6  # reloads, an even number as all are, so that memory is compared with the same version loaded

_CLIENTS, _WAIT_SECONDS = 32, 30


class ReloadOptions(Options):
    """Reload two versions of a model by turns, under load, and print what requests and memory had of it.

    Example: hangtag bench reload closet --first 3 --second 4
    """

    model: CliPositionalArg[str] = Field(description="name of the model")
    first: str = Field(description="a version")
    second: str = Field(description="another version")
    models: Path = Field(Path("models"), description="the model repository")
    reloads: int = Field(50, ge=SETTLED, multiple_of=2, description="how often the stable version changes")
    seconds: float = Field(1.5, gt=0, description="from one reload to the next")
    warm_seconds: float = Field(20, gt=0, description="how long the load lasts before the first reload")
    load: float = Field(LOAD, gt=0, lt=1, description="arrivals, as a share of the highest rate of the slower version")


@dataclass
class Found:
    """What was seen: the load before and during the reloads, memory after each, and how long each took."""

    before: Seen
    during: Seen = field(default_factory=Seen)
    memory: list[int] = field(default_factory=list)
    took: list[float] = field(default_factory=list)


def run(arguments: Sequence[str]) -> int:
    """Measure; returns 0 when no request failed, and tail and memory stay within what is claimed, else 1."""
    options = ReloadOptions.parse("bench reload", arguments)
    images = [*Repository(options.models).open(options.model, options.first).golden.images]
    with TemporaryDirectory() as folder:
        home = Path(folder) / "models" / options.model
        for version in (options.first, options.second):
            source = options.models / options.model / version
            shutil.copytree(source, home / version, ignore=shutil.ignore_patterns(TUNING_FILE))
        Rollout(stable=options.first).write(home)
        keys = Path(folder) / "keys.json"
        kept, key = make("bench", ("admin",))
        KeysFile(keys=(kept,)).write(keys)
        with serving(home.parent, ["--cache-bytes", "0", "--keys", str(keys), "--anonymous"]) as service:
            target = Target.of(f"{service.url}/v1/models/{options.model}/classify", images)
            found = uvloop.run(_measure(options, _Operator(home, service, key), target))
    return _report(found)


async def _measure(options: ReloadOptions, operator: "_Operator", target: Target) -> Found:
    peaks = []
    for version in (options.second, options.first):  # from each to the other once, so that both are warm
        await asyncio.to_thread(operator.bring, version)
        peaks.append((await closed_loop(target, _CLIENTS, options.warm_seconds / 4)).rate)
    rate = options.load * min(peaks)
    print(f"highest rates {peaks[1]:.0f} and {peaks[0]:.0f} requests/s; {rate:.0f}/s from now on", flush=True)
    found = Found(await open_loop(target, rate, options.warm_seconds))
    load = asyncio.create_task(open_loop(target, rate, options.seconds * (options.reloads + 1)))
    for number in range(options.reloads):
        due = time.monotonic() + options.seconds
        version = (options.second, options.first)[number % 2]
        found.took.append(await asyncio.to_thread(operator.bring, version))
        found.memory.append(operator.service.resident_bytes())
        await asyncio.sleep(due - time.monotonic())
    if load.done():
        raise HangtagError("The last reloads met no load; leave more time between them by --seconds.")
    found.during = await load
    return found


@dataclass(frozen=True)
class _Operator:
    """Who rolls out the versions of a model in `home`, with a key of the service."""

    home: Path
    service: Served
    key: str

    def bring(self, version: str) -> float:
        """Make a version the stable one, and give the seconds until it answers."""
        started = time.monotonic()
        Rollout(stable=version).write(self.home)
        connection = http.client.HTTPConnection(urlsplit(self.service.url).netloc, timeout=_WAIT_SECONDS)
        connection.request("POST", "/v1/admin/reload", headers={"Authorization": f"Bearer {self.key}"})
        response = connection.getresponse()
        body = response.read().decode()
        connection.close()
        if response.status != http.client.OK:
            raise HangtagError(f"The reload ended with {response.status}: {body}")
        return time.monotonic() - started


def _report(found: Found) -> int:
    """Print the figures beside what is claimed; returns 0 when all of it holds."""
    before, during = _p99(found.before), _p99(found.during)
    settled, last = found.memory[SETTLED - 1], found.memory[-1]
    failed = sum(found.during.others.values())
    print(f"{len(found.took)} reloads, {max(found.took):.2f} s at most each")
    print(f"requests: {len(found.during.latencies)} answered, {failed} failed {dict(found.during.others) or ''}")
    print(f"p99 {before:.1f} ms before, {during:.1f} ms during: {during / before:.2f} (claimed: at most {MOST_P99})")
    print(
        f"memory {settled / 2**20:.0f} MiB after {SETTLED} reloads, {last / 2**20:.0f} after all: "
        f"{last / settled:.3f} (claimed: at most {MOST_MEMORY})"
    )
    return 0 if not failed and during <= MOST_P99 * before and last <= MOST_MEMORY * settled else 1


def _p99(seen: Seen) -> float:
    """In milliseconds."""
    return sorted(seen.latencies)[int(0.99 * len(seen.latencies))] * 1e3
