"""The figures of a report: metrics.json has them all, and the page shows no number that is not here."""

from typing import Literal, Self

from pydantic import Field

from artifact.card import InputSpec, Share, Split, SplitFigures, Strict
from training.audit import Audit

Interval = tuple[Share, Share]
Basis = Literal["lower_bound", "share", "none"]
Verdict = Literal["kept", "within_chance", "missed", "nothing_accepted"]


class BalancedFigures(Strict):
    """What each label counts the same in, however many photos it has."""

    balanced_accuracy: Share = Field(description="mean recall of the labels that have photos")
    macro_f1: Share = Field(description="mean F1 of the labels that have photos or answers")


class LabelFigures(Strict):
    """How one label fares in the test split; a share of nothing is 0."""

    label: str
    precision: Share = Field(description="of the photos with this answer, the share that is right")
    recall: Share = Field(description="of this label's photos, the share that is answered right")
    recall_interval: Interval | None = Field(description="95 % Wilson interval; None without photos")
    f1: Share
    support: int = Field(description="photos of this label")


class Mixup(Strict):
    """Photos of one label that were answered as another."""

    label: str
    answer: str
    count: int
    share: Share = Field(description="of the label's photos")


class TestFigures(Strict):
    """The test split, label by label."""

    labels: tuple[LabelFigures, ...]
    confusion: tuple[tuple[int, ...], ...] = Field(description="photos by label (row) and answer (column)")
    mixups: tuple[Mixup, ...] = Field(description="the most frequent ones, most frequent first")


class Accepted(Strict):
    """The answers at or over the accept threshold."""

    count: int
    right: int
    share: Share = Field(description="of all photos of the split")
    precision: Share | None = Field(description="share of right ones; None when nothing was accepted")
    precision_interval: Interval | None = Field(description="95 % Wilson interval")


class Promise(Strict):
    """What the accept threshold promises, what that rests on, and whether it held on the test split."""

    precision: Share = Field(description="the share of accepted answers that should be right")
    threshold: Share
    basis: Basis = Field(
        description="what reached the precision on the validation split: the lower 95 % bound of the share of right "
        "answers, or the share itself where there are too few photos for that; `none`: nothing did"
    )
    accepted: dict[Split, Accepted]
    verdict: Verdict = Field(description="`within_chance`: under the promise, but the interval reaches it")


class Bin(Strict):
    """The photos whose best score is in one range."""

    count: int
    score: Share = Field(description="mean best score")
    right: Share = Field(description="share of right answers")
    interval: Interval = Field(description="95 % Wilson interval of `right`")


class BeforeAfter(Strict):
    """The expected calibration error, without and with the temperature."""

    before: Share
    after: Share


class Reliability(Strict):
    """The test split's bins, without and with the temperature; empty bins are left out."""

    before: tuple[Bin, ...]
    after: tuple[Bin, ...]


class CalibrationFigures(Strict):
    """How far scores mean what they say."""

    temperature: float
    calibration_error: dict[Split, BeforeAfter]
    reliability: Reliability


class ThresholdFigures(Strict):
    """What another accept threshold would do on the test split."""

    threshold: Share
    share: Share = Field(description="of the photos, accepted")
    precision: Share


class TrialFigures(Strict):
    """One network that was trained."""

    seed: int
    network: str
    parameters: int
    input: InputSpec
    epochs: int
    best_epoch: int = Field(description="from 1; its weights were kept")
    seconds: float = Field(description="training time, without measuring")
    validation: SplitFigures
    test: SplitFigures


class BaselineFigures(TrialFigures):
    """The plain network that ours is held against; the last two compare the same test photos, one by one."""

    description: str
    only_ours_right: int
    only_baseline_right: int


class Spread(Strict):
    """The accuracy over all seeds."""

    mean: Share
    deviation: float | None = Field(description="sample standard deviation; None for a single seed")


class Duplicates(Strict):
    """Groups of photos that are the same, or nearly so, as an audit of the data set found them."""

    exact: int
    near: int
    across_splits: int = Field(description="groups, exact or near, with photos in several splits: figures are too good")
    across_labels: int = Field(description="groups, exact or near, whose photos have different labels")

    @classmethod
    def of(cls, audit: Audit) -> Self:
        """What an audit found."""
        return cls(
            exact=len(audit.exact),
            near=len(audit.near),
            across_splits=sum(group.crosses_splits for group in audit.likenesses),
            across_labels=sum(group.crosses_labels for group in audit.likenesses),
        )


class DataFigures(Strict):
    """The photos that took part, and those that could not be read."""

    source: str
    licence: str
    counts: dict[Split, dict[str, int]] = Field(description="photos of each label")
    imbalance: float | None = Field(description="photos of the largest label for each of the smallest, all splits")
    skipped: tuple[str, ...]
    duplicates: Duplicates | None = Field(description="None where the data set was not audited")


class Hardware(Strict):
    """The machine that a run was trained on."""

    machine: str
    processor: str
    cpus: int = Field(description="cores that training could use")
    system: str


class Metrics(Strict):
    """All figures of a report."""

    schema_version: Literal[1] = 1
    name: str
    description: str
    figures: dict[Split, SplitFigures]
    balanced: dict[Split, BalancedFigures]
    promise: Promise
    calibration: CalibrationFigures
    thresholds: tuple[ThresholdFigures, ...]
    test: TestFigures
    training: TrialFigures
    seeds: tuple[TrialFigures, ...]
    spread: dict[Split, Spread]
    baseline: BaselineFigures | None
    data: DataFigures
    code_revision: str
    hardware: Hardware
    tools: dict[str, str]
