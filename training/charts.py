"""The charts of a report; lines differ by dash and mark, and by two colours that nobody confuses."""

from collections.abc import Sequence
from typing import Any

from matplotlib.figure import Figure

from training.checkpoint import Progress
from training.metrics import Bin, Metrics

_SIZE = (3.8, 3.0)  # inches, so that a phone shows letters of 10 pixels
_BLUE, _ORANGE, _GREY = "#2a84c4", "#d55e00", "#808080"
_FIRST = {"color": _BLUE, "linestyle": "-", "marker": "o", "markersize": 3.5}
_SECOND = {"color": _ORANGE, "linestyle": "--", "marker": "s", "markersize": 3.5, "markerfacecolor": "none"}
_MARKS_AT_MOST = 15
_SMALL = 8


def draw_history(progress: Progress, name: str, head_epochs: int) -> Figure:
    """Loss or accuracy over the epochs, with the best epoch, and the end of the part that trained the head alone."""
    figure, axes = _chart("epoch", name)
    numbers = range(1, len(progress.epochs) + 1)
    every = max(1, len(numbers) // _MARKS_AT_MOST)
    for key, label, style in ((name, "training photos", _FIRST), (f"val_{name}", "validation photos", _SECOND)):
        axes.plot(numbers, [epoch[key] for epoch in progress.epochs], label=label, markevery=every, **style)
    axes.axvline(progress.best + 1, color=_GREY, linestyle=":", label=f"best epoch, {progress.best + 1}")
    if head_epochs:
        axes.axvline(head_epochs + 0.5, color=_GREY, linestyle="-.", label="fine-tuning begins")
    axes.xaxis.get_major_locator().set_params(integer=True)
    return _with_legend(figure, axes)


def draw_reliability(metrics: Metrics) -> Figure:
    """How often answers are right, by the score that they come with; without and with the temperature."""
    figure, axes = _chart("score of the answer", "share of right answers")
    axes.plot([0, 1], [0, 1], color=_GREY, linestyle=":", label="scores that mean what they say")
    found = metrics.calibration.reliability
    axes.plot(*_line(found.before), label="before calibration", **_SECOND)
    axes.errorbar(*_line(found.after), yerr=_bars(found.after), label="after, as served", capsize=2, **_FIRST)
    axes.set(xlim=(0, 1.02), ylim=(0, 1.02))
    return _with_legend(figure, axes)


def draw_thresholds(metrics: Metrics) -> Figure:
    """Precision, and below it the share that is accepted, by the threshold; with the chosen one and the promise."""
    figure = Figure(figsize=_SIZE, layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True)
    points, promise = metrics.thresholds, metrics.promise
    thresholds = [point.threshold for point in points]
    style = {"markevery": max(1, len(points) // _MARKS_AT_MOST)}
    upper.plot(thresholds, [p.precision for p in points], label="right, of the accepted", **style, **_FIRST)
    lower.plot(thresholds, [p.share for p in points], label="accepted, of all photos", **style, **_SECOND)
    upper.axhline(promise.precision, color=_GREY, linestyle=":", label="promised")
    for axes in (upper, lower):
        axes.axvline(
            promise.threshold, color=_GREY, linestyle="-.", label="chosen threshold" if axes is lower else None
        )
        _plain(axes)
    upper.set(ylabel="right")
    lower.set(ylabel="accepted", xlabel="accept threshold", ylim=(0, 1.05))
    return _with_legend(figure, upper, lower)


def _chart(x: str, y: str) -> tuple[Figure, Any]:
    figure = Figure(figsize=_SIZE, layout="constrained")
    axes = figure.subplots()
    axes.set(xlabel=x, ylabel=y)
    _plain(axes)
    return figure, axes


def _plain(axes: Any) -> None:
    axes.grid(color=_GREY, alpha=0.25)
    axes.tick_params(labelsize=_SMALL)
    axes.spines[["top", "right"]].set_visible(False)


def _with_legend(figure: Figure, *parts: Any) -> Figure:
    """The legend stands over the chart, where it hides nothing."""
    lines, names = zip(
        *(pair for axes in parts for pair in zip(*axes.get_legend_handles_labels(), strict=True)), strict=True
    )
    figure.legend(lines, names, loc="outside upper left", ncols=2, frameon=False, fontsize=_SMALL)
    return figure


def _line(bins: Sequence[Bin]) -> tuple[list[float], list[float]]:
    return [each.score for each in bins], [each.right for each in bins]


def _bars(bins: Sequence[Bin]) -> list[list[float]]:
    """How far each interval reaches down and up."""
    return [
        [max(0.0, each.right - each.interval[0]) for each in bins],
        [max(0.0, each.interval[1] - each.right) for each in bins],
    ]
