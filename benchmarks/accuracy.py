"""Sends a labelled split over HTTP, photo by photo, and holds each answer against the label and against Keras."""

import asyncio
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from pydantic_settings import CliPositionalArg
from tqdm import tqdm

from artifact.card import ModelCard, Version
from artifact.command import Options
from artifact.errors import DataError, HangtagError
from artifact.expectation import PREDICTIONS_FILE
from artifact.figures import split_figures
from training.data import Photo
from training.recipe import find_recipe, read_recipe
from training.shown import shown_file
from training.sources import open_dataset

INT8_DIFFERING_ONE_IN = 100  # photos: what export allows


class AccuracyOptions(Options):
    """Send every test photo of a recipe to a running service; print the accuracy and compare it with Keras's answers.

    Example: hangtag bench accuracy fashion-mnist --data data --url http://127.0.0.1:8000
    """

    recipe: CliPositionalArg[str] = Field(description="the recipe whose test split is sent, and whose model is asked")
    url: str = Field("http://127.0.0.1:8000", description="where the service listens")
    data: Path = Field(Path("data"), description="the data root")
    models: Path = Field(Path("models"), description="the model repository, with Keras's answers in its reports")
    version: Version | None = Field(None, description="the version to ask, instead of the one that is in service")
    concurrency: int = Field(16, ge=1, le=1024, description="requests at the same time")


def run(arguments: Sequence[str]) -> int:
    """Measure; returns 0 when the answers are those of Keras, of an INT8 model 99 % of them, else 1."""
    options = AccuracyOptions.parse("bench accuracy", arguments)
    recipe = read_recipe(find_recipe(options.recipe))
    card = _card_in_service(options, recipe.name)
    keras, photos = _known(
        options.models / card.name / card.version / PREDICTIONS_FILE, open_dataset(recipe, options.data).photos("test")
    )
    labels = np.array([photo.label for photo in photos])
    scores = asyncio.run(_ask_all(options, card, photos))
    print(f"{card.name} {card.version} ({card.export.precision}) at {options.url}:")
    _print_figures(scores, labels, card.accept_threshold)
    differing = int((scores.argmax(1) != keras.argmax(1)).sum())
    largest = float(np.abs(scores - keras).max())
    print(f"labels that differ from Keras: {differing} of {len(photos)}; largest difference of a score: {largest:.2g}")
    allowed = max(1, len(photos) // INT8_DIFFERING_ONE_IN) if card.export.precision == "int8" else 0
    return 1 if differing > allowed else 0


def _card_in_service(options: AccuracyOptions, name: str) -> ModelCard:
    """The card of the version to ask, from the repository; raises HangtagError where the service has another."""
    try:
        served = httpx.get(f"{options.url}/v1/models/{name}", timeout=30).raise_for_status().json()
    except httpx.HTTPError as error:
        raise _no_answer(options.url, error) from error
    version = options.version or served["version"]
    card = ModelCard.read(options.models / name / version)
    if version == served["version"]:
        if served["card"] is None:
            raise HangtagError(f"{name} at {options.url} is {served['status']}, not ready: {served['reason']}")
        if served["card"]["files"] != card.files:
            raise HangtagError(
                f"{name} {version} at {options.url} is not the one in {options.models}; "
                "name the service's own repository by --models."
            )
    return card


def _no_answer(url: str, error: Exception) -> HangtagError:
    return HangtagError(f"{url} did not answer as it should ({error}); is it running?")


def _print_figures(scores: NDArray[np.float64], labels: NDArray[np.int64], threshold: float) -> None:
    figures = split_figures(scores, labels, threshold)
    low, high = figures.accuracy_interval
    print(
        f"{round(figures.accuracy * len(labels))} of {len(labels)} right, accuracy {figures.accuracy:.4f} "
        f"(95 % interval {low:.4f} to {high:.4f}), balanced {_balanced(scores, labels):.4f}"
    )
    precision = "none" if figures.accepted_precision is None else f"{figures.accepted_precision:.4f}"
    print(f"accepted: {figures.accepted_share:.4f} at or over {threshold:.4f}, of which {precision} right")


def _balanced(scores: NDArray[np.float64], labels: NDArray[np.int64]) -> float:
    """The mean over the labels of the share of their photos that are right."""
    right = scores.argmax(1) == labels
    return float(np.mean([right[labels == label].mean() for label in np.unique(labels)]))


async def _ask_all(options: AccuracyOptions, card: ModelCard, photos: list[Photo]) -> NDArray[np.float64]:
    """The scores [N, K] that the service answers, in the photos' order."""
    order = {label: index for index, label in enumerate(card.labels)}
    scores = np.full((len(photos), len(order)), np.nan)
    todo = iter(enumerate(tqdm(photos, desc=f"asking {card.name}", unit="photo")))
    limits = httpx.Limits(max_connections=options.concurrency)

    async def ask(client: httpx.AsyncClient) -> None:
        for index, photo in todo:
            for prediction in await _ask(client, card, photo):
                scores[index, order[prediction["label"]]] = prediction["score"]

    try:
        async with (
            httpx.AsyncClient(base_url=options.url, limits=limits, timeout=30) as client,
            asyncio.TaskGroup() as group,
        ):
            for _ in range(options.concurrency):
                group.create_task(ask(client))
    except* httpx.HTTPError as errors:
        first = errors.exceptions[0]
        raise _no_answer(options.url, first) from errors
    return scores


async def _ask(client: httpx.AsyncClient, card: ModelCard, photo: Photo) -> list[dict[str, Any]]:
    response = await client.post(
        f"/v1/models/{card.name}/versions/{card.version}/classify",
        params={"top_k": 1000},
        content=photo.data,
        headers={"Content-Type": "application/octet-stream"},
    )
    predictions: list[dict[str, Any]] = response.raise_for_status().json()["predictions"]
    return predictions


def _known(path: Path, photos: Iterable[Photo]) -> tuple[NDArray[np.float32], list[Photo]]:
    """What the Keras model answered, float32 [N, K], and the photos that it was asked about."""
    if not path.is_file():
        raise DataError(
            f"{path} is not there, so the answers cannot be held against Keras's; name the repository by --models."
        )
    with np.load(path, allow_pickle=False) as arrays:
        scores: NDArray[np.float32] = arrays["scores"]
        labels = arrays["labels"].tolist()
        kept = _kept(photos, arrays["names"].tolist()) if "names" in arrays else list(photos)
    if [photo.label for photo in kept] != labels:
        raise DataError(
            f"{path} holds {len(scores)} answers, and {len(kept)} of the test photos here fit to them; "
            "name the data root that the model was trained on by --data."
        )
    return scores, kept


def _kept(photos: Iterable[Photo], names: list[str]) -> list[Photo]:
    """The photos that a report names, in the order that both have; training skips what cannot be decoded."""
    kept: list[Photo] = []
    for photo in photos:
        if len(kept) < len(names) and shown_file(photo.name) == names[len(kept)]:
            kept.append(photo)
    return kept
