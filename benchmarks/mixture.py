"""What clients of every kind ask, good and bad, mixed by chance; each request knows how it may be answered."""

import json
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from random import Random

from artifact.card import ModelCard
from benchmarks.drawn import pictures, too_large, unseen

_OK, _SHED, _LATE = 200, 429, 504
_MOST_BYTES = 10 * 2**20  # that the service takes by default
_MOST_TOGETHER = 9 * 2**20  # beside which there is room for JSON
_MOST_IMAGES = 8  # in one request
_BOUNDARY = "boundary"
_JSON_LENGTH = "Inference-Header-Content-Length"
_READ = ("/v1/models", "/v2", "/health/ready", "/metrics", "/openapi.json", "/docs", "/nowhere")


@dataclass(frozen=True)
class Ask:
    """A request, and the statuses that it may be answered with; none where its sender hangs up, after `cut` bytes."""

    name: str
    path: str
    body: bytes | None = None  # None for a GET
    headers: Mapping[str, str] = field(default_factory=dict)
    statuses: frozenset[int] = frozenset((_OK, _SHED))
    cut: int | None = None


class Mixture:
    """Draws requests to the models of these cards, with pictures up to a size; the same seed draws the same."""

    def __init__(self, cards: Sequence[ModelCard], most_pixels: int, seed: int) -> None:
        self._cards = cards
        self._random = Random(seed)  # noqa: S311 - no secret
        self._pictures, self._too_large = pictures(most_pixels), too_large()
        self._kinds: dict[Callable[[ModelCard], Ask], int] = {
            self._raw: 40,
            self._form: 10,
            self._infer_photos: 8,
            self._infer_pixels: 8,
            self._infer_json: 4,
            self._infer_bare: 4,
            self._bad: 10,
            self._late: 6,
            self._gone: 6,
            self._read: 4,
        }

    def draw(self) -> Ask:
        """The next request."""
        [kind] = self._random.choices([*self._kinds], [*self._kinds.values()])
        return kind(self._random.choice(self._cards))

    def everything(self) -> Iterator[Ask]:
        """Each picture, and full batches, to each model: all that makes it take more memory once, and keep it."""
        for card in self._cards:
            yield from (Ask("each", _classify(card), picture) for picture in self._pictures)
            yield from (self._pixels(card, _MOST_IMAGES) for _ in range(_MOST_IMAGES))

    def _photo(self) -> bytes:
        """Small ones are drawn more often than large ones, and some come again."""
        [photo] = self._random.choices(self._pictures, [1 / (len(file) + 10_000) for file in self._pictures])
        return photo if self._random.random() < 0.2 else unseen(photo)  # noqa: PLR2004 - a fifth

    def _raw(self, card: ModelCard) -> Ask:
        headers = {"Priority": f"u={self._random.randrange(8)}", "X-Request-Key": str(self._random.randrange(1000))}
        return Ask("raw", _classify(card), self._photo(), headers)

    def _form(self, card: ModelCard) -> Ask:
        head = f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="image"; filename="photo"\r\n\r\n'.encode()
        body = b"".join((head, self._photo(), f"\r\n--{_BOUNDARY}--\r\n".encode()))
        return Ask("form", _classify(card), body, {"Content-Type": f"multipart/form-data; boundary={_BOUNDARY}"})

    def _infer_photos(self, card: ModelCard) -> Ask:
        photos = [self._photo() for _ in range(self._random.randint(1, _MOST_IMAGES))]
        while sum(map(len, photos)) > _MOST_TOGETHER:
            photos.remove(max(photos, key=len))
        data = b"".join(len(photo).to_bytes(4, "little") + photo for photo in photos)
        return _infer("infer photos", card, "image_bytes", "BYTES", [len(photos)], data)

    def _infer_pixels(self, card: ModelCard) -> Ask:
        return self._pixels(card, self._random.randint(1, _MOST_IMAGES))

    def _pixels(self, card: ModelCard, images: int) -> Ask:
        shape = [images, *card.input.shape]
        data = self._random.randbytes(prod(shape))
        return _infer("infer pixels", card, "image", "UINT8", shape, data)

    def _infer_json(self, card: ModelCard) -> Ask:
        data = [b64encode(self._photo()).decode()]
        given = {"name": "image_bytes", "datatype": "BYTES", "shape": [1], "data": data}
        return Ask("infer JSON", f"/v2/models/{card.name}/infer", json.dumps({"inputs": [given]}).encode())

    def _infer_bare(self, card: ModelCard) -> Ask:
        return Ask("infer bare", f"/v2/models/{card.name}/infer", self._photo(), {_JSON_LENGTH: "0"})

    def _bad(self, card: ModelCard) -> Ask:
        photo, path = self._photo(), _classify(card)
        middle = len(photo) // 2
        body, headers, status = self._random.choice(
            (
                (b"", {}, 400),
                (b"no image at all", {"Content-Type": "image/jpeg"}, 422),
                (photo[:middle], {}, 422),
                (self._too_large, {}, 413),
                (photo, {"Content-Type": "text/plain"}, 415),
                (photo, {"Content-Type": "multipart/form-data; boundary=none"}, 400),
                (photo, {"X-Request-Deadline-Ms": "soon"}, 400),
                (bytes(_MOST_BYTES + 1), {}, 413),
            )
        )
        return Ask("bad", path, body, headers, frozenset((status, _SHED)))

    def _late(self, card: ModelCard) -> Ask:
        headers = {"X-Request-Deadline-Ms": str(self._random.randrange(30))}
        return Ask("late", _classify(card), self._photo(), headers, frozenset((_OK, _SHED, _LATE)))

    def _gone(self, card: ModelCard) -> Ask:
        photo = self._photo()
        return Ask("gone", _classify(card), photo, statuses=frozenset(), cut=self._random.randrange(len(photo) + 200))

    def _read(self, _card: ModelCard) -> Ask:
        path = self._random.choice(_READ)
        return Ask("read", path, statuses=frozenset((404 if path == "/nowhere" else _OK,)))


def _classify(card: ModelCard) -> str:
    return f"/v1/models/{card.name}/classify"


def _infer(name: str, card: ModelCard, given: str, datatype: str, shape: list[int], data: bytes) -> Ask:
    """A request of the Open Inference Protocol, with its data in binary behind the JSON."""
    parameters = {"binary_data_size": len(data)}
    head = {"inputs": [{"name": given, "datatype": datatype, "shape": shape, "parameters": parameters}]}
    text = json.dumps(head).encode()
    return Ask(name, f"/v2/models/{card.name}/infer", text + data, {_JSON_LENGTH: str(len(text))})
