"""A service that asks for keys, which its operator changes while it runs."""

from pathlib import Path

import httpx

from service.keys.file import KeysFile
from support import PATIENCE, Service, new_key

RELOAD = "/v1/admin/reload"
Header = dict[str, str]


class Keyed(Service):
    """The service; `file` has its keys, `operator` is the header of one with the scope admin."""

    def __init__(self, models: Path, file: Path, *options: str) -> None:
        self.file = file
        self.operator = new_key(file, "admin", name="operator")
        super().__init__(models, "--keys", str(file), *options)

    def reload(self) -> httpx.Response:
        return httpx.post(self.url + RELOAD, headers=self.operator, timeout=PATIENCE)

    def key(self, name: str, rate: str | None = None) -> Header:
        """The header of a new key that may classify."""
        header = new_key(self.file, "classify", name=name, rate=rate)
        self.reload().raise_for_status()
        return header

    def revoke(self, name: str) -> None:
        """Take a key out of the file; the service does not know it yet."""
        KeysFile.read(self.file).without(name).write(self.file)
