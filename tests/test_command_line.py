"""`hangtag` and its subcommands, whatever they do, as a shell calls them."""

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

import hangtag
from support import HANGTAG


@pytest.mark.parametrize("arguments", [["--help"], ["models", "list", "--models"]], ids=["help", "what a command says"])
def test_where_nobody_reads_on_it_ends_and_complains_of_nothing(arguments: list[str], models: Path):
    read, write = os.pipe()
    os.close(read)
    command = [*HANGTAG, *arguments, *([str(models)] if arguments[-1] == "--models" else [])]
    ran = subprocess.run(command, stdout=write, stderr=subprocess.PIPE, check=False)
    os.close(write)
    assert (ran.returncode, ran.stderr) == (141, b"")


def test_where_its_output_is_closed_it_does_its_work_all_the_same(models: Path):
    command = [*HANGTAG, "models", "list", "--models", str(models)]
    ran = subprocess.run(["sh", "-c", '"$@" >&-', "sh", *command], stderr=subprocess.PIPE, check=False)
    assert (ran.returncode, ran.stderr) == (0, b"")


def test_a_connection_that_breaks_is_told(monkeypatch: pytest.MonkeyPatch):
    def run(_: list[str]) -> int:
        raise BrokenPipeError("of a socket")

    monkeypatch.setitem(sys.modules, "breaking", SimpleNamespace(run=run))
    monkeypatch.setitem(hangtag.COMMANDS, "breaking", ("breaking", "break"))
    with pytest.raises(BrokenPipeError, match="of a socket"):
        hangtag.main(["breaking"])
