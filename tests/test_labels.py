"""The labels of a model: which version is meant by one, and what each change makes of them."""

from pathlib import Path

import pytest

from artifact.errors import LabelRefused, ModelNotFound, RolloutInvalid, VersionNotFound
from artifact.repository import Repository
from artifact.rollout import Rollout
from support import card, publish


def test_until_somebody_sets_it_stable_is_the_newest_version(tmp_path: Path):
    for version in ("9", "10"):
        publish(tmp_path, card(version=version))
    repository = Repository(tmp_path)
    assert repository.labels("tiny") == {"stable": "10"}
    Rollout(stable="9").write(tmp_path / "tiny")
    publish(tmp_path, card(version="11"))
    assert repository.labels("tiny") == {"stable": "9"}


def test_a_version_is_found_by_number_and_by_label(tmp_path: Path):
    for version in ("1", "2", "3"):
        publish(tmp_path, card(version=version))
    Rollout(stable="2", previous="1", canary="3", canary_share=0.1, shadow="7").write(tmp_path / "tiny")
    repository = Repository(tmp_path)
    found = {wanted: repository.resolve("tiny", wanted) for wanted in ("1", "stable", "previous", "canary")}
    assert found == {"1": "1", "stable": "2", "previous": "1", "canary": "3"}
    assert repository.resolve("tiny") == "2"
    for wanted in ("4", "latest", "", "../1"):
        with pytest.raises(VersionNotFound, match="it has 1, 2, 3"):
            repository.resolve("tiny", wanted)
    with pytest.raises(VersionNotFound, match="no version '7'"):
        repository.resolve("tiny", "shadow")
    with pytest.raises(ModelNotFound):
        repository.resolve("hats", "1")


def test_a_number_is_found_though_the_labels_cannot_be_read(tmp_path: Path):
    publish(tmp_path)
    (tmp_path / "tiny" / "rollout.json").write_text("{")
    assert Repository(tmp_path).resolve("tiny", "1") == "1"
    with pytest.raises(RolloutInvalid):
        Repository(tmp_path).resolve("tiny")


def test_what_was_stable_is_remembered_once_another_version_is():
    first = Rollout().promoted("2", newest="3")
    assert first == Rollout(stable="2", previous="3")
    assert first.promoted("2", newest="3") == first
    assert first.promoted("4", newest="4") == Rollout(stable="4", previous="2")
    assert Rollout().promoted("3", newest="3") == Rollout(stable="3")


def test_what_became_stable_is_on_trial_no_more():
    trial = Rollout(stable="1", canary="2", canary_share=0.1, shadow="3", shadow_share=0.5)
    assert trial.promoted("2", "3") == Rollout(stable="2", previous="1", shadow="3", shadow_share=0.5)
    assert trial.promoted("3", "3") == Rollout(stable="3", previous="1", canary="2", canary_share=0.1)


def test_what_is_stable_cannot_be_on_trial():
    for rollout in (Rollout(stable="2"), Rollout()):
        with pytest.raises(LabelRefused, match="Version 2 is stable"):
            rollout.tried("canary", "2", 0.1, newest="2")
    assert Rollout(stable="1").tried("shadow", "2", 1.0, "2") == Rollout(stable="1", shadow="2", shadow_share=1.0)


def test_a_rollback_ends_a_canary_that_gets_requests_and_else_goes_to_the_version_before():
    both = Rollout(stable="2", previous="1", canary="3", canary_share=0.1)
    once = both.rolled_back("3")
    assert once == Rollout(stable="2", previous="1")
    assert once.rolled_back("3") == Rollout(stable="1", previous="2")
    assert once.rolled_back("3").rolled_back("3") == once
    waiting = Rollout(stable="2", previous="1", canary="1", canary_share=0)
    assert waiting.rolled_back("2") == Rollout(stable="1", previous="2")
    with pytest.raises(LabelRefused, match="nothing to roll back to"):
        Rollout(stable="2", canary="3").rolled_back("3")


def test_a_write_that_breaks_off_leaves_nothing(tmp_path: Path):
    (tmp_path / "rollout.json").mkdir()  # a file cannot take its place
    with pytest.raises(OSError, match="directory"):
        Rollout(stable="2").write(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["rollout.json"]
