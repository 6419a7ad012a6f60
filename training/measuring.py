"""From findings to the figures of a report."""

import numpy as np
from numpy.typing import NDArray

from artifact.card import Split
from artifact.figures import (
    Labels,
    Scores,
    calibration_error,
    can_prove,
    confusion_matrix,
    label_figures,
    wilson_interval,
)
from artifact.samples import MEASURED
from training.calibration import softmax
from training.findings import Answers, Findings, Trial
from training.metrics import (
    Accepted,
    BalancedFigures,
    BaselineFigures,
    Basis,
    BeforeAfter,
    Bin,
    CalibrationFigures,
    DataFigures,
    Duplicates,
    LabelFigures,
    Metrics,
    Mixup,
    Promise,
    Reliability,
    Spread,
    TestFigures,
    ThresholdFigures,
    TrialFigures,
    Verdict,
)
from training.origin import Origin
from training.shown import shown_file

_BINS = 15
_THRESHOLDS = 120
_MIXUPS = 12


def measure(findings: Findings, origin: Origin, duplicates: Duplicates | None) -> Metrics:
    """All figures of a run."""
    ours = findings.published
    return Metrics(
        name=findings.recipe.name,
        description=findings.recipe.description,
        figures=ours.figures,
        balanced={split: _balanced(ours.answers[split]) for split in MEASURED},
        promise=_promise(ours, findings.recipe.calibration.precision),
        calibration=_calibration(ours),
        thresholds=_thresholds(ours.answers["test"]),
        test=_test(ours.answers["test"], findings.labels),
        training=_trial(ours),
        seeds=tuple(map(_trial, findings.trials)),
        spread={split: _spread(findings, split) for split in MEASURED},
        baseline=_baseline(findings),
        data=_data(findings, origin, duplicates),
        code_revision=origin.revision,
        hardware=origin.hardware,
        tools=origin.tools,
    )


def _balanced(answers: Answers) -> BalancedFigures:
    confusion = confusion_matrix(answers.scores, answers.labels)
    right, answered, support = confusion.diagonal(), confusion.sum(axis=0), confusion.sum(axis=1)
    recall, f1 = right / np.maximum(support, 1), 2 * right / np.maximum(answered + support, 1)
    return BalancedFigures(
        balanced_accuracy=float(recall[support > 0].mean()), macro_f1=float(f1[answered + support > 0].mean())
    )


def _promise(ours: Trial, precision: float) -> Promise:
    accepted = {split: _accepted(ours.answers[split], ours.threshold) for split in MEASURED}
    return Promise(
        precision=precision,
        threshold=ours.threshold,
        basis=_basis(accepted["validation"], len(ours.answers["validation"].labels), precision),
        accepted=accepted,
        verdict=_verdict(accepted["test"], precision),
    )


def _accepted(answers: Answers, threshold: float) -> Accepted:
    accepted = answers.scores.max(axis=1) >= threshold
    right = (answers.scores.argmax(axis=1) == answers.labels) & accepted
    count, correct = int(accepted.sum()), int(right.sum())
    return Accepted(
        count=count,
        right=correct,
        share=count / len(answers.labels),
        precision=correct / count if count else None,
        precision_interval=wilson_interval(correct, count) if count else None,
    )


def _basis(accepted: Accepted, photos: int, precision: float) -> Basis:
    """What the threshold was fitted on; the same choice as `artifact.figures.fit_threshold` makes."""
    if accepted.precision is None or accepted.precision_interval is None:
        return "none"
    is_large = can_prove(photos, precision)
    if (accepted.precision_interval[0] if is_large else accepted.precision) < precision:
        return "none"
    return "lower_bound" if is_large else "share"


def _verdict(accepted: Accepted, precision: float) -> Verdict:
    if accepted.precision is None or accepted.precision_interval is None:
        return "nothing_accepted"
    if accepted.precision >= precision:
        return "kept"
    return "within_chance" if accepted.precision_interval[1] >= precision else "missed"


def _calibration(ours: Trial) -> CalibrationFigures:
    raw = {split: softmax(ours.answers[split].logits) for split in MEASURED}
    test = ours.answers["test"]
    return CalibrationFigures(
        temperature=ours.temperature,
        calibration_error={
            split: BeforeAfter(
                before=calibration_error(raw[split], ours.answers[split].labels),
                after=ours.figures[split].calibration_error,
            )
            for split in MEASURED
        },
        reliability=Reliability(before=_bins(raw["test"], test.labels), after=_bins(test.scores, test.labels)),
    )


def _bins(scores: Scores, labels: Labels) -> tuple[Bin, ...]:
    """The same bins as those of the expected calibration error."""
    top, right = scores.max(axis=1).astype(np.float64), scores.argmax(axis=1) == labels
    places = np.minimum((top * _BINS).astype(int), _BINS - 1)
    return tuple(
        Bin(
            count=int(inside.sum()),
            score=float(top[inside].mean()),
            right=float(right[inside].mean()),
            interval=wilson_interval(int(right[inside].sum()), int(inside.sum())),
        )
        for inside in (places == place for place in np.unique(places))
    )


def _thresholds(answers: Answers) -> tuple[ThresholdFigures, ...]:
    """Accept the best photo only, then more and more of them, up to all; in at most `_THRESHOLDS` steps."""
    order = np.argsort(-answers.scores.max(axis=1), kind="stable")
    top = answers.scores.max(axis=1)[order]
    right = np.cumsum((answers.scores.argmax(axis=1) == answers.labels)[order])
    ends = np.flatnonzero(np.append(top[1:] != top[:-1], True))  # equal scores are accepted together
    chosen = np.unique(ends[np.linspace(0, len(ends) - 1, _THRESHOLDS).round().astype(int)])
    return tuple(
        ThresholdFigures(
            threshold=min(1.0, float(top[last])), share=(last + 1) / len(top), precision=float(right[last] / (last + 1))
        )
        for last in chosen.tolist()
    )


def _test(answers: Answers, names: tuple[str, ...]) -> TestFigures:
    confusion = confusion_matrix(answers.scores, answers.labels)
    labels = tuple(
        LabelFigures(
            **figures, recall_interval=wilson_interval(right, figures["support"]) if figures["support"] else None
        )
        for figures, right in zip(label_figures(confusion, names), confusion.diagonal().tolist(), strict=True)
    )
    return TestFigures(labels=labels, confusion=tuple(map(tuple, confusion.tolist())), mixups=_mixups(confusion, names))


def _mixups(confusion: NDArray[np.int64], names: tuple[str, ...]) -> tuple[Mixup, ...]:
    wrong = confusion - np.diag(confusion.diagonal())
    order = np.argsort(-wrong, axis=None, kind="stable")[:_MIXUPS]
    rows, columns = np.unravel_index(order, wrong.shape)
    return tuple(
        Mixup(
            label=names[row],
            answer=names[column],
            count=int(wrong[row, column]),
            share=float(wrong[row, column] / confusion[row].sum()),
        )
        for row, column in zip(rows.tolist(), columns.tolist(), strict=True)
        if wrong[row, column]
    )


def _trial(trial: Trial) -> TrialFigures:
    epochs = trial.progress.epochs
    return TrialFigures(
        seed=trial.seed,
        network=trial.network,
        parameters=trial.parameters,
        input=trial.plan.input,
        epochs=len(epochs),
        best_epoch=trial.progress.best + 1,
        seconds=round(sum(epoch["seconds"] for epoch in epochs), 1),
        validation=trial.figures["validation"],
        test=trial.figures["test"],
    )


def _spread(findings: Findings, split: Split) -> Spread:
    accuracies = [trial.figures[split].accuracy for trial in findings.trials]
    deviation = float(np.std(accuracies, ddof=1)) if len(accuracies) > 1 else None
    return Spread(mean=float(np.mean(accuracies)), deviation=deviation)


def _baseline(findings: Findings) -> BaselineFigures | None:
    section, trial = findings.recipe.baseline, findings.baseline
    if section is None or trial is None:
        return None
    ours, theirs = (
        answers.scores.argmax(axis=1) == answers.labels
        for answers in (findings.published.answers["test"], trial.answers["test"])
    )
    return BaselineFigures(
        **dict(_trial(trial)),
        description=section.description,
        only_ours_right=int((ours & ~theirs).sum()),
        only_baseline_right=int((theirs & ~ours).sum()),
    )


def _data(findings: Findings, origin: Origin, duplicates: Duplicates | None) -> DataFigures:
    names = findings.labels
    counts = {
        split: np.bincount(answers.labels, minlength=len(names))
        for split, answers in findings.published.answers.items()
    }
    sizes = np.sum(list(counts.values()), axis=0)
    return DataFigures(
        source=origin.source,
        licence=origin.licence,
        counts={split: dict(zip(names, found.tolist(), strict=True)) for split, found in counts.items()},
        imbalance=float(sizes.max() / sizes.min()) if sizes.min() else None,
        skipped=tuple(map(shown_file, origin.skipped)),
        duplicates=duplicates,
    )
