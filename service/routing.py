"""Who answers a request: the version that it names, the canary for its share, else what is stable."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from random import random

from artifact.errors import VersionNotFound
from artifact.rollout import Label
from service.model import HostedModel


@dataclass(frozen=True)
class Routing:
    """The loaded versions of one model by their labels, and the shares; replaced as a whole, never changed."""

    by_label: Mapping[Label, HostedModel] = field(default_factory=dict)
    canary_share: float = 0.0
    shadow_share: float = 0.0

    def __str__(self) -> str:
        shares = {"canary": self.canary_share, "shadow": self.shadow_share}
        return ", ".join(
            f"{model.version} is {label}" + (f" ({shares[label]:.0%})" if label in shares else "")
            for label, model in self.by_label.items()
        )

    @property
    def hosted(self) -> dict[str, HostedModel]:
        """Every loaded version by its number."""
        return {model.version: model for model in self.by_label.values()}

    def pick(self, key: str | None) -> HostedModel:
        """Who answers a request that names no version: the same one for the same key, while share and canary stay."""
        canary = self.by_label.get("canary")
        if canary and self.canary_share and _place(canary, key) < self.canary_share:
            return canary
        return self.by_label["stable"]

    def named(self, version: str) -> HostedModel:
        """The loaded version of this number or label; raises VersionNotFound."""
        for label, model in self.by_label.items():
            if version in (label, model.version):
                return model
        loaded = ", ".join(f"{model.version} ({label})" for label, model in self.by_label.items())
        raise VersionNotFound(f"Version {version!r} is not in service; those that are: {loaded}.")


def _place(canary: HostedModel, key: str | None) -> float:
    """Where a request stands between 0 and 1, which for a key depends on the canary alone: a larger share adds keys."""
    if key is None:
        return random()  # noqa: S311 - a sample, no secret
    digest = blake2b(f"{canary.name}/{canary.version}/{key}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64
