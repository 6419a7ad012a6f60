"""`hangtag` and its subcommands, whatever they do, as a shell calls them."""

import subprocess
from pathlib import Path

import pytest

from support import HANGTAG


@pytest.mark.parametrize(
    "arguments",
    [("--help",), ("models", "list", "--models")],
    ids=["help", "what a command prints"],
)
def test_who_reads_only_the_beginning_is_told_nothing_of_it(arguments: tuple[str, ...], models: Path):
    command = [*HANGTAG, *arguments, *([str(models)] if arguments[-1] == "--models" else [])]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout
        assert process.stderr
        process.stdout.close()
        complaint = process.stderr.read()
    assert (process.returncode, complaint) == (141, b"")
