"""Hours of everything at once: clients of every kind, reloads, and what the service holds whenever it is at rest."""

import asyncio
import shutil
import signal
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from itertools import cycle
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from time import monotonic

import httpx
import uvloop
from pydantic import Field
from tqdm import tqdm

from artifact.card import ModelCard
from artifact.command import Options
from artifact.repository import Repository
from artifact.rollout import Rollout
from artifact.tuning import TUNING_FILE
from benchmarks.finding import Finding, report
from benchmarks.mixture import Ask, Mixture
from benchmarks.rests import Rest, Rests, findings
from benchmarks.serving import Served, serving
from service.keys.file import KeysFile
from service.keys.key import make

_LOST = 0  # the status of a request that got no answer
_TIMEOUT = 60  # seconds
# Scores are kept in so little that it is full at once; so few have a place that some find none.
_SERVICE = ("--anonymous", "--cache-bytes", "65536", "--max-items", "32", "--log-level", "error")
_SHOWN = 10  # surprises that are printed one by one
_MIB = 2**20
_BAR = "{desc}: {n:.0f} of {total:.0f} s [{bar}] {postfix}"


class SoakOptions(Options):
    """Ask a service everything there is to ask, good and bad, while versions come and go, and look for leaks.

    The load comes in rounds. In each, one model gets a canary, a shadow or another stable version, and then what it had
    before. After each, all clients leave, and memory, files, threads and gauges are noted. Ctrl-C ends it early.

    Example: hangtag bench soak --seconds 3600 --rate 100 --csv soak.csv --plot soak.svg
    """

    models: Path = Field(Path("models"), description="the model repository; a copy of it is served")
    seconds: float = Field(1800, gt=0, description="how long it takes, after the service has started")
    round_seconds: float = Field(10, gt=0, description="how long the load lasts between two rests")
    rate: float = Field(50, gt=0, description="requests a second, at most")
    clients: int = Field(16, ge=1, le=256, description="requests at the same time, at most")
    megapixels: float = Field(35, gt=0, description="size of the largest picture")
    workers: int = Field(1, ge=1, description="processes of the service")
    seed: int = Field(0, description="decides what is asked, and in which order")
    csv: Path | None = Field(None, description="note there what was held at each rest")
    plot: Path | None = Field(None, description="draw that there, as a picture (.png or .svg)")


def run(arguments: Sequence[str]) -> int:
    """Soak; returns 0 when all was answered as it should be and nothing grows, else 1."""
    options = SoakOptions.parse("bench soak", arguments)
    kept, key = make("soak", ("admin",))
    with TemporaryDirectory() as folder:
        models, keys = Path(folder) / "models", Path(folder) / "keys.json"
        shutil.copytree(options.models, models, ignore=shutil.ignore_patterns(TUNING_FILE))
        KeysFile(keys=(kept,)).write(keys)
        with serving(models, [*_SERVICE, "--keys", str(keys), "--workers", str(options.workers)]) as served:
            soak = Soak(options, Repository(models), served, key)
            is_whole = uvloop.run(soak.run())
    code = soak.report()
    if options.plot:
        _draw(soak.rests.seen, options.plot)
    if not is_whole:
        raise KeyboardInterrupt
    return code


class Soak:
    """One soak of one service: `rests` is what was held between the rounds, `surprises` what was not to be answered."""

    def __init__(self, options: SoakOptions, repository: Repository, service: Served, key: str) -> None:
        self._options = options
        self._key = key
        self._repository = repository
        self._service = service
        self._random = Random(options.seed)  # noqa: S311 - no secret
        cards = [_newest(repository, name) for name in repository.names()]
        self._mixture = Mixture(cards, round(options.megapixels * 1e6), options.seed)
        self._reloaded = cycle(name for name in repository.names() if len(repository.versions(name)) > 1)
        self._stopped = asyncio.Event()
        self.rests = Rests(service, options.csv)
        self.statuses: Counter[int] = Counter()
        self.surprises: Counter[str] = Counter()

    async def run(self) -> bool:
        """Ask and rest by turns until the time is over; returns False when Ctrl-C ended it before."""
        asyncio.get_running_loop().add_signal_handler(signal.SIGINT, self._stopped.set)
        await self._warm_up()
        end = monotonic() + self._options.seconds
        with tqdm(desc="soaking", total=self._options.seconds, unit="s", bar_format=_BAR) as progress:
            while monotonic() < end and not self._stopped.is_set():
                await self._round()
                rest = self.rests.look(self.statuses.total())
                progress.set_postfix_str(f"{rest.asked} answers, {rest.memory / _MIB:.1f} MiB, {rest.files} files")
                progress.update(min(rest.seconds, self._options.seconds) - progress.n)
        return not self._stopped.is_set()

    async def _warm_up(self) -> None:
        """Ask everything there is to ask once, so that what is taken for it is not taken for a leak."""
        todo = self._mixture.everything()

        async def ask(client: httpx.AsyncClient) -> None:
            for each in todo:
                await self._send(client, each)

        async with self._client() as client, asyncio.TaskGroup() as group:
            for _ in range(self._options.clients):
                group.create_task(ask(client))

    def _client(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(base_url=self._service.url, timeout=_TIMEOUT)

    async def _round(self) -> None:
        """Let all clients ask for a while, over connections that end with the round."""
        end = monotonic() + self._options.round_seconds
        async with self._client() as client, asyncio.TaskGroup() as group:
            group.create_task(self._try_versions(client))
            for _ in range(self._options.clients):
                group.create_task(self._ask(client, end))

    async def _ask(self, client: httpx.AsyncClient, end: float) -> None:
        """What one client does."""
        while monotonic() < end and not self._stopped.is_set():
            ask = self._mixture.draw()
            if ask.cut is None:
                await self._send(client, ask)
            else:
                await self._hang_up(ask, ask.cut)
            await asyncio.sleep(self._random.expovariate(self._options.rate / self._options.clients))

    async def _send(self, client: httpx.AsyncClient, ask: Ask) -> None:
        """Ask, and hold the status against those that there may be."""
        try:
            response = await client.request(
                "GET" if ask.body is None else "POST", ask.path, content=ask.body, headers=ask.headers
            )
            status, said = response.status_code, response.text
        except httpx.HTTPError as error:
            status, said = _LOST, repr(error)
        self.statuses[status] += 1
        if status not in ask.statuses:
            self.surprises[f"{ask.name}: {status or 'lost'}"] += 1
            if self.surprises.total() <= _SHOWN:
                tqdm.write(f"{ask.name}, {ask.path}: {status or 'lost'}, {said[:200]}")

    async def _hang_up(self, ask: Ask, cut: int) -> None:
        """Send so much of a request and leave, without waiting for anything, or shortly before or after the answer."""
        address = httpx.URL(self._service.url)
        _, writer = await asyncio.open_connection(address.host, address.port)
        body = ask.body or b""
        head = f"POST {ask.path} HTTP/1.1\r\nHost: {address.host}\r\nContent-Length: {len(body)}\r\n\r\n"
        writer.write((head.encode() + body)[:cut])
        await asyncio.sleep(self._random.choice((0, 0.001, 0.01)))
        writer.transport.abort()

    async def _try_versions(self, client: httpx.AsyncClient) -> None:
        """Give one model other labels, and soon those that it had; none where no model has two versions."""
        name = next(self._reloaded, None)
        if name is None:
            return
        folder = self._repository.root / name
        *older, newest = self._repository.versions(name)
        other = self._random.choice(older)
        tried = self._random.choice(
            (
                Rollout(canary=other, canary_share=0.5),
                Rollout(shadow=other, shadow_share=0.5),
                Rollout(stable=other, previous=newest),
            )
        )
        headers = {"Authorization": f"Bearer {self._key}"}
        for labels in (tried, Rollout()):
            labels.write(folder)
            await self._send(client, Ask("reload", "/v1/admin/reload", b"", headers, frozenset((200,))))
            with suppress(TimeoutError):
                async with asyncio.timeout(self._options.round_seconds / 3):
                    await self._stopped.wait()

    def report(self) -> int:
        """Print what was seen beside what is claimed; returns 0 when all of it holds, else 1."""
        answers = "  ".join(f"{status or 'lost'}: {count}" for status, count in sorted(self.statuses.items()))
        surprises = "".join(f"; {what}: {count}" for what, count in self.surprises.items())
        total = self.surprises.total()
        print(f"{self.statuses.total()} answers: {answers}")
        as_expected = Finding(not total, f"{total} answers that should not be (claimed: 0){surprises}")
        return report([as_expected, *findings(self.rests.seen)])


def _newest(repository: Repository, name: str) -> ModelCard:
    return ModelCard.read(repository.root / name / repository.versions(name)[-1])


def _draw(rests: Sequence[Rest], path: Path) -> None:
    """Memory over time, and below it files and threads."""
    from matplotlib.figure import Figure  # noqa: PLC0415 - half a second that only a picture needs

    figure = Figure(figsize=(8, 5), layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(2, 1))
    minutes = [rest.seconds / 60 for rest in rests]
    upper.plot(minutes, [rest.memory / _MIB for rest in rests], color="black")
    upper.set(ylabel="MiB at rest", ylim=0)
    lower.plot(minutes, [rest.files for rest in rests], label="open files", color="black")
    lower.plot(minutes, [rest.threads for rest in rests], label="threads", color="black", linestyle="--")
    lower.set(xlabel="minutes", ylim=0)
    lower.legend()
    for axes in (upper, lower):
        axes.grid(alpha=0.3)
    figure.savefig(path)
