"""The published versions of a model, in service or not: rarely asked for, so their cards are read each time."""

import asyncio

from artifact.errors import CardInvalid
from artifact.repository import Repository
from artifact.rollout import Label
from service.schemas import Version, VersionList
from service.served import ServedModel


async def history(repository: Repository, model: ServedModel) -> VersionList:
    """Every version, the newest first; raises ModelNotFound where the model's folder is gone."""
    labels: dict[str, list[Label]] = {}
    for label, hosted in model.routing.by_label.items():
        labels.setdefault(hosted.version, []).append(label)
    return await asyncio.to_thread(_read, repository, model.name, labels)


def _read(repository: Repository, name: str, labels: dict[str, list[Label]]) -> VersionList:
    newest_first = reversed(repository.versions(name))
    return VersionList(versions=[_version(repository, name, each, labels.get(each, [])) for each in newest_first])


def _version(repository: Repository, name: str, version: str, labels: list[Label]) -> Version:
    try:
        card = repository.card(name, version)
    except CardInvalid:
        return Version(version=version, labels=labels, created=None, precision=None, model_bytes=None, test=None)
    return Version(
        version=version,
        labels=labels,
        created=card.created,
        precision=card.export.precision,
        model_bytes=card.export.model_bytes,
        test=card.figures.get("test"),
    )
