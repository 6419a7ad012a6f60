"""Requests that wait for a runner: who hangs up, is too late or too large is not run, and disturbs nobody."""

from contextlib import ExitStack
from pathlib import Path

import pytest
from PIL import Image

from connected import Connection
from graphs import graph, slow
from support import CLASSIFY, Service, code, encoded, eventually, png, publish


def arrived(running: Service) -> float:
    """How many images wait for a runner, or did."""
    waited = running.metric("hangtag_stage_duration_seconds_count", stage="queue")
    return running.metric("hangtag_queue_items") + waited


def test_callers_who_hang_up_while_they_wait_are_never_run(tmp_path: Path):
    publish(tmp_path, model=graph(extra=slow(products=8)))
    image = png(255)
    with Service(tmp_path, "--runners", "1", "--max-batch", "1", "--cache-bytes", "0") as running:
        with ExitStack() as hung_up:
            callers = [hung_up.enter_context(Connection(running.url)) for _ in range(6)]
            for caller in callers:
                caller.post(CLASSIFY, Content_Type="image/png", Content_Length=str(len(image)))
                caller.send(image)
            eventually(lambda: arrived(running) == 6)
            assert callers[0].answer()[0] == 200  # by then one more runs, and four wait
        eventually(lambda: running.metric("hangtag_items_total", outcome="cancelled") == 5)
        assert running.metric("hangtag_queue_items") == 0
        assert running.classify(image).status_code == 200
        assert running.metric("hangtag_batch_size_count") <= 4
        assert running.metric("hangtag_items_total", outcome="ok") == 2


def test_a_caller_whose_large_body_came_at_once_may_hang_up_too(tmp_path: Path):
    publish(tmp_path, model=graph(extra=slow(products=8)))
    large = encoded(Image.effect_noise((500, 500), 100), "PNG")
    assert len(large) > 2 * 65536  # uvicorn stops reading at this, until somebody asks for more
    with Service(tmp_path, "--runners", "1", "--max-batch", "1") as running, running.begin(png(0)) as first:
        first.send(png(0))
        eventually(lambda: arrived(running) == 1)
        with running.begin(large) as second:
            second.send(large)
            eventually(lambda: arrived(running) == 2)
        eventually(lambda: running.metric("hangtag_items_total", outcome="cancelled") == 1)
        assert first.answer()[0] == 200
        assert running.metric("hangtag_batch_size_count") == 1


def test_a_deadline_that_passes_while_the_image_waits_is_answered_504(tmp_path: Path):
    publish(tmp_path, model=graph(extra=slow(products=8)))
    with Service(tmp_path, "--runners", "1") as running, running.begin(png(0)) as first:
        first.send(png(0))
        eventually(lambda: arrived(running) == 1)
        late = running.ask(png(255), {"X-Request-Deadline-Ms": "1"})
        assert code(late) == (504, "deadline_exceeded")
        assert first.answer()[0] == 200
        assert running.metric("hangtag_items_total", outcome="expired") == 1
        assert running.metric("hangtag_batch_size_sum") == 1


@pytest.mark.parametrize("priority", ["u=0", "u=7, i", "i, u=5", "u=9", "nonsense", ""])
def test_any_priority_is_taken(service: Service, priority: str):
    assert service.ask(png(0), {"Priority": priority}).status_code == 200


def test_more_pixels_than_may_be_held_together_are_shed(tmp_path: Path):
    publish(tmp_path, model=graph(extra=slow(products=8)))
    options = ["--runners", "1", "--max-held-pixels", "1", "--cache-bytes", "0"]
    with Service(tmp_path, *options) as running, running.begin(png(0)) as first:
        first.send(png(0))
        eventually(lambda: arrived(running) == 1)
        assert code(running.classify(png(0))) == (429, "queue_full")
        assert first.answer()[0] == 200
