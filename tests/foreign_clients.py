"""What clients that others wrote make of a running service, printed as JSON; their environment is not the tests'.

.venv-clients/bin/python tests/foreign_clients.py http://127.0.0.1:8000 dark.png light.png
"""

import asyncio
import json
import sys
from base64 import b64encode
from pathlib import Path

import httpx
import kserve
import numpy as np
import tritonclient.http as triton
from tritonclient.http import aio
from tritonclient.utils import InferenceServerException

PICTURES = np.stack([np.full((8, 8, 1), shade, np.uint8) for shade in (0, 255)])


def pixels(*, binary: bool) -> triton.InferInput:
    return triton.InferInput("image", list(PICTURES.shape), "UINT8").set_data_from_numpy(PICTURES, binary_data=binary)


def encoded(photos: list[bytes], *, binary: bool) -> triton.InferInput:
    """Photos; in JSON they are base64, since this client sends BYTES in JSON as UTF-8."""
    elements = np.array(photos if binary else [b64encode(photo) for photo in photos], np.object_)
    return triton.InferInput("image_bytes", [len(photos)], "BYTES").set_data_from_numpy(elements, binary_data=binary)


def with_triton(address: str, photos: list[bytes]) -> dict[str, object]:
    """tritonclient's blocking client."""
    wanted = triton.InferRequestedOutput("scores", binary_data=False)
    best = triton.InferRequestedOutput("scores", class_count=1)
    with triton.InferenceServerClient(address, concurrency=4) as client:
        asked = [client.async_infer("tiny", [pixels(binary=True)]) for _ in range(8)]
        named = client.infer("tiny", [pixels(binary=True)], "1", request_id="7", priority=1, timeout=20_000_000)
        return {
            "live": client.is_server_live(),
            "ready": client.is_server_ready(),
            "model ready": client.is_model_ready("tiny"),
            "version ready": client.is_model_ready("tiny", "1"),
            "other ready": client.is_model_ready("other"),
            "server": client.get_server_metadata()["name"],
            "model": client.get_model_metadata("tiny"),
            "index": client.get_model_repository_index(),
            "answer": named.get_response(),
            "scores": {
                "binary": named.as_numpy("scores").tolist(),
                "JSON": client.infer("tiny", [pixels(binary=False)], outputs=[wanted]).as_numpy("scores").tolist(),
                "photos in binary": client.infer("tiny", [encoded(photos, binary=True)]).as_numpy("scores").tolist(),
                "photos in JSON": client.infer("tiny", [encoded(photos, binary=False)]).as_numpy("scores").tolist(),
                **{f"asynchronous {i}": each.get_result().as_numpy("scores").tolist() for i, each in enumerate(asked)},
            },
            "classes": client.infer("tiny", [pixels(binary=True)], outputs=[best])
            .as_numpy("scores")
            .astype(str)
            .tolist(),
            "error": _triton_error(client),
        }


def _triton_error(client: triton.InferenceServerClient) -> tuple[str, str]:
    try:
        client.infer("tiny", [triton.InferInput("image", [1], "UINT8").set_data_from_numpy(np.zeros(1, np.uint8))])
    except InferenceServerException as error:
        return error.status(), error.message()
    return "none", ""


async def with_triton_aio(address: str, photos: list[bytes]) -> dict[str, object]:
    """tritonclient's asyncio client."""
    async with aio.InferenceServerClient(address) as client:
        answers = await asyncio.gather(
            client.infer("tiny", [pixels(binary=True)]),
            client.infer("tiny", [pixels(binary=False)]),
            client.infer("tiny", [encoded(photos, binary=True)]),
        )
        return {
            "ready": await client.is_model_ready("tiny"),
            "scores": {str(number): each.as_numpy("scores").tolist() for number, each in enumerate(answers)},
        }


async def with_kserve(url: str, photos: list[bytes]) -> dict[str, object]:
    """kserve's REST client."""

    async def infer(given: kserve.InferInput, *, binary: bool) -> list[list[float]]:
        asked = kserve.InferRequest("tiny", [given], parameters={"binary_data_output": True} if binary else None)
        return (await client.infer(url, asked, "tiny")).outputs[0].as_numpy().tolist()

    def in_binary(name: str, array: np.ndarray, datatype: str) -> kserve.InferInput:
        given = kserve.InferInput(name, list(array.shape), datatype)
        given.set_data_from_numpy(array, binary_data=True)
        return given

    text = [b64encode(photo).decode() for photo in photos]
    async with kserve.InferenceRESTClient(kserve.RESTConfig(protocol="v2", retries=0)) as client:
        return {
            "live": await client.is_server_live(url),
            "ready": await client.is_server_ready(url),
            "model ready": await client.is_model_ready(url, "tiny"),
            "other ready": await client.is_model_ready(url, "other"),
            "scores": {
                "JSON": await infer(kserve.InferInput("image", list(PICTURES.shape), "UINT8", PICTURES), binary=False),
                "binary": await infer(in_binary("image", PICTURES, "UINT8"), binary=True),
                "photos in JSON": await infer(kserve.InferInput("image_bytes", [2], "BYTES", text), binary=False),
                "photos in binary": await infer(
                    in_binary("image_bytes", np.array(photos, np.object_), "BYTES"), binary=True
                ),
            },
            "error": await _kserve_error(client, url),
        }


async def _kserve_error(client: kserve.InferenceRESTClient, url: str) -> str:
    try:
        await client.infer(url, {"inputs": []}, "tiny")
    except httpx.HTTPStatusError as error:
        return str(error)
    return "none"


def main(url: str, *files: str) -> None:
    """Ask with each client."""
    photos = [Path(file).read_bytes() for file in files]
    address = url.removeprefix("http://")
    found = {
        "triton": with_triton(address, photos),
        "triton aio": asyncio.run(with_triton_aio(address, photos)),
        "kserve": asyncio.run(with_kserve(url, photos)),
    }
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
