"""What a person looks at when training is over: the page, its figures as JSON, the history and the predictions."""

import csv
import io
import json
from pathlib import Path

import numpy as np

from training.audit import Audit
from training.charts import draw_history, draw_reliability, draw_thresholds
from training.checkpoint import Progress
from training.findings import Answers, Findings
from training.gallery import choose, varied
from training.measuring import measure
from training.metrics import Duplicates, Metrics
from training.origin import Origin
from training.page import chart_uri, render
from training.run_folder import PAGE_FILE, write_whole
from training.shown import shown_file
from training.wording import describe_plan


def write_report(folder: Path, findings: Findings, origin: Origin, audit: Audit | None = None) -> None:
    """Write all files of the report; the same findings always give the same bytes."""
    metrics = measure(findings, origin, Duplicates.of(audit) if audit else None)
    write_whole(folder / "metrics.json", json.dumps(metrics.model_dump(), indent=2) + "\n")
    write_history(folder, findings.published.progress)  # the last epoch may have been saved just before a kill
    _write_predictions(folder, findings.published.answers["test"])
    write_whole(folder / PAGE_FILE, _page(findings, metrics))


def write_history(folder: Path, progress: Progress) -> None:
    """Write history.csv: a line for each finished epoch."""
    text = io.StringIO()
    writer = csv.DictWriter(text, ["epoch", *progress.epochs[0]], lineterminator="\n")
    writer.writeheader()
    writer.writerows({"epoch": number} | epoch for number, epoch in enumerate(progress.epochs, 1))
    write_whole(folder / "history.csv", text.getvalue())


def _write_predictions(folder: Path, test: Answers) -> None:
    """Write predictions.npz: `scores` float32 [N, K], `labels` int64 [N] and `names` [N] of the test split."""
    names = np.array([shown_file(name) for name in test.names])
    scores = test.scores.astype(np.float32)
    np.savez_compressed(folder / "predictions.npz", scores=scores, labels=test.labels, names=names)


def _page(findings: Findings, metrics: Metrics) -> str:
    ours = findings.published
    head_epochs = ours.plan.schedule.head_epochs
    return render(
        "report.html",
        m=metrics,
        labels=findings.labels,
        plan=describe_plan(ours.plan),
        head_epochs=head_epochs,
        gallery=choose(findings),
        varied=varied(findings),
        tried=findings.recipe.tried,
        are_shared=findings.recipe.data.share_photos,
        charts={
            "loss": chart_uri(draw_history(ours.progress, "loss", head_epochs)),
            "accuracy": chart_uri(draw_history(ours.progress, "accuracy", head_epochs)),
            "reliability": chart_uri(draw_reliability(metrics)),
            "thresholds": chart_uri(draw_thresholds(metrics)),
        },
    )
