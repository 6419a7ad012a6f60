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

from artifact.command import Options
from artifact.errors import DataError, HangtagError
from training.data import Photo
from training.recipe import find_recipe, read_recipe
from training.sources import open_dataset

PREDICTIONS = "report/predictions.npz"


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
    """Measure; returns 0 when every label is the one that Keras gave, else 1."""
    options = AccuracyOptions.parse("bench accuracy", arguments)
    recipe = read_recipe(find_recipe(options.recipe))
    photos = list(open_dataset(recipe, options.data).photos("test"))
    version, scores = asyncio.run(_ask_all(options, recipe.name, photos))
    labels = np.array([photo.label for photo in photos])
    right = int((scores.argmax(1) == labels).sum())
    print(
        f"{recipe.name} {version} at {options.url}: {right} of {len(photos)} right, accuracy {right / len(photos):.4f}"
    )
    keras = _keras_scores(options.models / recipe.name / version / PREDICTIONS, len(photos))
    differing = int((scores.argmax(1) != keras.argmax(1)).sum())
    largest = float(np.abs(scores - keras).max())
    print(f"labels that differ from Keras: {differing} of {len(photos)}; largest difference of a score: {largest:.2g}")
    return 1 if differing else 0


async def _ask_all(options: AccuracyOptions, model: str, photos: list[Photo]) -> tuple[str, NDArray[np.float64]]:
    """The version that answered, and its scores [N, K] in the photos' order."""
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
        return card["version"], scores


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
