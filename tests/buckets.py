"""A real S3 server on this machine, with one bucket; it can go away and come back."""

from collections.abc import Mapping
from typing import Any, Self

import boto3
import httpx
import pytest
from moto.server import ThreadedMotoServer

BUCKET = "shop"
URL = f"s3://{BUCKET}"


class Bucket:
    """What is put in it can be read at `URL` by whatever finds its server as the environment says."""

    def __init__(self, environment: pytest.MonkeyPatch) -> None:
        self._server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
        self._server.start()
        self._host, self._port = self._server.get_host_and_port()
        self.endpoint = f"http://{self._host}:{self._port}"
        settings = {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": "anybody",
            "AWS_SECRET_ACCESS_KEY": "anything",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_MAX_ATTEMPTS": "1",  # the package's own, which wait for seconds
        }
        for name, value in settings.items():
            environment.setenv(name, value)
        self._s3 = self.client("s3")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._s3.close()
        self.stop()

    def client(self, service: str) -> Any:
        return boto3.client(service)  # type: ignore[call-overload]

    def empty(self) -> Self:
        """There is nothing in it, and everybody may read that; servers of one process share what they have."""
        self._tell("reset-auth", "inf")
        self._tell("reset")
        self._s3.create_bucket(Bucket=BUCKET)
        return self

    def put(self, files: Mapping[str, bytes]) -> None:
        for name, data in files.items():
            self._s3.put_object(Bucket=BUCKET, Key=name, Body=data)

    def check_keys(self) -> None:
        """From now on it asks for credentials that it knows, and for the right to what is asked."""
        self._tell("reset-auth", "0")

    def stop(self) -> None:
        """It is gone, as if it had been killed; what it has stays."""
        self._server.stop()

    def start(self) -> None:
        """It is there again, at the same address."""
        self._server = ThreadedMotoServer(self._host, self._port, verbose=False)
        self._server.start()

    def _tell(self, what: str, value: str = "") -> None:
        httpx.post(f"{self.endpoint}/moto-api/{what}", content=value).raise_for_status()
