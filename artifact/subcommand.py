"""A command that is several, such as `hangtag models list`: the one that is named is imported, and run."""

import importlib
import sys
from collections.abc import Mapping, Sequence

USAGE = """usage: hangtag {command} COMMAND ...

commands:
{lines}

`hangtag {command} COMMAND --help` shows the options and an example.
Example: hangtag {command} list"""


def run_subcommand(command: str, subcommands: Mapping[str, tuple[str, str]], arguments: Sequence[str]) -> int:
    """Run the one that is named, by its module; what it does is told in the usage. Returns 2 for wrong usage."""
    name, *rest = list(arguments) or ["--help"]
    if name in subcommands:
        return int(importlib.import_module(subcommands[name][0]).run(rest))
    asked = name in {"-h", "--help"}
    lines = "\n".join(f"  {each:8} {what}" for each, (_, what) in subcommands.items())
    print(USAGE.format(command=command, lines=lines), file=sys.stdout if asked else sys.stderr)
    return 0 if asked else 2
