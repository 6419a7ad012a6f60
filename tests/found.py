"""Findings of a run that never was: drawn photos, made-up scores, and all else as training would leave it."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from artifact.card import Split
from artifact.figures import fit_threshold, split_figures
from browser import Page
from training.audit import Audit, Likeness, Place
from training.calibration import fit_temperature, softmax
from training.checkpoint import Progress
from training.findings import Answers, Findings, Trial
from training.metrics import Hardware, Metrics
from training.origin import Origin
from training.recipe import Recipe
from training.report import write_report
from training.run_folder import PAGE_FILE

LABELS = ("bags", "boots", "coats", "hats", "shirts", "T-shirt/top")
COUNTS: dict[Split, int] = {"train": 1200, "validation": 600, "test": 600}
ORIGIN = Origin(
    revision="0123abc",
    source="drawn",
    licence="CC0",
    skipped=("/home/someone/photos/hats/broken.jpg (image_truncated)",),
    hardware=Hardware(machine="x86_64", processor="A processor", cpus=2, system="Linux"),
    tools={"python": "3.11", "keras": "3.12"},
)
_HAT, _OTHER_HAT = (Place(name="1.jpg", split=split, label="hats") for split in ("train", "test"))
AUDIT = Audit(
    source="drawn",
    licence="CC0",
    counts={},
    unreadable=(),
    strays=(),
    exact=(Likeness.of([_HAT, _OTHER_HAT]),),
    near=(Likeness.of([_HAT, _HAT]), Likeness.of([_OTHER_HAT, Place(name="2.jpg", split="train", label="bags")])),
    near_bits=8,
    width=None,
    height=None,
    formats={},
)
RECIPE = {
    "name": "drawn",
    "description": "Tells drawn shapes apart.",
    "seed": 1,
    "seeds": 3,
    "data": {"source": "folders", "folder": "drawn"},
    "input": {"height": 96, "width": 80, "channels": 3, "resize": {"fit": "pad"}},
    "network": {"kind": "transfer", "backbone": "MobileNetV2", "weights": "random", "dropout": 0.2},
    "augmentation": {"flip": True, "shift": 0.08, "rotation": 10, "erase": 0.4},
    "schedule": {
        "head": {"epochs": 4, "rate": 1e-3},
        "epochs": 16,
        "batch": 32,
        "peak_rate": 3e-4,
        "patience": 6,
        "class_weights": True,
    },
    "tried": [
        {"what": "a narrow network", "validation": 0.8125},
        {"what": "a <wide> network", "validation": 0.875, "milliseconds": 4.2},
    ],
    "baseline": {
        "description": "three convolutions and two dense layers, as a first notebook has",
        "input": {"height": 96, "width": 80, "channels": 3, "resize": {"fit": "pad"}},
        "network": {"kind": "plain", "convolutions": [16, 32], "dense": [64]},
        "schedule": {
            "optimizer": "adam",
            "decay": "constant",
            "epochs": 10,
            "batch": 32,
            "peak_rate": 1e-3,
            "patience": 3,
        },
    },
}


def findings(counts: dict[Split, int] = COUNTS, skill: float = 5.0, labels: tuple[str, ...] = LABELS) -> Findings:
    """A whole run; with more `skill` more answers are right."""
    recipe = Recipe.model_validate(RECIPE)
    names = {
        split: tuple(f"/home/someone/photos/{split}/{n:04}.jpg" for n in range(count))
        for split, count in counts.items()
    }
    trials = tuple(_trial(recipe, recipe, seed, counts, names, skill, len(labels)) for seed in (1, 2, 3))
    assert recipe.baseline
    baseline = _trial(recipe, recipe.baseline, 1, counts, names, skill * 0.7, len(labels))
    random = np.random.default_rng(7)
    test = trials[0].answers["test"].labels
    augmented = np.stack([np.stack([_photo(label, random, recipe) for _ in range(6)]) for label in test[:4]])
    pixels = np.stack([_photo(label, random, recipe) for label in test])
    return Findings(recipe, labels, trials, baseline, pixels, augmented)


def renamed(found: Findings, name: str) -> Findings:
    """The same, and every test photo has one name."""
    ours = found.published
    test = replace(ours.answers["test"], names=(name,) * len(ours.answers["test"].names))
    return replace(found, trials=(replace(ours, answers=ours.answers | {"test": test}), *found.trials[1:]))


def _trial(recipe, plan, seed, counts, names, skill, count) -> Trial:
    random = np.random.default_rng(seed)
    labels = {split: np.random.default_rng(number).integers(0, count, number) for split, number in counts.items()}
    logits = {split: _logits(labels[split], random, skill, count) for split in counts}
    temperature = fit_temperature(logits["validation"], labels["validation"])
    answers = {
        split: Answers(
            names[split], labels[split], logits[split], softmax(logits[split], temperature).astype(np.float32)
        )
        for split in counts
    }
    validation = answers["validation"]
    threshold = fit_threshold(validation.scores, validation.labels, recipe.calibration.precision)
    return Trial(
        plan=plan,
        seed=seed,
        network="a network",
        parameters=2_230_277,
        progress=_progress(random, plan.schedule.total_epochs),
        temperature=temperature,
        threshold=threshold,
        answers=answers,
        figures={s: split_figures(answers[s].scores, answers[s].labels, threshold) for s in ("validation", "test")},
    )


def _logits(labels: np.ndarray, random: np.random.Generator, skill: float, count: int) -> np.ndarray:
    return (random.normal(0, 1.2, (len(labels), count)) + skill * np.eye(count)[labels]).astype(np.float32)


def _progress(random: np.random.Generator, epochs: int) -> Progress:
    curve = 1 - np.exp(-np.arange(1, epochs + 1) / 4)
    return Progress(
        [
            {
                "loss": float(2 - 1.8 * part + random.normal(0, 0.02)),
                "accuracy": float(0.2 + 0.75 * part),
                "val_loss": float(2.1 - 1.7 * part + random.normal(0, 0.05)),
                "val_accuracy": float(0.2 + 0.73 * part + random.normal(0, 0.01)),
                "rate": 0.001,
                "seconds": 12.5,
            }
            for part in curve
        ]
    )


def _photo(label: int, random: np.random.Generator, recipe: Recipe) -> np.ndarray:
    """A blob whose colour and place tell its label, on noise."""
    height, width, channels = recipe.input.shape
    colour = np.random.default_rng(int(label)).integers(40, 230, channels)
    y, x = np.mgrid[:height, :width]
    blob = (y - height * (0.3 + 0.07 * label)) ** 2 + (x - width / 2) ** 2 < (width / 3) ** 2
    photo = np.where(blob[..., None], colour, 245) + random.integers(-20, 20, (height, width, channels))
    return photo.clip(0, 255).astype(np.uint8)


def reported(folder: Path, found: Findings) -> tuple[Page, Metrics]:
    """Write a report; gives its page and its figures."""
    write_report(folder, found, ORIGIN)
    return Page((folder / PAGE_FILE).read_text(encoding="utf-8")), metrics_of(folder)


def metrics_of(folder: Path) -> Metrics:
    """The figures of a report."""
    return Metrics.model_validate_json((folder / "metrics.json").read_bytes())
