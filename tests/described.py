"""The OpenAPI document and its copy, docs/openapi.json; `make openapi` runs this file, which writes the copy anew."""

import json
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx

from support import ROOT, Service, publish

COPY = ROOT / "docs" / "openapi.json"


def served(service: Service) -> str:
    """The document as the service has it, for people to read."""
    return json.dumps(httpx.get(f"{service.url}/openapi.json").json(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    with TemporaryDirectory() as models:
        publish(Path(models))
        with Service(Path(models)) as running:
            COPY.write_text(served(running))
