from collections.abc import Iterator
from pathlib import Path

import pytest

import support


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with the tiny model; tests that break one publish their own."""
    root = tmp_path_factory.mktemp("models")
    support.publish(root)
    return root


@pytest.fixture(scope="session")
def service(models: Path) -> Iterator[support.Service]:
    """One running service for all tests that leave it as it was."""
    with support.Service(models, "--max-body-bytes", "200000", "--max-pixels", "1000000") as running:
        yield running
