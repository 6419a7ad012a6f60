"""Where a request's time went, and how many of many requests get a line."""

import logging
from collections.abc import Callable
from pathlib import Path

import pytest

from artifact.errors import InferenceStuck
from artifact.repository import Repository
from artifact.session import Session
from graphs import SPEC, failing_at, graph
from service.attempt import Attempt
from service.metrics import Metrics
from service.model_metrics import ModelMetrics
from service.record import Record
from service.requestlog import RequestLog
from service.runner import Job, Runner
from service.stages import Stages
from support import png, publish


def test_images_that_are_in_a_stage_at_the_same_time_count_once():
    stages = Stages()
    for started, ended in ((5, 7), (1, 3), (2, 4), (3, 3.5)):
        stages.passed("decode", started, ended)
    stages.ran(2, 4, 6)
    stages.ran(1, 6, 8)
    stages.passed("read", 0, 1)
    assert stages.passages() == [("read", 0, 1), ("decode", 1, 4), ("infer", 4, 8), ("decode", 5, 7)]
    assert stages.seconds() == {"read": 1, "decode": 5, "infer": 4}
    assert stages.batch_size == 2


def test_who_was_run_with_a_culprit_passes_every_stage_once_more(tmp_path: Path):
    publish(tmp_path, model=graph(extra=failing_at(77)))
    artifact = Repository(tmp_path).open("tiny", "1")
    metrics = ModelMetrics(Metrics("1"), "tiny", "1")
    runner = Runner(Session(artifact.model, artifact.card), SPEC, 1000, metrics, None)
    good, culprit = (Job(png(shade), Stages()) for shade in (0, 77))
    with pytest.raises(Exception, match="indices element out of data bounds"):
        runner.run([good, culprit], Attempt())
    assert len(runner.run([good], Attempt())) == 1
    passages = good.stages.passages()
    assert [passage.stage for passage in passages] == ["queue", "decode", "infer"] * 2
    moments = [moment for passage in passages for moment in passage[1:]]
    assert moments == sorted(moments)
    assert good.stages.batch_size == 2


class GivenUp(Attempt):
    """One that is given up in its first step."""

    def step(self, break_off: Callable[[], None] | None = None) -> None:
        super().step(break_off)
        self.give_up()


def test_the_time_of_a_stage_from_which_no_runner_came_back_is_not_said_to_be_the_queues(tmp_path: Path):
    publish(tmp_path)
    artifact = Repository(tmp_path).open("tiny", "1")
    runner = Runner(Session(artifact.model, artifact.card), SPEC, 1000, ModelMetrics(Metrics("1"), "tiny", "1"), None)
    culprit, mate = (Job(png(shade), Stages()) for shade in (77, 0))
    with pytest.raises(InferenceStuck):
        runner.run([culprit, mate], GivenUp())
    runner.run([mate], Attempt())
    passages = mate.stages.passages()
    assert [passage.stage for passage in passages] == ["queue", "decode", "queue", "decode", "infer"]
    moments = [moment for passage in passages for moment in passage[1:]]
    assert moments == sorted(moments)


def ended(status: int, code: str | None = None, *, seconds: float = 0.0, at: float = 0.0) -> Record:
    record = Record("request", "trace", None, "POST")
    record.status, record.code, record.seconds, record.started = status, code, seconds, at - seconds
    return record


def told(caplog: pytest.LogCaptureFixture) -> list[tuple[object, ...]]:
    """Status, code and what was suppressed, of each line since the last time."""
    lines = [
        tuple(getattr(record, name, None) for name in ("status", "code", "suppressed")) for record in caplog.records
    ]
    caplog.clear()
    return lines


def test_each_kind_of_request_has_its_own_lines_and_tells_of_its_own(caplog: pytest.LogCaptureFixture):
    log = RequestLog(2)
    with caplog.at_level(logging.INFO, "hangtag.access"):
        for _ in range(5):
            log.ended(ended(200))
            log.ended(ended(429, "queue_full"))
        log.ended(ended(200, seconds=1.0))  # slow
        assert told(caplog) == [(200, None, None), (429, "queue_full", None)] * 2 + [(200, None, None)]
        log.ended(ended(429, "queue_full", at=1))
        log.ended(ended(200, at=1))
        log.ended(ended(200, at=1.9))
        assert told(caplog) == [(429, "queue_full", 3), (200, None, 3), (200, None, None)]


def test_what_nothing_followed_is_told_at_the_end(caplog: pytest.LogCaptureFixture):
    log = RequestLog(0)
    with caplog.at_level(logging.INFO, "hangtag.access"):
        for _ in range(3):
            log.ended(ended(200))
        for _ in range(2):
            log.ended(ended(500, "internal_error"))
        assert told(caplog) == [(500, "internal_error", None)] * 2
        log.close()
        log.close()
    assert [(record.message, record.kind, record.suppressed) for record in caplog.records] == [
        ("requests without a line", "ok", 3)
    ]
