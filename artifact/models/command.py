"""`hangtag models`: one subcommand per thing that is done to the models of a repository."""

from collections.abc import Sequence

from artifact.subcommand import run_subcommand

# `diff` draws a page, for which it needs the training stack's libraries; all others run where the service does.
SUBCOMMANDS = {
    "list": ("artifact.models.list", "every model and version, with its labels and figures"),
    "show": ("artifact.models.show", "one version's card, for a person"),
    "verify": ("artifact.models.verify", "check every digest and replay the golden samples"),
    "label": ("artifact.models.label", "say which version is stable, canary or shadow"),
    "rollback": ("artifact.models.rollback", "end a canary, or go back to the version before"),
    "publish": ("artifact.models.publish", "take over a version that was made elsewhere"),
    "gc": ("artifact.models.gc", "remove old versions that no label names"),
    "diff": ("training.diff_command", "the photos on which two versions disagree, as a page"),
}


def run(arguments: Sequence[str]) -> int:
    """Run one subcommand; returns 2 for wrong usage."""
    return run_subcommand("models", SUBCOMMANDS, arguments)
