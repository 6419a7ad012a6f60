"""Sends a labelled split over HTTP, photo by photo, and holds each answer against the label and against Keras."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import httpx
import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from pydantic_settings import CliPositionalArg
from tqdm import tqdm

from artifact.card import InputSpec, ModelCard
from artifact.command import Options
from artifact.errors import DataError, HangtagError, ImageError
from artifact.figures import split_figures
from artifact.pixels import decode
from training.data import Photo
from training.recipe import find_recipe, read_recipe
from training.sources import open_dataset

PREDICTIONS = "report/predictions.npz"
INT8_DIFFERING = 0.01  # of the labels: what export allows


class AccuracyOptions(Options):
    """Send every test photo of a recipe to a running service; print the accuracy and compare it with Keras's answers.

    Example: hangtag bench accuracy fashion-mnist --data data --url http://127.0.0.1:8000
    """

    recipe: CliPositionalArg[str] = Field(description="the recipe whose test split is sent, and whose model is asked")
    url: str = Field("http://127.0.0.1:8000", description="where the service listens")
    data: Path = Field(Path("data"), description="the data root")
    models: Path = Field(Path("models"), description="the model repository, with Keras's answers in its reports")
    concurrency: int = Field(16, ge=1, le=1024, description="requests at the same time")


def run(arguments: Sequence[str]) -> int:
    """Measure; returns 0 when the answers are those of Keras, of an INT8 model 99 % of them, else 1."""
    options = AccuracyOptions.parse("bench accuracy", arguments)
    recipe = read_recipe(find_recipe(options.recipe))
    photos = list(open_dataset(recipe, options.data).photos("test"))
    photos = [photo for photo in photos if _can_be_decoded(photo, recipe.input)]
    card, scores = asyncio.run(_ask_all(options, recipe.name, photos))
    labels = np.array([photo.label for photo in photos])
    figures = split_figures(scores, labels, card.accept_threshold)
    low, high = figures.accuracy_interval
    right = round(figures.accuracy * len(photos))
    print(
        f"{card.name} {card.version} ({card.export.precision}) at {options.url}: "
        f"{right} of {len(photos)} right, accuracy {figures.accuracy:.4f} (95 % interval {low:.4f} to {high:.4f}), "
        f"balanced {_balanced(scores, labels):.4f}"
    )
    print(f"accepted: {figures.accepted_share:.4f}, of which {figures.accepted_precision or 0:.4f} right")
    keras = _keras_scores(options.models / card.name / card.version / PREDICTIONS, len(photos))
    differing = int((scores.argmax(1) != keras.argmax(1)).sum())
    largest = float(np.abs(scores - keras).max())
    print(f"labels that differ from Keras: {differing} of {len(photos)}; largest difference of a score: {largest:.2g}")
    allowed = max(1, INT8_DIFFERING * len(photos)) if card.export.precision == "int8" else 0
    return 1 if differing > allowed else 0


def _can_be_decoded(photo: Photo, spec: InputSpec) -> bool:
    """Whether the photo took part in training's own measuring."""
    try:
        decode(photo.data, spec)
    except ImageError:
        return False
    return True


def _balanced(scores: NDArray[np.float64], labels: NDArray[np.int64]) -> float:
    """The mean over the labels of the share of their photos that are right."""
    right = scores.argmax(1) == labels
    return float(np.mean([right[labels == label].mean() for label in np.unique(labels)]))


async def _ask_all(options: AccuracyOptions, model: str, photos: list[Photo]) -> tuple[ModelCard, NDArray[np.float64]]:
    """The card of the version that answered, and its scores [N, K] in the photos' order."""
    limits = httpx.Limits(max_connections=options.concurrency)
    async with httpx.AsyncClient(base_url=options.url, limits=limits, timeout=30) as client:
        try:
            card = (await client.get(f"/v1/models/{model}")).raise_for_status().json()
            if card["card"] is None:
                raise HangtagError(f"{model} at {options.url} is {card['status']}, not ready: {card['reason']}")
            order = {label: index for index, label in enumerate(card["card"]["labels"])}
            scores = np.full((len(photos), len(order)), np.nan)
            todo = iter(enumerate(tqdm(photos, desc=f"asking {model}", unit="photo")))

            async def ask() -> None:
                for index, photo in todo:
                    for prediction in await _ask(client, model, photo):
                        scores[index, order[prediction["label"]]] = prediction["score"]

            async with asyncio.TaskGroup() as group:
                for _ in range(options.concurrency):
                    group.create_task(ask())
        except* httpx.HTTPError as errors:
            first = errors.exceptions[0]
            raise HangtagError(f"{options.url} did not answer as it should ({first}); is it running?") from errors
        return ModelCard.model_validate(card["card"]), scores


async def _ask(client: httpx.AsyncClient, model: str, photo: Photo) -> list[dict[str, float]]:
    response = await client.post(
        f"/v1/models/{model}/classify",
        params={"top_k": 1000},
        content=photo.data,
        headers={"Content-Type": "application/octet-stream"},
    )
    predictions: list[dict[str, float]] = response.raise_for_status().json()["predictions"]
    return predictions


def _keras_scores(path: Path, count: int) -> NDArray[np.float32]:
    """What the Keras model answered on the same photos, float32 [N, K]."""
    if not path.is_file():
        raise DataError(
            f"{path} is not there, so the answers cannot be held against Keras's; name the repository by --models."
        )
    with np.load(path, allow_pickle=False) as arrays:
        scores: NDArray[np.float32] = arrays["scores"]
    if len(scores) != count:
        raise DataError(
            f"{path} holds {len(scores)} answers, but the test split has {count} photos; it is another split."
        )
    return scores
