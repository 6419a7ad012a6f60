"""A service under load, and what became of each request."""

import threading
from collections import Counter
from typing import Self

import httpx

from support import CLASSIFY, PATIENCE, Service, eventually, png


class Load:
    """Clients that ask for good images one after the other, each on its own connection, and what became of each."""

    def __init__(self, service: Service, clients: int = 4) -> None:
        self.outcomes: Counter[int | str] = Counter()
        self._service = service
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._ask) for _ in range(clients)]

    def _ask(self) -> None:
        with httpx.Client(base_url=self._service.url, timeout=PATIENCE) as client:
            while not self._stop.is_set():
                try:
                    self.outcomes[client.post(CLASSIFY, content=png(255)).status_code] += 1
                except httpx.ConnectError:  # it was not begun
                    self.outcomes["unconnected"] += 1
                except httpx.HTTPError as error:
                    self.outcomes[type(error).__name__] += 1

    def goes_on(self) -> None:
        """Wait until some more good answers have come."""
        before = self.outcomes[200]
        eventually(lambda: self.outcomes[200] > before + 10)

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        self.goes_on()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(PATIENCE)
