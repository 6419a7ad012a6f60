"""One model that should be served: which versions are loaded, what is wrong with those that are not, and the swap."""

import asyncio
import logging
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import replace
from functools import partial

from artifact.card import ModelCard
from artifact.errors import (
    ArtifactError,
    CardInvalid,
    Draining,
    HangtagError,
    ModelUnavailable,
    RolloutInvalid,
    VersionChanged,
)
from artifact.repository import Repository
from artifact.rollout import TRIALS, Label, Rollout
from service.loading import Loader
from service.metrics import Metrics
from service.model import HostedModel
from service.model_metrics import ModelMetrics
from service.routing import Routing
from service.schemas import Failure, Status

logger = logging.getLogger("hangtag")

_UNFORESEEN = "It failed in a way that was not foreseen; the log says how."


class ServedModel:
    """A model and its versions in service.

    `routing` is what is so, where the labels say what should be: one whose version cannot be loaded stays where it was.
    It goes on without one that hangs, but not without the stable one: `give_up` is told why, and ends the process.
    """

    def __init__(
        self, name: str, repository: Repository, loader: Loader, metrics: Metrics, give_up: Callable[[str], None]
    ) -> None:
        self.name = name
        self.routing = Routing()
        self.is_wanted = True
        self.failures: list[Failure] = []
        self._repository = repository
        self._loader = loader
        self._metrics = metrics
        self._give_up = give_up
        self._given_up: dict[str, str] = {}  # versions that hung, and why
        self._was_tried = False
        self._retiring: set[asyncio.Task[None]] = set()
        self._wanted: dict[Label, str] = {"stable": repository.versions(name)[-1]}
        with suppress(RolloutInvalid):  # `bring` will say so
            self._wanted, _ = self._read()
        self.metrics_of(self.version)  # its series exist at zero from the start

    @property
    def version(self) -> str:
        """The version that is stable, or should be."""
        stable = self.routing.by_label.get("stable")
        return stable.version if stable else self._wanted["stable"]

    @property
    def status(self) -> Status:
        """How it is with the stable version: one on trial is in all replicas, and must not turn them all not ready."""
        if not self.is_wanted:
            return "unloaded"
        if self.answers:
            return "stuck" if self.routing.by_label["stable"].is_stuck else "ready"
        return "failed" if self._was_tried else "loading"

    @property
    def answers(self) -> bool:
        """Whether there is a stable version; while a runner of it is stuck, the others answer."""
        return "stable" in self.routing.by_label

    @property
    def reason(self) -> str | None:
        """Why what should be stable is not."""
        return next((failure.reason for failure in self.failures if failure.label == "stable"), None)

    def metrics_of(self, version: str) -> ModelMetrics:
        """The metrics of one version."""
        return ModelMetrics(self._metrics, self.name, version)

    def get(self, version: str | None, key: str | None) -> HostedModel:
        """Who answers; raises ModelUnavailable or VersionNotFound."""
        if not self.answers:
            raise ModelUnavailable(
                f"Model {self.name} {self.version} is {self.status}; /v1/models/{self.name} says more."
            )
        return self.routing.pick(key) if version is None else self.routing.named(version)

    async def bring(self) -> list[str]:
        """Load what the labels want, then let it answer in one step, and let go of what nobody wants; gives failures.

        What cannot be loaded is logged and kept in `failures`; its label stays where it was, with its old share.
        """
        try:
            wanted, rollout = await self._loader.read(self._read)
        except ArtifactError as error:
            self.failures = [Failure(label="stable", version=self.version, reason=self._explained(self.version, error))]
        else:
            self._tell_labels(wanted)
            await self._bring(wanted, rollout)
            self.is_wanted |= self.answers
        self._was_tried = True
        if not self.answers:
            self.metrics_of(self.version).unready()
        return [f"{self.name} {each.version} ({each.label}): {each.reason}" for each in self.failures]

    async def _bring(self, wanted: dict[Label, str], rollout: Rollout) -> None:
        self._given_up = {
            version: why
            for version, why in self._given_up.items()
            if version in wanted.values() and version != wanted["stable"]
        }
        loaded, reasons = self.routing.hosted, dict[str, str]()
        for version in dict.fromkeys(wanted.values()):  # stable first, if there is no room for all
            try:
                if version in loaded:
                    await self._loader.read(partial(self._check_unchanged, loaded[version]))
                elif version not in self._given_up:
                    loaded[version] = await self._loader.load(self.name, version, partial(self._go_on_without, version))
            except Draining:
                raise
            except Exception as error:  # noqa: BLE001 - whatever is wrong with one version, all others stay in service
                reasons[version] = self._explained(version, error)
        reasons |= self._given_up  # one may have been, meanwhile
        self.failures = [
            Failure(label=label, version=version, reason=reasons[version])
            for label, version in wanted.items()
            if version in reasons
        ]
        old = self.routing
        kept = {label: model for label, model in old.by_label.items() if wanted.get(label) in reasons}
        new = {label: loaded[version] for label, version in wanted.items() if version in loaded.keys() - self._given_up}
        by_label = kept | new
        for trial in TRIALS:
            if by_label.get(trial) is by_label.get("stable"):  # it stayed on trial, and is stable now
                by_label.pop(trial, None)
        self._swap(
            Routing(
                by_label,
                canary_share=(old if "canary" in kept else rollout).canary_share,
                shadow_share=(old if "shadow" in kept else rollout).shadow_share,
            )
        )

    def _check_unchanged(self, model: HostedModel) -> None:
        """Raise VersionChanged where the folder of a loaded version has another one in it; it may be gone."""
        with suppress(CardInvalid):
            if ModelCard.read(self._repository.root / self.name / model.version).files != model.card.files:
                raise VersionChanged(
                    f"{self.name} {model.version} is loaded, and another one is in its folder now; "
                    "a published version never changes: publish it under a number of its own."
                )

    def _go_on_without(self, version: str, why: str) -> None:
        """Let a version that hangs answer no more; where it is the stable one, only another process can go on.

        It is not loaded again until a reload finds it without a label, or stable: threads that hang stay.
        """
        labels = [label for label, hosted in self.routing.by_label.items() if hosted.version == version]
        if "stable" in labels:
            self._give_up(why)
            return
        self._given_up[version] = f"{why}, so it was given up. To try it again, take its labels away, then set them."
        logger.error("%s; the service goes on without it", why)
        self.metrics_of(version).load_ended("failed")
        self.failures += [Failure(label=label, version=version, reason=self._given_up[version]) for label in labels]
        others = {label: hosted for label, hosted in self.routing.by_label.items() if label not in labels}
        self._swap(replace(self.routing, by_label=others))

    def unload(self) -> None:
        """Answer no more; what was accepted is answered all the same."""
        self.is_wanted, self.failures = False, []
        self._swap(Routing())

    async def close(self) -> None:
        """Wait until all accepted photos are answered, and take no more."""
        self._swap(Routing())
        await asyncio.gather(*self._retiring)

    def _explained(self, version: str, error: Exception) -> str:
        foreseen = isinstance(error, HangtagError)
        reason = str(error) if foreseen else _UNFORESEEN
        logger.error("model %s %s failed to load: %s", self.name, version, reason, exc_info=not foreseen)
        return reason

    def _read(self) -> tuple[dict[Label, str], Rollout]:
        """The version of each label, and the shares, as the repository has them now."""
        newest = self._repository.versions(self.name)[-1]
        rollout = self._repository.rollout(self.name)
        return rollout.versions(newest), rollout

    def _tell_labels(self, wanted: dict[Label, str]) -> None:
        """Say in the metrics which version should have each label, and which has it no more."""
        for label, version in self._wanted.items():
            self.metrics_of(version).labelled(label, is_so=False)
        for label, version in wanted.items():
            self.metrics_of(version).labelled(label, is_so=True)
        self._wanted = wanted

    def _swap(self, routing: Routing) -> None:
        """The one step, and the end of those who have no label any more."""
        old, self.routing = self.routing, routing
        for model in old.hosted.values():
            model.end_shadow()
        stable, shadow = routing.by_label.get("stable"), routing.by_label.get("shadow")
        if stable and shadow and routing.shadow_share:
            stable.shadow = shadow.as_shadow(routing.shadow_share)
        if old != routing:
            logger.info("model %s: %s", self.name, routing if routing.by_label else "nothing is in service")
        self._retire(model for version, model in old.hosted.items() if version not in routing.hosted)

    def _retire(self, models: Iterable[HostedModel]) -> None:
        """Let go of versions when they have answered what they accepted; nobody waits for that but `close`."""
        for model in models:
            retiring = asyncio.create_task(model.close())
            self._retiring.add(retiring)
            retiring.add_done_callback(self._retiring.discard)
