"""The command `hangtag`: trains, exports, serves and measures product-photo classifiers."""

import importlib
import os
import select
import sys
from collections.abc import Sequence

from artifact.errors import HangtagError, OptionInvalid

# Each subcommand's module is imported only when it is called, so that serving never loads the training stack.
COMMANDS = {
    "serve": ("service.command", "answer classification requests over HTTP"),
    "train": ("training.command", "train a model by a recipe"),
    "audit": ("training.audit_command", "look at photos before a model is trained on them"),
    "export": ("export.command", "turn a run folder into a verified model in models/"),
    "classify": ("catalog.command", "label a whole catalogue of photos"),
    "models": ("artifact.models.command", "list, verify, label, roll back and publish models"),
    "keys": ("service.keys.command", "make, list and revoke the API keys of a service"),
    "tune": ("benchmarks.tune", "find how a model runs best on this machine"),
    "bench": ("benchmarks.command", "measure a running service"),
}

# What a command needs beyond serving comes with training, but for these.
EXTRAS = {"classify": ("make catalog", "catalog")}

USAGE = """usage: hangtag COMMAND ...

commands:
{commands}

`hangtag COMMAND --help` shows the options and an example."""


_UNREAD = 141  # as of a program that SIGPIPE ended


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one subcommand; the exit code is 0 for success, 1 for an error that Hangtag explains, 2 for wrong usage.

    It is 141 where whoever read what it prints went before the end, as `head` does.
    """
    name, *rest = list(sys.argv[1:] if arguments is None else arguments) or ["--help"]
    try:
        try:
            return _run(name, rest)
        finally:
            _flush()
    except BrokenPipeError:
        if not _is_unread():
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the interpreter flushes at its end, too
        return _UNREAD


def _is_unread() -> bool:
    """Whether standard output is a pipe from which nobody reads any more."""
    poll = select.poll()
    poll.register(sys.stdout.fileno(), 0)
    return any(event & select.POLLERR for _, event in poll.poll(0))


def _flush() -> None:
    if sys.stdout:  # None, where whoever called closed it
        sys.stdout.flush()


def _run(name: str, rest: Sequence[str]) -> int:
    """Run the subcommand of this name."""
    if name not in COMMANDS:
        asked = name in {"-h", "--help"}
        lines = "\n".join(f"  {command:8} {what}" for command, (_, what) in COMMANDS.items())
        print(USAGE.format(commands=lines), file=sys.stdout if asked else sys.stderr)
        return 0 if asked else 2
    try:
        return int(importlib.import_module(COMMANDS[name][0]).run(rest))
    except HangtagError as error:
        for line in str(error).splitlines():
            print(f"hangtag {name}: {line}", file=sys.stderr)
        return 2 if isinstance(error, OptionInvalid) else 1
    except ModuleNotFoundError as error:
        if name == "serve":
            raise
        target, extra = EXTRAS.get(name, ("make train", "train"))
        print(f"hangtag {name}: needs {error.name}, which comes with `{target}` or hangtag[{extra}].", file=sys.stderr)
        return 1
    except KeyboardInterrupt as error:
        print(f"hangtag {name}: {str(error) or 'interrupted.'}", file=sys.stderr)
        _flush()
        os._exit(130)  # threads of the training stack still run, and an interpreter that ends around them can crash


if __name__ == "__main__":
    sys.exit(main())
