"""`hangtag keys`: one subcommand per thing that is done to the API keys of a service."""

from collections.abc import Sequence

from artifact.subcommand import run_subcommand

SUBCOMMANDS = {
    "add": ("service.keys.add", "make a key, and print it, once"),
    "list": ("service.keys.list", "every key: whose it is, what it may do, until when"),
    "revoke": ("service.keys.revoke", "let a key open nothing any more"),
}


def run(arguments: Sequence[str]) -> int:
    """Run one subcommand; returns 2 for wrong usage."""
    return run_subcommand("keys", SUBCOMMANDS, arguments)
