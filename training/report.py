"""What a person looks at when training is over: figures as JSON, predictions, curves and the confusion matrix."""

import csv
import io
import json
import platform
from importlib.metadata import version
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from artifact.figures import confusion_matrix, label_figures
from artifact.session import available_cpus
from training.checkpoint import Progress
from training.findings import Findings
from training.run_folder import write_whole


def write_report(folder: Path, findings: Findings) -> None:
    """Write all files of the report."""
    ours = findings.published
    test = ours.answers["test"]
    confusion = confusion_matrix(test.scores, test.labels)
    _write_metrics(folder, findings, confusion)
    write_history(folder, ours.progress)
    np.savez_compressed(folder / "predictions.npz", scores=test.scores, labels=test.labels, names=np.array(test.names))
    draw_curves(folder, ours.progress)
    draw_confusion(folder, confusion, findings.labels)


def _write_metrics(folder: Path, findings: Findings, confusion: NDArray[np.int64]) -> None:
    ours = findings.published
    metrics = {
        "figures": {split: figures.model_dump() for split, figures in ours.figures.items()},
        "calibration": {"temperature": ours.temperature},
        "seeds": [
            {"seed": trial.seed} | {split: figures.model_dump() for split, figures in trial.figures.items()}
            for trial in findings.trials
        ],
        "baseline": findings.baseline
        and {split: figures.model_dump() for split, figures in findings.baseline.figures.items()},
        "test": {"labels": label_figures(confusion, findings.labels), "confusion": confusion.tolist()},
        "training": {
            "epochs": len(ours.progress.epochs),
            "best_epoch": ours.progress.best + 1,
            "seconds": round(sum(epoch["seconds"] for epoch in ours.progress.epochs), 1),
        },
        "hardware": {"machine": platform.machine(), "cpus": available_cpus(), "system": platform.system()},
        "tools": {"python": platform.python_version(), "keras": version("keras"), "numpy": version("numpy")},
    }
    write_whole(folder / "metrics.json", json.dumps(metrics, indent=2) + "\n")


def write_history(folder: Path, progress: Progress) -> None:
    """Write history.csv: a line for each finished epoch."""
    text = io.StringIO()
    writer = csv.DictWriter(text, ["epoch", *progress.epochs[0]], lineterminator="\n")
    writer.writeheader()
    writer.writerows({"epoch": number} | epoch for number, epoch in enumerate(progress.epochs, 1))
    write_whole(folder / "history.csv", text.getvalue())


def draw_curves(folder: Path, progress: Progress) -> None:
    """Draw curves.png: loss and accuracy over the epochs, with the best epoch marked."""
    figure = Figure(figsize=(10, 4), layout="constrained")
    numbers = range(1, len(progress.epochs) + 1)
    for axes, name in zip(figure.subplots(1, 2), ("loss", "accuracy"), strict=True):
        for key, label in ((name, "training"), (f"val_{name}", "validation")):
            axes.plot(numbers, [epoch[key] for epoch in progress.epochs], marker=".", label=label)
        axes.axvline(progress.best + 1, color="grey", linestyle=":", label="best epoch")
        axes.set(xlabel="epoch", ylabel=name)
        axes.grid(alpha=0.3)
        axes.legend()
    figure.savefig(folder / "curves.png", dpi=100)


def draw_confusion(folder: Path, confusion: NDArray[np.int64], names: tuple[str, ...]) -> None:
    """Draw confusion.png: what share of each label's photos (row) was answered how (column), with the counts."""
    side = 3 + 0.6 * len(names)
    figure = Figure(figsize=(side, side), layout="constrained")
    axes = figure.subplots()
    shares = confusion / np.maximum(confusion.sum(axis=1, keepdims=True), 1)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for (row, column), count in np.ndenumerate(confusion):
        if count:
            colour = "white" if shares[row, column] > 0.5 else "black"  # noqa: PLR2004 - readable on either
            axes.text(column, row, str(count), ha="center", va="center", color=colour, fontsize=8)
    axes.set_xticks(range(len(names)), names, rotation=45, ha="right")
    axes.set_yticks(range(len(names)), names)
    axes.set(xlabel="answer", ylabel="label")
    figure.savefig(folder / "confusion.png", dpi=100)
