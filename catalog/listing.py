"""The photos of a job, as they were listed when it began: a file that is read part by part, however long it is."""

from collections.abc import Callable, Iterable
from itertools import islice
from mmap import ACCESS_READ, mmap
from pathlib import Path

import pyarrow as pa

from artifact.errors import JobDamaged
from catalog.listed import Listed
from catalog.whole import written

PART_SIZE = 256  # photos; what is done twice, where a job was broken off, is so many or several times as many

_SCHEMA = pa.schema([(field, pa.string()) for field in Listed._fields])
_PACKED = pa.ipc.IpcWriteOptions(compression="lz4")  # names in a row are much alike; zstd takes twice as long


class Listing:
    """Photos in order; part `i` has those from `i * PART_SIZE` on."""

    def __init__(self, path: Path) -> None:
        """Open what `write` wrote; raises JobDamaged."""
        try:
            with path.open("rb") as file:  # pyarrow opens no file whose name is no UTF-8
                self._file = pa.ipc.open_file(pa.py_buffer(mmap(file.fileno(), 0, access=ACCESS_READ)))
            self.parts: int = self._file.num_record_batches
            last = self._file.get_batch(self.parts - 1).num_rows if self.parts else 0
        except (OSError, ValueError, pa.ArrowException) as error:
            raise JobDamaged(f"{path} cannot be read; remove {path.parent} to begin anew.") from error
        self.photos: int = (self.parts - 1) * PART_SIZE + last if self.parts else 0

    def part(self, index: int) -> list[Listed]:
        """The photos of one part."""
        columns = [column.to_pylist() for column in self._file.get_batch(index).columns]
        return [Listed(*fields) for fields in zip(*columns, strict=True)]

    def size(self, index: int) -> int:
        """How many photos a part has."""
        return min(PART_SIZE, self.photos - index * PART_SIZE)

    @classmethod
    def write(cls, path: Path, photos: Iterable[Listed], listed: Callable[[int], object]) -> None:
        """Write all photos, in one step, and tell `listed` of so many more."""
        photos = iter(photos)
        with written(path) as file, pa.ipc.new_file(file, _SCHEMA, options=_PACKED) as writer:
            while part := list(islice(photos, PART_SIZE)):
                columns = [pa.array(column, pa.string()) for column in zip(*part, strict=True)]
                writer.write_batch(pa.record_batch(columns, schema=_SCHEMA))
                listed(len(part))
