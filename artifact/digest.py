"""Digests: what a card says of the files beside it, and the check that they are still those."""

from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path

from artifact.errors import DigestMismatch


def digest_bytes(data: bytes) -> str:
    """The digest of `data` as a card writes it: `sha256:` and 64 hex digits."""
    return "sha256:" + sha256(data).hexdigest()


def digest_files(folder: Path, names: Iterable[str]) -> dict[str, str]:
    """The digest of each named file in `folder`."""
    return {name: digest_bytes((folder / name).read_bytes()) for name in names}


def read_verified(path: Path, expected: str) -> bytes:
    """The content of a file, read once; raises DigestMismatch unless it has the digest that its card says."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DigestMismatch(f"{path} cannot be read ({error.strerror}), but its card names it.") from error
    found = digest_bytes(content)
    if found != expected:
        raise DigestMismatch(f"{path} has the digest {found}, but its card says {expected}; make it anew.")
    return content
