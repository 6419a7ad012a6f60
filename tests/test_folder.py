"""The folder that the processes of a service share: there is room for all that is in it, and nothing of it is left."""

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from shutil import rmtree

import pytest

from service import folder
from service.folder import make_folder
from support import ROOT

MAKES = "from service.folder import make_folder\nprint(make_folder({}), flush=True)\ninput()"
JOINS = "from pathlib import Path\nfrom service.folder import join\njoin(Path(input()))\nprint(flush=True)\ninput()"


@contextmanager
def process(program: str, told: str = "") -> Iterator[tuple["subprocess.Popen[str]", str]]:
    """A process that is killed in the end, and what it said first."""
    with subprocess.Popen([sys.executable, "-c", program], stdin=-1, stdout=-1, text=True, cwd=ROOT) as started:
        started.stdin.write(f"{told}\n" * bool(told))
        started.stdin.flush()
        yield started, started.stdout.readline().strip()
        started.kill()


def a_service_starts() -> None:
    rmtree(make_folder({}))


def test_a_folder_is_removed_by_the_next_service_when_the_last_process_that_had_it_was_killed():
    with process(MAKES) as (first, made):
        with process(JOINS, made):
            first.kill()
            first.wait()
            a_service_starts()
            assert Path(made).exists()
        a_service_starts()
        assert not Path(made).exists()


def test_a_folder_that_is_being_made_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(folder, "_MEMORY", tmp_path)
    (tmp_path / "hangtag-new").mkdir()
    a_service_starts()
    assert (tmp_path / "hangtag-new").exists()


def test_where_memory_is_full_the_folder_is_on_the_disk(
    full_disk: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
):
    disk = tmp_path_factory.mktemp("disk")
    monkeypatch.setattr(folder, "_MEMORY", full_disk)
    monkeypatch.setattr(tempfile, "tempdir", str(disk))
    made = make_folder({"a": 2**16, "b": 1})
    assert made.parent == disk
    assert (made / "a").stat().st_size == 2**16
    assert [path.name for path in full_disk.iterdir()] == ["filling"]
