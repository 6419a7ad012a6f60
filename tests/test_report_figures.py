"""The figures of a report, reckoned another way, and what it says of its promise."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from artifact.figures import can_prove, fit_threshold, wilson_interval
from browser import Page
from found import LABELS, ORIGIN, findings, metrics_of, reported
from training.findings import Findings
from training.metrics import Metrics
from training.report import write_report


@pytest.fixture(scope="module")
def found() -> Findings:
    return findings()


@pytest.fixture(scope="module")
def folder(found: Findings, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("report")
    write_report(folder, found, ORIGIN)
    return folder


def test_the_json_agrees_with_the_answers(folder: Path, found: Findings):
    metrics, test = metrics_of(folder), found.published.answers["test"]
    answers = test.scores.argmax(axis=1)
    recalls = [float((answers[test.labels == label] == label).mean()) for label in range(len(LABELS))]
    precisions = [float((test.labels[answers == label] == label).mean()) for label in range(len(LABELS))]
    f1 = [2 * p * r / (p + r) for p, r in zip(precisions, recalls, strict=True)]
    assert [row.recall for row in metrics.test.labels] == pytest.approx(recalls)
    assert [row.precision for row in metrics.test.labels] == pytest.approx(precisions)
    assert metrics.balanced["test"].balanced_accuracy == pytest.approx(np.mean(recalls))
    assert metrics.balanced["test"].macro_f1 == pytest.approx(np.mean(f1))
    assert np.sum(metrics.test.confusion) == 600
    assert metrics.spread["test"].deviation == pytest.approx(
        np.std([trial.figures["test"].accuracy for trial in found.trials], ddof=1)
    )
    for row, recall in zip(metrics.test.labels, recalls, strict=True):
        assert row.recall_interval == wilson_interval(round(recall * row.support), row.support)


def test_the_bins_of_the_reliability_diagram_make_the_calibration_error(folder: Path):
    calibration = metrics_of(folder).calibration
    for bins, error in (
        (calibration.reliability.before, calibration.calibration_error["test"].before),
        (calibration.reliability.after, calibration.calibration_error["test"].after),
    ):
        assert sum(each.count for each in bins) == 600
        assert sum(each.count * abs(each.score - each.right) for each in bins) / 600 == pytest.approx(error)


def test_the_threshold_table_says_what_each_threshold_accepts(folder: Path, found: Findings):
    points, test = metrics_of(folder).thresholds, found.published.answers["test"]
    top, right = test.scores.max(axis=1), test.scores.argmax(axis=1) == test.labels
    assert 20 < len(points) <= 120
    assert points[-1].share == 1
    for point in points:
        accepted = top >= np.float32(point.threshold)
        assert point.share == pytest.approx(accepted.mean())
        assert point.precision == pytest.approx(right[accepted].mean())


def test_photos_are_counted_by_label_and_split(folder: Path, found: Findings):
    data = metrics_of(folder).data
    assert {split: sum(counts.values()) for split, counts in data.counts.items()} == {
        "train": 1200,
        "validation": 600,
        "test": 600,
    }
    sizes = [sum(counts[label] for counts in data.counts.values()) for label in LABELS]
    assert data.imbalance == max(sizes) / min(sizes)
    assert data.counts["test"]["hats"] == (found.published.answers["test"].labels == LABELS.index("hats")).sum()


# Whether the promise held.


def judged(found: Findings, tmp_path: Path, threshold: float, precision: float = 0.99) -> tuple[Page, Metrics]:
    calibration = found.recipe.calibration.model_copy(update={"precision": precision})
    recipe = found.recipe.model_copy(update={"calibration": calibration})
    ours = replace(found.published, threshold=threshold)
    return reported(tmp_path, replace(found, recipe=recipe, trials=(ours, *found.trials[1:])))


def test_a_promise_that_held_is_said_to_have_held(found: Findings, tmp_path: Path):
    page, metrics = judged(found, tmp_path, found.published.threshold)
    assert (metrics.promise.verdict, metrics.promise.basis) == ("kept", "lower_bound")
    accepted = metrics.promise.accepted["test"]
    assert accepted.precision_interval == wilson_interval(accepted.right, accepted.count)
    assert "Yes: " in page.words
    assert "even the lower end of the 95 % interval" in page.words


def test_a_promise_that_was_missed_is_said_to_be_missed(tmp_path: Path):
    page, metrics = judged(findings(skill=2), tmp_path, 0.3)
    assert metrics.promise.verdict == "missed"
    assert "✗ No: " in page.words
    assert "More than chance explains" in page.words


def test_a_promise_that_chance_may_have_missed_is_said_to_be_just_short(found: Findings, tmp_path: Path):
    accuracy = found.published.figures["test"].accuracy
    page, metrics = judged(found, tmp_path, 0.0, precision=accuracy + 0.001)
    assert metrics.promise.verdict == "within_chance"
    assert "A gap as small as this can be chance" in page.words


def test_a_threshold_that_nothing_reaches_is_said_to_prove_nothing(tmp_path: Path):
    found = findings(skill=2)
    page, metrics = judged(found, tmp_path, 1.0)
    assert (metrics.promise.verdict, metrics.promise.basis) == ("nothing_accepted", "none")
    assert metrics.promise.accepted["test"].precision is None
    assert "there is nothing to judge the promise by" in page.words
    assert "No threshold keeps the promise" in page.words


def test_a_threshold_from_few_photos_is_said_to_be_a_weak_promise(tmp_path: Path):
    few = findings({"train": 120, "validation": 60, "test": 60}, skill=6)
    page, metrics = reported(tmp_path, few)
    assert not can_prove(60, 0.99)
    assert metrics.promise.basis == "share"
    assert "A weak promise" in page.words


@pytest.mark.parametrize("count", [60, 380, 381, 600])
def test_what_the_threshold_rests_on_is_what_it_was_fitted_by(count: int):
    scores = np.tile(np.array([[0.9, 0.1]], np.float32), (count, 1))
    labels = np.zeros(count, np.int64)
    labels[0] = 1  # one wrong answer, which too few photos forgive and more do not
    share = (count - 1) / count
    rests_on = wilson_interval(count - 1, count)[0] if can_prove(count, 0.99) else share
    assert (fit_threshold(scores, labels, 0.99) < 1) == (rests_on >= 0.99)


def test_the_metrics_have_a_schema_that_says_what_each_is():
    schema = Metrics.model_json_schema()
    assert json.loads(json.dumps(schema)) == schema
    assert schema["$defs"]["TrialFigures"]["properties"]["best_epoch"]["description"].startswith("from 1")
