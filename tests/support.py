"""What several tests stand on: a tiny real model in a real repository, and a real `hangtag serve` of its own."""

import io
import json
import os
import queue
import re
import signal
import subprocess
import sys
import tarfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any, Self
from zipfile import ZIP_DEFLATED, ZipFile

import httpx
import numpy as np
import onnx
import pytest
from onnx import helper
from PIL import Image

from artifact.card import Export, InputSpec, ModelCard, SplitFigures, TrainingData, Weights
from artifact.digest import digest_files
from artifact.expectation import PREDICTIONS_FILE
from artifact.golden import GOLDEN_FILE, GoldenSamples
from artifact.pixels import decode
from artifact.repository import MODEL_FILE, REPORT_FILE, Repository
from artifact.session import CARD_DIGEST_KEY, CARD_KEY, Session
from connected import PATIENCE, HeldRequest
from graphs import SPEC, graph
from service.keys.file import KeysFile
from service.keys.key import Scope, make

ROOT = Path(__file__).parent.parent
LABELS = ("dark", "middle", "light")
HANGTAG = (sys.executable, str(ROOT / "hangtag.py"))
OnShelf = Callable[..., tuple[int, str, str]]
CLASSIFY = "/v1/models/tiny/classify"
asleep = threading.Event()  # nobody sets it: where time itself is what is waited for
OPERATOR_KEY = "hangtag_0badcafe_" + 64 * "0"
OPERATOR = {"Authorization": f"Bearer {OPERATOR_KEY}"}


def png(shade: int, size: tuple[int, int] = (8, 8), mode: str = "L") -> bytes:
    """A picture of one grey."""
    colour = shade if mode == "L" else (shade,) * len(mode)
    return encoded(Image.new(mode, size, colour), "PNG")


def encoded(image: Image.Image, kind: str) -> bytes:
    out = io.BytesIO()
    image.save(out, kind)
    return out.getvalue()


@contextmanager
def closed(path: Path) -> Iterator[None]:
    """Nobody may read it; skips the test where whoever runs it may read everything."""
    mode = path.stat().st_mode
    path.chmod(0)
    try:
        if os.access(path, os.R_OK):
            pytest.skip("whoever runs this may read everything")
        yield
    finally:
        path.chmod(mode)


def packed(files: Mapping[str, bytes], method: int = ZIP_DEFLATED) -> bytes:
    """A zip file."""
    out = io.BytesIO()
    with ZipFile(out, "w", method) as file:
        for name, data in files.items():
            file.writestr(name, data)
    return out.getvalue()


def tarred(files: Mapping[str, bytes], suffix: str = "tar", form: int = tarfile.PAX_FORMAT) -> bytes:
    """A tar file, compressed as its suffix says."""
    out = io.BytesIO()
    compression = {"g": "gz", "b": "bz2", "x": "xz"}.get(suffix.removeprefix("tar.").removeprefix("t")[0], "")
    with tarfile.open(fileobj=out, mode=f"w:{compression}", format=form) as tar:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return out.getvalue()


def card(name: str = "tiny", version: str = "1", spec: InputSpec = SPEC, labels: tuple[str, ...] = LABELS) -> ModelCard:
    return ModelCard.complete(
        name=name,
        description="Tells dark pictures from light ones.",
        created=datetime(2026, 1, 1, tzinfo=UTC),
        labels=labels,
        input=spec,
        temperature=1.0,
        accept_threshold=0.9,
        figures={
            "test": SplitFigures(
                count=3,
                accuracy=1.0,
                accuracy_interval=(0.44, 1.0),
                log_loss=0.1,
                calibration_error=0.01,
                accepted_share=1.0,
                accepted_precision=1.0,
            )
        },
        data=TrainingData(
            name="drawn", source="drawn", licence="none", digest="sha256:" + "0" * 64, counts={"test": 3}
        ),
        weights=Weights(network="mean", parameters=6, initial="set by hand", licence="Apache-2.0"),
        code_revision="unknown",
        files={},
        version=version,
        export=Export(opset=18, precision="float32", nodes=6, transposes=0, max_abs_difference=0, tools={}),
    )


def publish(
    root: Path,
    described: ModelCard | None = None,
    model: onnx.ModelProto | None = None,
    trained: onnx.ModelProto | None = None,
    report: bytes | None = None,
    predictions: np.ndarray | None = None,
) -> Path:
    """Publish the tiny model as export does; gives the version's folder. `trained` gives the golden scores.

    `predictions` are the scores that it had for its test photos.
    """
    described = described or card()
    repository = Repository(root)
    staged = repository.stage(described.name)
    model = sealed(model or graph(described.input), described)
    (staged / MODEL_FILE).write_bytes(model)
    images = tuple(png(shade) for shade in (0, 128, 255))
    pixels = np.stack([decode(image, described.input) for image in images])
    scores = Session(sealed(trained, described) if trained else model, described).run(pixels)
    GoldenSamples(images, pixels, scores).save(staged / GOLDEN_FILE)
    files = [MODEL_FILE, GOLDEN_FILE]
    if report is not None or predictions is not None:
        (staged / REPORT_FILE).parent.mkdir()
    if report is not None:
        files.append(REPORT_FILE)
        (staged / REPORT_FILE).write_bytes(report)
    if predictions is not None:
        files.append(PREDICTIONS_FILE)
        np.savez(staged / PREDICTIONS_FILE, scores=predictions)
    complete = described.model_copy(update={"files": digest_files(staged, files)})
    return repository.publish(staged, complete)


def files(shelf: Path) -> set[str]:
    """Every path below a folder."""
    return {str(path.relative_to(shelf)) for path in shelf.rglob("*")}


def sealed(model: onnx.ModelProto, described: ModelCard) -> bytes:
    """The model's file with its card inside."""
    body, digest = described.model_dump_json(exclude={"files"}), described.embedded_digest()
    helper.set_model_props(model, {CARD_KEY: body, CARD_DIGEST_KEY: digest})
    return model.SerializeToString()


def operated(root: Path) -> tuple[str, ...]:
    """Options of a service that anybody may ask, and that whoever brings OPERATOR may reload."""
    file = root.with_name(f"{root.name}-keys.json")
    kept, _ = make("operator", ("admin",))
    digest = sha256(OPERATOR_KEY.encode()).hexdigest()
    KeysFile(keys=(kept.model_copy(update={"id": OPERATOR_KEY[8:16], "sha256": digest}),)).write(file)
    return ("--keys", str(file), "--anonymous")


def new_key(
    file: Path, *scopes: Scope, name: str = "ops", rate: str | None = None, expires: datetime | None = None
) -> dict[str, str]:
    """Put a key into a file of keys; gives the header that brings it."""
    there = KeysFile.read(file) if file.exists() else KeysFile()
    key, text = make(name, scopes, rate, expires)
    there.with_key(key).write(file)
    return {"Authorization": f"Bearer {text}"}


class Service:
    """A real `hangtag serve`, or `program`, on a free port; leave the context to stop it and see its `exit_code`."""

    def __init__(
        self,
        models: Path,
        *options: str,
        environment: Mapping[str, str] | None = None,
        wrapper: Sequence[str] = (),
        awaited: str | None = r"started: (.*)",
        program: Sequence[str] = (*HANGTAG, "serve"),
    ) -> None:
        self.exit_code: int | None = None
        self._process = subprocess.Popen(
            [*wrapper, *program, "--models", models, "--port", "0", "--drain-seconds", "0", *options],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=os.environ | {"PYTHONUNBUFFERED": "1", "HANGTAG_LOG_FORMAT": "text"} | dict(environment or {}),
        )
        self._lines: queue.Queue[str] = queue.Queue()
        self.log = ""
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        try:
            self.url = self.wait_for(r"hangtag listens on (http://\S+)")
            if awaited:
                self.wait_for(awaited)
        except BaseException:
            self._process.kill()
            raise

    def _read(self) -> None:
        for line in self._process.stdout:
            self._lines.put(line)
        self._lines.put("")

    @property
    def pid(self) -> int:
        return self._process.pid

    def wait_for(self, pattern: str) -> str:
        """The first group of the next log line that matches."""
        try:
            while line := self._lines.get(timeout=PATIENCE):
                self.log += line
                if found := re.search(pattern, line):
                    return found[1]
        except queue.Empty:
            raise AssertionError(f"the service did not say {pattern!r}:\n{self.log}") from None
        raise AssertionError(f"the service ended before it said {pattern!r}:\n{self.log}")

    @property
    def said(self) -> list[dict[str, Any]]:
        """What the log has so far, where it is JSON; a line that is none fails."""
        return [json.loads(line) for line in self.log.splitlines() if not line.startswith("hangtag listens")]

    def signal(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def wait(self) -> int:
        """The exit code, once the process has ended; `log` has all that it said."""
        self.exit_code = self._process.wait(PATIENCE)
        self._reader.join(PATIENCE)
        rest = [self._lines.get() for _ in range(self._lines.qsize())]
        self.log += "".join(rest)
        return self.exit_code

    def classify(
        self, image: bytes, model: str = "tiny", content_type: str = "image/png", **query: str
    ) -> httpx.Response:
        return self.ask(image, {"Content-Type": content_type}, model, **query)

    def ask(self, image: bytes, headers: dict[str, str], model: str = "tiny", **query: str) -> httpx.Response:
        """Classify with these headers."""
        return httpx.post(
            f"{self.url}/v1/models/{model}/classify", content=image, headers=headers, params=query, timeout=PATIENCE
        )

    def metric(self, name: str, **labels: str) -> float:
        """The value of one series in /metrics."""
        for line in httpx.get(f"{self.url}/metrics").text.splitlines():
            head, _, value = line.rpartition(" ")
            if re.split(r"[{ ]", head)[0] == name and all(f'{k}="{v}"' in head for k, v in labels.items()):
                return float(value)
        raise AssertionError(f"no series {name} {labels}")

    def workers(self) -> list[int]:
        """The processes of the workers, oldest first."""
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()
        return sorted(int(pid) for pid in children if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes())

    def wait_for_workers(self, count: int) -> None:
        """Wait until so many workers have joined, since the service was started."""
        for said in ("started: ", "startup complete"):
            while self.log.count(said) < count:
                self.wait_for("(started: |startup complete)")

    def kill(self, worker: int) -> int:
        """Kill a worker and wait until another one is in its place; gives that one's process."""
        others, joined = set(self.workers()), self.log.count("startup complete")
        os.kill(worker, signal.SIGKILL)
        self.wait_for(rf"worker {worker} was killed by (signal 9); another one takes its place")
        self.wait_for_workers(joined + 1)
        [new] = set(self.workers()) - others
        return new

    def begin(self, image: bytes, model: str = "tiny") -> HeldRequest:
        """Start a request and hold its body back; when this returns, the service has let it in."""
        return HeldRequest(self.url, f"/v1/models/{model}/classify", image)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.exit_code is None:
            self.signal(signal.SIGTERM)
            self.wait()
        self._process.stdout.close()


def code(response: httpx.Response) -> tuple[int, str]:
    """Status and stable code of a problem, which must be a whole one and hold no trace of the inside."""
    assert response.headers["content-type"] == "application/problem+json"
    problem = response.json()
    assert problem.keys() == {"type", "title", "status", "detail", "code"}
    assert problem["status"] == response.status_code
    assert "Traceback" not in response.text
    assert ".py" not in response.text
    return response.status_code, problem["code"]


def eventually(holds: Callable[[], bool]) -> None:
    """Ask again and again until it holds; for what happens in another process and tells nobody."""
    deadline = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < deadline, "it never held"


def begun_to_read(pipe: Path) -> int:
    """Wait until somebody reads a named pipe, who waits until what this gives is closed."""
    found = list[int]()

    def is_read() -> bool:
        with suppress(OSError):  # nobody has opened it
            found.append(os.open(pipe, os.O_WRONLY | os.O_NONBLOCK))
        return bool(found)

    eventually(is_read)
    return found[0]
