"""Batches in time: as fast as the client, the model and the other clients let them, and nothing is left of them."""

import json
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import psutil
import pytest

from batching import END, FORM, LINES, NEXT, ZIP, Batch, ask, form, items, line, part, told
from graphs import endless_at, graph, slow
from support import Service, card, eventually, new_key, packed, png, publish

LONG = "n" * 3900  # a name, by which answers are larger than what the system keeps of them
STALLED = 0.5  # seconds


def counted(running: Service, outcome: str) -> float:
    return running.metric("hangtag_items_total", outcome=outcome)


@pytest.fixture(scope="module")
def impatient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service that waits for no client for long; its model runs one picture at a time, which takes a moment."""
    models = tmp_path_factory.mktemp("models")
    publish(models, model=graph(extra=slow(products=1, side=300)))
    options = ["--client-timeout-seconds", str(STALLED), "--cache-bytes", "0", "--max-batch-items", "3000"]
    with Service(models, *options, "--runners", "1", "--max-batch", "1") as running:
        yield running


@pytest.fixture
def unharmed(impatient: Service) -> Iterator[None]:
    """After the test nobody waits or has a connection, every place is free, and as many files are open as before."""
    eventually(lambda: impatient.metric("hangtag_connections") == 1)
    files = psutil.Process(impatient.pid).num_fds()
    yield
    eventually(lambda: impatient.metric("hangtag_connections") == 1)  # that which asks
    eventually(lambda: impatient.metric("hangtag_queue_items") == 0)
    assert items(ask(impatient, form({"a": png(0)})))[0]["status"] == 200
    eventually(lambda: psutil.Process(impatient.pid).num_fds() <= files)
    assert "Traceback" not in impatient.log


def test_a_line_comes_while_the_form_is_still_sent(service: Service):
    with Batch(service) as batch:
        batch.give(part(png(0)), NEXT)
        response = batch.answered()
        assert line(response)["index"] == 0
        batch.give(part(png(0)).removeprefix(NEXT), NEXT)
        assert line(response)["index"] == 1
        batch.give(part(png(0)).removeprefix(NEXT), END)
        batch.finish()
        assert line(response)["index"] == 2
        assert response.read() == b""


def test_an_image_that_never_ends_holds_up_no_line_of_another(tmp_path: Path):
    publish(tmp_path, model=graph(extra=endless_at(shade=77)))
    with Service(tmp_path, "--runners", "2", "--max-batch", "1", "--stuck-seconds", "0.5") as running:
        *others, last = items(ask(running, form({str(shade): png(shade) for shade in (77, 0, 1, 2, 255)}), LINES))
    assert {each["index"] for each in others} == {1, 2, 3, 4}
    assert (last["index"], last["status"], last["code"]) == (0, 500, "inference_stuck")


@pytest.mark.usefixtures("unharmed")
def test_who_reads_only_when_all_is_sent_gets_all_lines_however_long_that_takes(impatient: Service):
    count, before = 1500, counted(impatient, "ok")
    with Batch(impatient, taken=65536) as batch:
        for _ in range(count):
            batch.give(part(png(0), LONG))
        eventually(lambda: counted(impatient, "ok") == before + count - 1)  # 6 MB of lines
        batch.give(part(b"")[:-2])
        until = time.monotonic() + 2 * STALLED
        while time.monotonic() < until:
            batch.give(bytes(500))
        batch.give(b"\r\n", END)
        batch.finish()
        found = batch.answered().read().splitlines()
    assert {json.loads(each)["index"] for each in found} == {*range(count + 1)}


@pytest.mark.usefixtures("unharmed")
def test_a_form_that_is_slow_but_goes_on_is_no_stall_and_one_chunk_may_have_many_images(impatient: Service):
    with Batch(impatient) as batch:
        batch.give(part(png(0)) * 99, NEXT)
        response = batch.answered()
        first = [line(response) for _ in range(99)]
        batch.give(part(png(0)).removeprefix(NEXT)[:-2])
        until = time.monotonic() + 2 * STALLED
        while time.monotonic() < until:
            batch.give(b"\0" * 500)
        batch.give(b"\r\n", END)
        batch.finish()
        assert {each["index"] for each in first} == {*range(99)}
        assert line(response)["index"] == 99


def test_who_stops_in_a_form_and_takes_no_lines_is_let_go(models: Path):
    timeouts = [f"--{of}-timeout-seconds={STALLED}" for of in ("body", "client")]
    with Service(models, *timeouts) as running, Batch(running, taken=4096) as batch:
        for _ in range(400):
            batch.give(part(png(0), "\1" * 3900))  # 9 MB of lines, since each of these takes six bytes
        eventually(lambda: running.metric("hangtag_connections_ended_total", reason="slow_reader") == 1)


def test_a_zip_file_is_worked_on_only_as_fast_as_its_lines_are_taken(service: Service):
    count, before = 300, counted(service, "ok")
    body = packed({f"{number}" + "\1" * 4000: png(0) for number in range(count)})  # 7 MB of lines
    alone = list[int]()

    def is_idle() -> bool:
        """Whether nobody but us has images classified."""
        now = counted(service, "ok")
        alone.extend(service.classify(png(0)).status_code for _ in range(9))
        return counted(service, "ok") == now + 9

    with Batch(service, ZIP, taken=65536) as batch:
        batch.give(body)
        batch.finish()
        eventually(lambda: counted(service, "ok") > before)
        eventually(is_idle)
        assert counted(service, "ok") - before - len(alone) < count
        assert len(batch.answered().read().splitlines()) == count


STAGES: dict[str, Callable[[Batch], object]] = {
    "before the first image": lambda batch: batch.give(part(png(0))[:-20]),
    "in the second image": lambda batch: batch.give(part(png(0)) + part(png(0))[:-20]),
    "while images wait and more come": lambda batch: batch.give(part(png(0)) * 500),
    "when all is sent": lambda batch: (batch.give(part(png(0)) * 20, END), batch.finish()),
}


@pytest.mark.usefixtures("unharmed")
@pytest.mark.parametrize("stage", STAGES)
def test_clients_that_hang_up_leave_nothing_behind(impatient: Service, stage: str):
    batches = [Batch(impatient, accept) for accept in (LINES, {"Accept": "*/*"}) for _ in range(5)]
    for batch in batches:
        STAGES[stage](batch)
    for batch in batches:
        batch.hang_up()


def test_what_waits_for_a_client_that_hung_up_is_counted_and_not_run(impatient: Service):
    eventually(lambda: impatient.metric("hangtag_connections") == 1)
    cancelled, runs = counted(impatient, "cancelled"), impatient.metric("hangtag_batch_size_count")
    with Batch(impatient) as batch:
        batch.give(part(png(0), LONG) * 300, END)
        batch.finish()
        line(batch.answered())
    eventually(lambda: impatient.metric("hangtag_connections") == 1)
    assert counted(impatient, "cancelled") > cancelled
    assert impatient.metric("hangtag_batch_size_count") - runs < 300


MANY = dict.fromkeys(map(str, range(50)), png(0))


@pytest.fixture(scope="module")
def tight(models: Path) -> Iterator[Service]:
    """A service with four places, and room for one zip file."""
    with Service(models, "--max-items", "4", "--max-held-bytes", str(len(packed(MANY)))) as running:
        yield running


def test_where_there_is_no_room_batches_wait_and_each_image_is_answered(tight: Service):
    sent = [(form(MANY), FORM), (packed(MANY), ZIP), (packed(MANY), ZIP)]
    with ExitStack() as stack:
        held = [stack.enter_context(tight.begin(png(0))) for _ in range(4)]
        clients = stack.enter_context(ThreadPoolExecutor())
        asked = [clients.submit(ask, tight, *each) for each in sent]
        eventually(lambda: tight.metric("hangtag_connections") == len([*held, *sent, "that which asks"]))
        assert [each.finish()[0] for each in held] == [200, 200, 200, 200]
        assert [len(items(each.result())) for each in asked] == [50, 50, 50]
    assert tight.metric("hangtag_rejected_total", reason="queue_full") == 0


def test_an_image_for_which_there_is_no_room_until_its_deadline_is_told_so_alone_and_an_urgent_one_has_more(
    tight: Service,
):
    before = counted(tight, "ok")
    with ExitStack() as stack:
        held = [stack.enter_context(tight.begin(png(0))) for _ in range(3)]
        first, *_, last = told(items(ask(tight, form(MANY), {"X-Request-Deadline-Ms": "300"})))
        assert first == ("0", 429, "queue_full")
        assert last == ("49", 504, "deadline_exceeded")
        assert told(items(ask(tight, form({"a": png(0)}), {"Priority": "u=3"}))) == [("a", 200, "dark")]
        assert [each.finish()[0] for each in held] == [200, 200, 200]
    assert tight.metric("hangtag_rejected_total", reason="queue_full") == counted(tight, "rejected")
    assert counted(tight, "rejected") + counted(tight, "expired") == len(MANY)
    assert counted(tight, "ok") == before + 4


def test_a_batch_takes_as_many_images_out_of_a_keys_rate_as_it_has(tmp_path: Path):
    publish(tmp_path / "models")
    key = new_key(tmp_path / "keys.json", "classify", rate="10/minute")
    with Service(tmp_path / "models", "--keys", str(tmp_path / "keys.json")) as running:
        four = form(dict.fromkeys("abcd", png(0)))
        assert ask(running, four).status_code == 401
        assert ask(running, four, key).headers["ratelimit"].startswith('"images";r=6;')
        assert [len(items(ask(running, four, key))) for _ in range(2)] == [4, 4]
        assert ask(running, four, key).status_code == 429


def test_a_batch_that_was_let_in_is_answered_by_one_version_though_another_one_takes_its_place(tmp_path: Path):
    publish(tmp_path)
    with Service(tmp_path, "--watch") as running, Batch(running) as batch:
        batch.give(part(png(0)), NEXT)
        response = batch.answered()
        assert line(response)["version"] == "1"
        publish(tmp_path, card(version="2"))
        running.wait_for(r"(model tiny: .*2 is stable)")
        assert ask(running, form({"a": png(0)})).json()["version"] == "2"
        batch.give(part(png(0)).removeprefix(NEXT), END)
        batch.finish()
        assert [json.loads(each)["version"] for each in response.read().splitlines()] == ["1"]


def test_a_batch_that_was_let_in_is_answered_though_the_service_and_its_workers_stop(models: Path):
    with Service(models, "--workers", "2") as running:
        running.wait_for_workers(2)
        with Batch(running) as batch:
            batch.give(part(png(0)), NEXT)
            response = batch.answered()
            assert line(response)["status"] == 200
            running.signal(signal.SIGTERM)
            running.wait_for(r"(Waiting for connections to close)")
            batch.give((part(png(255)) * 30 + END).removeprefix(NEXT))
            batch.finish()
            assert [json.loads(each)["status"] for each in response.read().splitlines()] == [200] * 30
            assert running.wait() == 0
