"""Which code is running."""

import subprocess
from pathlib import Path


def code_revision() -> str:
    """The Git commit of this code, with `-dirty` if tracked files differ from it; `unknown` outside of Git."""
    folder = Path(__file__).parent
    describe = ["git", "-C", str(folder), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        done = subprocess.run(describe, capture_output=True, text=True, check=False)  # noqa: S603 - nothing from outside
    except OSError:
        return "unknown"
    return done.stdout.strip() or "unknown"
