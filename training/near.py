"""Which photos nearly are the same photo, by a perceptual hash.

Why this hash and this distance: docs/decisions/0006-splits-and-duplicates.md.
"""

import imagehash
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from artifact.card import InputSpec, Resize
from artifact.pixels import decode

NEAR = 32  # bits of 256
SIDE = 64  # what the hash looks at, in pixels; smaller photos lack what it tells photos apart by

_BITS = 16  # each way
_WORDS = _BITS * _BITS // 64
_SEEN = InputSpec(height=SIDE, width=SIDE, channels=1, resize=Resize(fit="stretch"))
_PAIRS_AT_ONCE = 4_000_000


def fingerprint(data: bytes) -> NDArray[np.uint64]:
    """The perceptual hash of what an image file shows, uint64 [4]; raises an ImageError where it cannot be decoded."""
    grey = decode(data, _SEEN)[..., 0]
    bits = np.asarray(imagehash.phash(Image.fromarray(grey), _BITS).hash)
    return np.packbits(bits).view(np.uint64)


def near_groups(fingerprints: NDArray[np.uint64], at_most: int = NEAR) -> NDArray[np.int64]:
    """The group of each fingerprint, int64 [N]: whoever is near one of a group belongs to it, and so do its own near.

    `fingerprints` is uint64 [N, 4]. Groups are numbered in the order of their first members.
    """
    if not len(fingerprints):
        return np.zeros(0, np.int64)
    unique, kinds = np.unique(fingerprints, axis=0, return_inverse=True)
    groups = np.arange(len(unique))
    rows = max(1, _PAIRS_AT_ONCE // len(unique))
    for start in range(0, len(unique), rows):
        groups = _merge(groups, *_near_pairs(unique, start, start + rows, at_most))
    _, first, members = np.unique(groups[kinds.ravel()], return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[members].astype(np.int64)


def _near_pairs(
    hashes: NDArray[np.uint64], start: int, stop: int, at_most: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The pairs of a row from `start` to `stop` and any later row that differ in `at_most` bits."""
    ours, later = hashes[start:stop], hashes[start:]
    half = _WORDS // 2  # few pairs are near in one half already, and only those need a look at the other
    bits = sum(np.bitwise_count(ours[:, None, word] ^ later[None, :, word]) for word in range(half))
    rows, columns = np.nonzero(bits <= at_most)
    rest = np.bitwise_count(ours[rows, half:] ^ later[columns, half:]).sum(axis=1, dtype=np.int64)
    near = np.asarray(bits)[rows, columns] + rest <= at_most
    return rows[near] + start, columns[near] + start


def _merge(groups: NDArray[np.int64], rows: NDArray[np.int64], columns: NDArray[np.int64]) -> NDArray[np.int64]:
    """The groups after every pair of a row and a column is put into one."""
    count = len(groups)
    edges = coo_array((np.ones(len(rows), np.bool_), (groups[rows], groups[columns])), shape=(count, count))
    return np.asarray(connected_components(edges, directed=False)[1], np.int64)[groups]
