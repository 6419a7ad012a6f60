"""`hangtag keys`: one subcommand per thing that is done to the API keys of a service."""

import importlib
import sys
from collections.abc import Sequence

SUBCOMMANDS = {
    "add": ("service.keys.add", "make a key, and print it, once"),
    "list": ("service.keys.list", "every key: whose it is, what it may do, until when"),
    "revoke": ("service.keys.revoke", "let a key open nothing any more"),
}

USAGE = """usage: hangtag keys COMMAND ...

commands:
{commands}

`hangtag keys COMMAND --help` shows the options and an example.
Example: hangtag keys list"""


def run(arguments: Sequence[str]) -> int:
    """Run one subcommand; returns 2 for wrong usage."""
    name, *rest = list(arguments) or ["--help"]
    if name in SUBCOMMANDS:
        return int(importlib.import_module(SUBCOMMANDS[name][0]).run(rest))
    asked = name in {"-h", "--help"}
    lines = "\n".join(f"  {command:8} {what}" for command, (_, what) in SUBCOMMANDS.items())
    print(USAGE.format(commands=lines), file=sys.stdout if asked else sys.stderr)
    return 0 if asked else 2
