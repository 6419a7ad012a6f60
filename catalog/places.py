"""Which place a path or a URL is of."""

import time
from threading import Lock

from artifact.errors import SourceUnknown
from catalog.disk import Disk, is_of_disk
from catalog.globs import is_glob
from catalog.place import Place
from catalog.stores import EXTRAS, Clock, Store, open_store


class Places:
    """The disk and, once they are asked for, the stores, each with its connections; any number of threads may ask."""

    def __init__(self, clock: Clock = time) -> None:
        self._clock = clock
        self._disk = Disk()
        self._stores: dict[str, Store] = {}
        self._opening = Lock()

    def of(self, path: str) -> Place:
        """The place that has it; raises SourceUnknown for the URLs of anything else, and StoreError."""
        if is_of_disk(path):
            return self._disk
        scheme, _, rest = path.partition("://")
        bucket = rest.partition("/")[0]
        if scheme not in EXTRAS or not bucket or is_glob(bucket):
            raise SourceUnknown(
                f"{path} is none that can be read: s3://BUCKET/…, gs://BUCKET/… or az://CONTAINER/… can be."
            )
        with self._opening:
            if scheme not in self._stores:
                self._stores[scheme] = open_store(scheme, self._clock)
            return self._stores[scheme]
