"""The log: JSON line by line, one line for each request, and never a reason for a request to wait or to fail."""

import fcntl
import json
import logging
import os
import pty
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, redirect_stderr
from io import BytesIO
from pathlib import Path
from typing import TextIO

import httpx
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from graphs import failing_at, graph
from open_inference import photos, post
from service.logs import logged
from service.settings import Settings
from support import CLASSIFY, HANGTAG, PATIENCE, ROOT, Service, eventually, new_key, png, publish

ALL = ("--log-format", "json", "--log-requests-per-second", "100000")
MARK = "hush-hush"


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with a model that fails on one shade."""
    root = tmp_path_factory.mktemp("broken")
    publish(root, model=graph(extra=failing_at(77)))
    return root


@pytest.fixture(scope="module")
def talking(broken: Path) -> Iterator[Service]:
    """A service that writes every line."""
    with Service(broken, *ALL) as running:
        yield running


def line_of(running: Service, answer: httpx.Response) -> dict[str, object]:
    """The request's own line."""
    request_id = answer.headers["x-request-id"]
    running.wait_for(rf'("event": "request",.*{request_id})')
    [line] = [line for line in running.said if line["event"] == "request" and line["request_id"] == request_id]
    return line


def shown(line: dict[str, object], *names: str) -> list[object]:
    return [line.get(name) for name in names]


def requests(running: Service) -> list[dict[str, object]]:
    return [line for line in running.said if line["event"] == "request"]


def test_a_requests_line_says_who_answered_and_where_its_time_went(talking: Service):
    line = line_of(talking, talking.classify(png(1)))
    assert shown(line, "level", "logger", "method", "route", "status", "outcome") == [
        *("info", "hangtag.access", "POST", "/v1/models/{model}/classify", 200, "ok")
    ]
    assert shown(line, "model", "version", "images", "batch_size", "cache", "pid") == [
        *("tiny", "1", 1, 1, "miss", talking.pid)
    ]
    assert line["body_bytes"] == len(png(1))
    assert str(line["timestamp"]).endswith("Z")
    stages = [float(line[f"{stage}_seconds"]) for stage in ("read", "queue", "decode", "infer")]
    assert all(seconds > 0 for seconds in stages)
    assert sum(stages) < line["seconds"] < PATIENCE
    assert line["trace_id"] == line["request_id"]  # it brought neither
    assert not {"code", "parent_id", "span_id", "suppressed"} & line.keys()


def test_what_was_known_already_went_through_no_stage_but_the_first(talking: Service):
    assert talking.classify(png(2)).status_code == 200
    line = line_of(talking, talking.classify(png(2)))
    assert line["cache"] == "hit"
    assert {name for name in line if name.endswith("_seconds")} == {"read_seconds"}


@pytest.mark.parametrize(
    ("path", "body", "status", "said"),
    [
        (CLASSIFY, b"", 400, ("info", "invalid", "image_empty", "tiny", CLASSIFY)),
        (CLASSIFY, png(3)[:-20], 422, ("info", "invalid", "image_truncated", "tiny", CLASSIFY)),
        (CLASSIFY, png(77), 500, ("error", "failed", "inference_failed", "tiny", CLASSIFY)),
        (f"{CLASSIFY}?top_k=0", b"", 400, ("info", "invalid", "request_malformed", None, CLASSIFY)),
        ("/v1/models/none/classify", b"", 404, ("info", "invalid", "model_not_found", None, CLASSIFY)),
        ("/nowhere", b"", 404, ("info", "invalid", "route_not_found", None, "unmatched")),
        ("/v2/models/none/infer", b"{}", 404, ("info", "invalid", "model_not_found", None, "/v2/models/none/infer")),
    ],
)
def test_a_refusals_line_has_its_code(talking: Service, path: str, body: bytes, status: int, said: tuple[str | None]):
    answer = httpx.post(talking.url + path, content=body, timeout=PATIENCE)
    assert answer.status_code == status
    *rest, route = said
    line = line_of(talking, answer)
    assert shown(line, "level", "outcome", "code", "model") == rest
    assert line["route"] == route.replace("tiny", "{model}").replace("none", "{model}")


def test_what_was_never_run_spent_its_time_in_the_queue(talking: Service):
    line = line_of(talking, talking.ask(png(4), {"X-Request-Deadline-Ms": "0"}))
    assert shown(line, "level", "outcome", "code") == ["warning", "expired", "deadline_exceeded"]
    assert line["queue_seconds"] > 0
    assert not {"decode_seconds", "infer_seconds", "batch_size"} & line.keys()


def test_a_client_that_hung_up_has_a_line(talking: Service):
    held = talking.begin(png(5))
    held.hang_up()
    talking.wait_for("(client_gone)")
    line = requests(talking)[-1]
    assert shown(line, "outcome", "status", "code") == ["cancelled", 499, "client_gone"]
    assert line["read_seconds"] > 0


def test_many_images_are_one_line_whose_stages_last_no_longer_than_the_request(talking: Service):
    shades = range(10, 40)
    line = line_of(talking, post(talking, {"inputs": [photos(*map(png, shades))]}))
    assert shown(line, "images", "cache", "status") == [len(shades), "miss", 200]
    assert 1 <= line["batch_size"] <= 4
    for stage in ("read", "queue", "decode", "infer"):
        assert 0 < line[f"{stage}_seconds"] < line["seconds"]
    again = line_of(talking, post(talking, {"inputs": [photos(*map(png, shades))]}))
    assert again["cache"] == "hit"


def test_an_error_is_one_line_with_its_traceback_and_the_requests_ids(talking: Service):
    failed = talking.classify(png(77))
    line_of(talking, failed)
    [error] = [
        line
        for line in talking.said
        if line["event"] == "request failed" and line["request_id"] == failed.headers["x-request-id"]
    ]
    assert error["level"] == "error"
    raised, cause = error["exception"]
    assert raised["exc_type"] == "InferenceFailed"
    assert "indices element out of data bounds" in cause["exc_value"]
    assert {"filename", "lineno", "name"} <= cause["frames"][-1].keys()


def test_probes_are_for_debugging(talking: Service, broken: Path):
    def probe(running: Service) -> list[object]:
        for path in ("/health/live", "/health/ready", "/metrics", "/v2/health/ready", "/v2/models/tiny/ready"):
            assert httpx.get(running.url + path).status_code == 200
        line_of(running, httpx.get(f"{running.url}/v1/models"))
        return [line for line in requests(running) if str(line["route"]).startswith(("/health", "/metrics", "/v2"))]

    before = len([line for line in requests(talking) if str(line["route"]).startswith("/v2")])
    assert len(probe(talking)) == before
    with Service(broken, *ALL, "--log-level", "debug") as running:
        assert {line["level"] for line in probe(running)} == {"debug"}


def test_no_image_key_or_query_is_ever_logged(broken: Path, tmp_path: Path):
    good = new_key(tmp_path / "keys.json", "classify", name="shop")
    text = PngInfo()
    text.add_text("Comment", MARK)
    hidden = BytesIO()
    Image.new("L", (8, 8), 77).save(hidden, "PNG", pnginfo=text)
    tagged = BytesIO()
    Image.new("L", (8, 8), 77).save(tagged, "TIFF", description=MARK)
    headers = {"X-Request-Key": MARK, "Cookie": MARK, **good}
    with Service(broken, *ALL, "--log-level", "debug", "--keys", str(tmp_path / "keys.json")) as running:
        for image in (hidden.getvalue(), hidden.getvalue()[:-30], MARK.encode() * 100, tagged.getvalue()):
            running.ask(image, headers)
            httpx.post(
                running.url + CLASSIFY, files={"image": (MARK, image, "image/png")}, headers=headers, timeout=PATIENCE
            )
            form = headers | {"Content-Type": f"multipart/form-data; boundary={MARK}"}
            httpx.post(running.url + CLASSIFY, content=image, headers=form, timeout=PATIENCE)
        for path in (f"{CLASSIFY}?top_k={MARK}", f"/v1/models/{MARK}/classify", f"/{MARK}", "/v1/admin/reload"):
            httpx.post(running.url + path, headers=headers, timeout=PATIENCE)
        refused = httpx.post(running.url + CLASSIFY, headers={"Authorization": f"Bearer {MARK}"}, timeout=PATIENCE)
        assert refused.status_code == 401
        running.signal(signal.SIGTERM)
        assert running.wait() == 0
    *known, unknown = requests(running)
    assert len(known) == 16
    assert {line["key"] for line in known} <= {"shop"}
    assert shown(unknown, "code", "key") == ["key_unknown", None]
    assert "InferenceFailed" in running.log
    assert MARK not in running.log
    assert good["Authorization"].removeprefix("Bearer ") not in running.log


def test_under_load_lines_are_left_out_and_counted(broken: Path):
    good, bad, defects = 40, 30, 5
    with Service(broken, "--log-format", "json", "--log-requests-per-second", "2") as running:
        with httpx.Client(base_url=running.url, timeout=PATIENCE) as client:
            for _ in range(good):
                assert client.post(CLASSIFY, content=png(0)).status_code == 200
            for _ in range(bad):
                assert client.post(CLASSIFY, content=b"none").status_code == 422
            for _ in range(defects):
                assert client.post(CLASSIFY, content=png(77)).status_code == 500
        running.signal(signal.SIGTERM)
        assert running.wait() == 0
    lines = requests(running)
    assert len([line for line in lines if line["status"] == 500]) == defects
    for kind, count in (("ok", good), ("invalid", bad)):
        written = [line for line in lines if line["outcome"] == kind]
        rest = [line for line in running.said if line.get("kind") in {"ok", "slow", "image_type_unsupported"}]
        left = [line for line in rest if (line["kind"] == "image_type_unsupported") == (kind == "invalid")]
        assert len(written) < count / 2
        assert sum(line.get("suppressed", 0) for line in [*written, *left]) + len(written) == count


WRITE_LONG_LINES = """
import logging, sys
from service.logwriter import LogWriter

writer = LogWriter(2)
for _ in range(20):
    writer.emit(logging.makeLogRecord({"msg": sys.argv[1] * 20_000}))
print("ready", flush=True)
sys.stdin.read()
writer.close()
"""


def test_long_lines_of_several_processes_are_not_mixed_in_a_pipe():
    ours, theirs = os.pipe()
    fcntl.fcntl(theirs, fcntl.F_SETPIPE_SZ, 4096)
    with os.fdopen(ours) as log, ExitStack() as stack:
        program = (sys.executable, "-c", WRITE_LONG_LINES)
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": theirs, "cwd": ROOT, "text": True}
        writers = [stack.enter_context(subprocess.Popen([*program, letter], **pipes)) for letter in "abc"]
        os.close(theirs)
        assert [writer.stdout.readline() for writer in writers] == ["ready\n"] * 3
        lines = [log.readline() for _ in range(60)]
        for writer in writers:
            writer.stdin.close()
    assert sorted(lines) == sorted(f"{letter * 20_000}\n" for letter in "abc" * 20)


FILL_THE_DISK = """
import logging, os, resource
from service.logwriter import LogWriter

writer = LogWriter(2)
_, most = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (50, most))
writer.emit(logging.makeLogRecord({"msg": "a" * 100}))
while not writer._failed:
    os.sched_yield()
resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
writer.emit(logging.makeLogRecord({"msg": "b"}))
writer.close()
"""


def test_a_line_that_was_torn_off_by_a_full_disk_does_not_run_into_the_next(tmp_path: Path):
    with (tmp_path / "log").open("w+") as log:
        subprocess.run([sys.executable, "-c", FILL_THE_DISK], cwd=ROOT, stderr=log, check=True, timeout=PATIENCE)
        log.seek(0)
        assert log.read().splitlines()[:2] == ["a" * 50, "b"]


@contextmanager
def logged_to_a_pipe(*, blocking: bool) -> Iterator[TextIO]:
    """Log to a standard error of 4 KiB; gives its other end."""
    settings, (ours, theirs) = Settings(log_format="json"), os.pipe()
    os.set_blocking(theirs, blocking)
    fcntl.fcntl(theirs, fcntl.F_SETPIPE_SZ, 4096)
    with os.fdopen(ours) as out, os.fdopen(theirs, "w") as end, redirect_stderr(end), logged(settings):
        yield out


@pytest.mark.parametrize("blocking", [True, False])
def test_who_reads_too_slowly_keeps_nobody_waiting_and_learns_how_many_lines_are_missing(*, blocking: bool):
    with logged_to_a_pipe(blocking=blocking) as out:
        for number in range(2000):
            logging.getLogger("hangtag").info("line %d", number)
        lines, missing = 0, 0
        while not missing:
            missing = json.loads(out.readline()).get("dropped", 0)
            lines += not missing
    assert lines + missing == 2000
    assert 1000 < lines < 1100


UNCAUGHT = """
import threading, warnings
from service.logs import logged
from service.settings import Settings

class Lost:
    def __del__(self):
        raise LookupError

def fail():
    raise KeyError

with logged(Settings(log_format="json")):
    thread = threading.Thread(target=fail)
    thread.start()
    thread.join()
    Lost()
    warnings.warn("old")
    raise ZeroDivisionError
"""


def test_what_nobody_caught_is_a_line_of_json_too():
    ran = subprocess.run([sys.executable, "-c", UNCAUGHT], cwd=ROOT, capture_output=True, text=True, check=False)
    assert ran.returncode == 1
    lines = [json.loads(line) for line in ran.stderr.splitlines()]
    assert [(line["level"], line["logger"]) for line in lines] == [
        ("critical", "hangtag"),
        ("error", "hangtag"),
        ("warning", "py.warnings"),
        ("critical", "hangtag"),
    ]
    raised = [line["exception"][0]["exc_type"] for line in lines if "exception" in line]
    assert raised == ["KeyError", "LookupError", "ZeroDivisionError"]


@pytest.mark.parametrize("where", ["&-", "/dev/full", "{pipe}"])
def test_a_standard_error_that_takes_nothing_harms_nobody(broken: Path, tmp_path: Path, where: str):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    into = ("sh", "-c", f'exec "$0" "$@" 2>{where.format(pipe=pipe)}')
    with Service(broken, *ALL, wrapper=into, awaited=None) as running:
        os.close(reader)
        eventually(lambda: httpx.get(f"{running.url}/health/ready").status_code == 200)
        assert running.classify(png(0)).status_code == 200
        assert running.classify(png(77)).status_code == 500
        running.signal(signal.SIGTERM)
        assert running.wait() == 0


def test_a_reader_that_stands_still_holds_up_neither_answers_nor_the_end(broken: Path, tmp_path: Path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDWR)
    fcntl.fcntl(reader, fcntl.F_SETPIPE_SZ, 4096)
    into = ("sh", "-c", f'exec "$0" "$@" 2>{pipe}')
    with Service(broken, *ALL, wrapper=into, awaited=None) as running:
        eventually(lambda: httpx.get(f"{running.url}/health/ready").status_code == 200)
        for shade in range(20):
            assert running.classify(png(shade)).status_code == 200
        running.signal(signal.SIGTERM)
        assert running.wait() == 0
    os.close(reader)


def test_on_a_terminal_the_log_is_text(models: Path):
    ours, theirs = pty.openpty()
    serve = [*HANGTAG, "serve", "--models", models, "--port", "0", "--drain-seconds", "0"]
    with subprocess.Popen(serve, stderr=theirs, stdout=subprocess.DEVNULL) as running:
        os.close(theirs)
        with os.fdopen(ours, errors="replace") as terminal:
            assert "started: 1 of 1 models are ready" in next(line for line in terminal if "started" in line)
            running.terminate()
    assert running.returncode == 0
