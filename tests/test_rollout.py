"""A canary gets its share, a shadow its copies, and a rollback takes one step."""

import asyncio
from collections import Counter
from math import inf
from pathlib import Path

import httpx
import pytest

from artifact.answer import Answer
from artifact.errors import RolloutInvalid
from artifact.rollout import ROLLOUT_FILE, Rollout
from graphs import graph, slow
from service.metrics import Metrics
from service.model_metrics import ModelMetrics
from service.runner import Scores
from service.shadow import Shadow
from service.terms import Terms
from support import CLASSIFY, OPERATOR, PATIENCE, Service, card, eventually, operated, png, publish

INVERTED = (255, 128, 0)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Version 2 calls light what version 1 calls dark."""
    publish(tmp_path)
    publish(tmp_path, card(version="2"), graph(centres=INVERTED))
    return tmp_path


def serving(root: Path) -> Service:
    return Service(root, "--cache-bytes", "0", *operated(root))


def relabel(service: Service, root: Path, **labels: str | float) -> None:
    Rollout(**labels).write(root / "tiny")
    assert httpx.post(f"{service.url}/v1/admin/reload", headers=OPERATOR, timeout=30).status_code == 200


def versions_by_key(service: Service, keys: range) -> dict[int, str]:
    with httpx.Client(base_url=service.url) as client:
        return {
            key: client.post(CLASSIFY, content=png(0), headers={"X-Request-Key": f"shop {key}"}).json()["version"]
            for key in keys
        }


def test_a_canary_gets_its_share_and_a_key_always_the_same_version(root: Path):
    Rollout(stable="1", canary="2", canary_share=0.3).write(root / "tiny")
    with serving(root) as service:
        first = versions_by_key(service, range(400))
        assert 0.2 < Counter(first.values())["2"] / 400 < 0.4
        assert versions_by_key(service, range(400)) == first
        relabel(service, root, stable="1", canary="2", canary_share=0.6)
        more = versions_by_key(service, range(400))
        assert all(more[key] == "2" for key, version in first.items() if version == "2")
        assert 0.5 < Counter(more.values())["2"] / 400 < 0.7


@pytest.mark.parametrize(("share", "expected"), [(0.0, {"1"}), (1.0, {"2"})])
def test_a_share_of_nothing_or_of_all_is_just_that(root: Path, share: float, expected: set[str]):
    Rollout(stable="1", canary="2", canary_share=share).write(root / "tiny")
    with serving(root) as service:
        assert set(versions_by_key(service, range(50)).values()) == expected
        assert {service.classify(png(0)).json()["version"] for _ in range(20)} == expected


def test_who_brings_no_key_is_dealt_by_chance(root: Path):
    Rollout(stable="1", canary="2", canary_share=0.5).write(root / "tiny")
    with serving(root) as service:
        assert {service.classify(png(0)).json()["version"] for _ in range(60)} == {"1", "2"}


def test_who_names_a_version_gets_it_whatever_the_canary_share(root: Path):
    Rollout(stable="1", canary="2", canary_share=1).write(root / "tiny")
    with serving(root) as service:
        for name in ("1", "stable"):
            answer = httpx.post(f"{service.url}/v1/models/tiny/versions/{name}/classify", content=png(0))
            assert answer.json()["version"] == "1"


def test_taking_the_canary_back_and_the_former_version_too_loads_nothing(root: Path):
    Rollout(stable="2", previous="1").write(root / "tiny")
    with serving(root) as service:
        assert service.classify(png(0)).json()["version"] == "2"
        relabel(service, root, stable="1", previous="2")
        assert service.classify(png(0)).json()["version"] == "1"
        for version in ("1", "2"):
            assert service.metric("hangtag_model_loads_total", model_version=version, outcome="ok") == 1


def comparisons(service: Service) -> dict[str, float]:
    kinds = ("same", "other_label", "other_decision", "failed", "skipped")
    name = "hangtag_shadow_comparisons_total"
    return {kind: service.metric(name, model_version="2", comparison=kind) for kind in kinds}


def test_a_shadow_sees_copies_and_answers_nobody(root: Path):
    Rollout(stable="1", shadow="2", shadow_share=1).write(root / "tiny")
    with serving(root) as service:
        for shade, times in ((0, 3), (128, 2)):
            for _ in range(times):
                answer = service.classify(png(shade)).json()
                assert answer["version"] == "1"
                assert answer["predictions"][0]["label"] == {0: "dark", 128: "middle"}[shade]
        eventually(lambda: sum(comparisons(service).values()) == 5)
        found = comparisons(service)
        assert (found["other_label"], found["same"]) == (3, 2)
        assert service.metric("hangtag_shadow_duration_seconds_count", model_version="2") == 5
        assert service.metric("hangtag_items_total", model_version="1", outcome="ok") == 5


def test_a_shadow_that_decides_otherwise_is_seen(tmp_path: Path):
    publish(tmp_path)
    publish(tmp_path, card(version="2").model_copy(update={"accept_threshold": 1.0}))
    Rollout(stable="1", shadow="2", shadow_share=1).write(tmp_path / "tiny")
    with serving(tmp_path) as service:
        assert service.classify(png(63)).json()["decision"] == "accept"
        assert service.classify(png(0)).json()["decision"] == "accept"
        eventually(lambda: sum(comparisons(service).values()) == 2)
        found = comparisons(service)
        assert (found["other_decision"], found["same"]) == (1, 1)


def test_a_shadow_gets_no_more_than_its_share(root: Path):
    Rollout(stable="1", shadow="2", shadow_share=0).write(root / "tiny")
    with serving(root) as service:
        service.classify(png(0))
        assert sum(comparisons(service).values()) == 0
        relabel(service, root, stable="1", shadow="2", shadow_share=0.5)
        with httpx.Client(base_url=service.url) as client:
            for _ in range(100):
                client.post(CLASSIFY, content=png(0))
        eventually(lambda: 25 < sum(comparisons(service).values()) < 75)


def test_an_image_that_is_none_is_no_failure_of_the_shadow(root: Path):
    Rollout(stable="1", shadow="2", shadow_share=1).write(root / "tiny")
    with serving(root) as service:
        assert service.classify(b"no image").status_code == 422
        service.classify(png(0))
        eventually(lambda: comparisons(service)["other_label"] == 1)
        assert comparisons(service)["failed"] == 0


def test_labels_are_written_in_one_step_and_read_as_they_were(tmp_path: Path):
    assert Rollout.read(tmp_path) == Rollout()
    rollout = Rollout(stable="3", canary="4", canary_share=0.05)
    rollout.write(tmp_path)
    assert Rollout.read(tmp_path) == rollout
    assert [path.name for path in tmp_path.iterdir()] == [ROLLOUT_FILE]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        '{"stable": 3}',
        '{"stable": "latest"}',
        '{"stable": "../1"}',
        '{"canary": "2", "canary_share": 2}',
        '{"canary": "2", "canary_share": -0.1}',
        '{"canary_share": 0.5}',
        '{"shadow_share": 0.5}',
        '{"beta": "2"}',
    ],
)
def test_labels_that_make_no_sense_are_refused(tmp_path: Path, text: str):
    (tmp_path / ROLLOUT_FILE).write_text(text)
    with pytest.raises(RolloutInvalid, match=ROLLOUT_FILE):
        Rollout.read(tmp_path)


def test_the_stable_version_is_loaded_first_where_there_is_no_room_for_all(tmp_path: Path):
    for version in ("1", "2"):
        publish(tmp_path, card(version=version), graph(extra=slow(products=1, side=2500)))
    Rollout(stable="2", previous="1").write(tmp_path / "tiny")
    with Service(tmp_path, "--memory-bytes", str(290 * 2**20)) as service:
        shown = httpx.get(f"{service.url}/v1/models/tiny").json()
    assert (shown["status"], shown["labels"]) == ("ready", {"stable": "2"})
    assert [failure["label"] for failure in shown["failures"]] == ["previous"]


async def test_a_shadow_that_is_closed_asks_nothing_more():
    asked, ended = asyncio.Event(), asyncio.Event()

    async def ask(_photo: object, _terms: Terms) -> Scores:
        asked.set()
        try:
            await asyncio.Future()
        finally:
            ended.set()

    shadow = Shadow(ask, card(), 1.0, ModelMetrics(Metrics("1"), "tiny", "2"))
    shadow.copy(png(0), Answer((("dark", 1.0),), "accept", 0.9), Terms(3, inf))
    await asked.wait()
    shadow.close()
    await asyncio.wait_for(ended.wait(), PATIENCE)


def test_a_shadows_copies_are_no_images_of_callers(root: Path):
    Rollout(stable="1", shadow="2", shadow_share=1).write(root / "tiny")
    with serving(root) as service:
        service.classify(png(0))
        eventually(lambda: comparisons(service)["other_label"] == 1)
        assert service.metric("hangtag_items_total", model_version="2", outcome="ok") == 0
