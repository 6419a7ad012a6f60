"""The examples of the Open Inference Protocol in the reference work, and answer what they say."""

import re
import shutil
import subprocess
from collections.abc import Iterator

import pytest

from support import PATIENCE, ROOT, Service
from test_foreign_clients import CLIENTS

REFERENCE = (ROOT / "docs" / "reference.md").read_text()
CURL, TRITON = REFERENCE.split("<!-- a test runs both examples -->")[1].split("## Errors")[0].split("With tritonclient")


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """Where the models that come with the repository are served."""
    with Service(ROOT / "models") as running:
        yield running.url.removeprefix("http://")


def example(text: str, address: str) -> tuple[str, str]:
    """What is to be typed, and what is answered."""
    lines = [line.removeprefix("    ") for line in text.splitlines() if line.startswith("    ") or not line]
    *typed, shown = "\n".join(lines).strip().split("\n\n")
    return "\n\n".join(typed).replace("127.0.0.1:8000", address), shown


def ran(*command: object) -> str:
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def check_alike(answer: str, shown: str) -> None:
    """The same text, with scores that may differ a little, since another processor rounds otherwise."""
    pattern = r"0\.\d{6}"
    assert re.sub(pattern, "", answer) == re.sub(pattern, "", shown)
    scores, right = ([float(score) for score in re.findall(pattern, text)] for text in (answer, shown))
    assert scores == pytest.approx(right, abs=1e-3)


def test_the_example_with_curl(address: str):
    if not shutil.which("curl"):
        pytest.skip("needs curl")
    typed, shown = example(CURL, address)
    check_alike(ran("bash", "-c", typed), re.sub(r"\n\s*", "", shown))


def test_the_example_with_tritonclient(address: str):
    if not CLIENTS.exists():
        pytest.skip("the clients are not installed; `make test` does that")
    typed, shown = example(TRITON, address)
    check_alike(ran(CLIENTS, "-c", typed).strip(), shown)
