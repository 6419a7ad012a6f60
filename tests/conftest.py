import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

import drawn
import hangtag
import labelled
import support
from benchmarks.browsing import CHROMIUM, browsing
from chromium import Chromium, Visits

LONGEST = ("test_training.py", "test_networks.py", "test_export.py", "test_chaos.py", "test_benchmarks.py")


def pytest_sessionstart() -> None:
    """Hear SIGINT, which whoever runs tests in the background ignores; what the tests start would inherit that."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let the files that take longest go first, so that both processes end at about the same time."""
    items.sort(key=lambda item: LONGEST.index(item.path.name) if item.path.name in LONGEST else len(LONGEST))


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


@pytest.fixture(scope="session")
def shop_models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with models of different labels, some of which look like markup."""
    root = tmp_path_factory.mktemp("models")
    support.publish(root)
    support.publish(root, support.card(name="hats", labels=("black hat", "grey hat", "white hat")))
    support.publish(root, support.card(name="odd", labels=("<img src=x>", "b", "<script>alert(1)</script>")))
    return root


@pytest.fixture(scope="session")
def shop(shop_models: Path) -> Iterator[support.Service]:
    """A running service of these models, for tests that leave it as it was."""
    with support.Service(shop_models) as running:
        yield running


@pytest.fixture(scope="module")
def chromium() -> Iterator[Chromium]:
    """A browser for the tests of a file; not for all, since Playwright's event loop runs meanwhile, as others' do."""
    if not CHROMIUM:
        pytest.skip("pages are tried in Chromium, which is not here; Debian's package `chromium` will do")
    with browsing() as browser:
        yield Chromium(browser)


@pytest.fixture
def visit(chromium: Chromium) -> Iterator[Visits]:
    """Opens pages; at the end of the test no page may have complained of anything."""
    visits = Visits(chromium)
    yield visits
    visits.close()
    assert visits.complaints == []


@pytest.fixture
def still_good(service: support.Service) -> Iterator[None]:
    """After the test, the next good request is answered."""
    yield
    assert service.classify(support.png(0)).status_code == 200


@pytest.fixture
def shelf(tmp_path: Path) -> Path:
    """A repository with three versions of the tiny model, and with another model."""
    root = tmp_path / "models"
    for version in ("1", "2", "3"):
        support.publish(root, support.card(version=version))
    support.publish(root, support.card(name="hats"))
    return root


@pytest.fixture
def on_shelf(shelf: Path, capsys: pytest.CaptureFixture[str]) -> support.OnShelf:
    """Runs `hangtag models` on the shelf; gives the exit code, what was printed and what was complained of."""

    def run(command: str, *arguments: str) -> tuple[int, str, str]:
        code = hangtag.main(["models", command, *arguments, "--models", str(shelf)])
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


@pytest.fixture
def classify(models: Path, capsys: pytest.CaptureFixture[str]) -> labelled.Classify:
    """Runs `hangtag classify` with the tiny model; gives the exit code, what was printed and what was complained of."""

    def run(*arguments: str | Path, shelf: Path = models) -> tuple[int, str, str]:
        code = hangtag.main(["classify", *map(str, arguments), "--model", "tiny", "--models", str(shelf)])
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


@pytest.fixture
def narrow(models: Path) -> Iterator[support.Service]:
    """A service with one place."""
    with support.Service(models, "--max-items", "1") as running:
        yield running


@pytest.fixture
def silent() -> Iterator[str]:
    """The address of a server that takes connections, and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


@pytest.fixture(scope="session")
def drawn_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data root with the drawn dataset."""
    return drawn.draw_dataset(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="session")
def drawn_run(drawn_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of the drawn recipe; tests that break one copy it."""
    folder = tmp_path_factory.mktemp("drawn")
    recipe = drawn.write_recipe(folder)
    assert hangtag.main(["train", str(recipe), "--data", str(drawn_root), "--runs", str(folder / "runs")]) == 0
    [run] = (folder / "runs").iterdir()
    return run


@pytest.fixture(scope="session")
def real_root() -> Path:
    """The data root with the real Fashion-MNIST, where there is one."""
    for root in (os.environ.get("HANGTAG_DATA"), support.ROOT / "data", support.ROOT.parent / "shared" / "data"):
        if root and (Path(root) / "fashion-mnist").is_dir():
            return Path(root)
    pytest.skip("Fashion-MNIST is not here; HANGTAG_DATA can say where it is")


@pytest.fixture
def full_disk(tmp_path: Path) -> Iterator[Path]:
    """A folder on a disk without a free byte."""
    if os.geteuid():
        pytest.skip("only root can make a disk that is full")
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "none", tmp_path], check=False)
    if mounted.returncode:
        pytest.skip("nothing may be mounted here")
    with (tmp_path / "filling").open("wb", 0) as file, suppress(OSError):
        while True:
            file.write(bytes(4096))
    yield tmp_path
    subprocess.run(["umount", "--lazy", tmp_path], check=True)  # also after a test that left files open
