"""Photos are read from object stores as from folders: from a real S3 server on this machine, which also goes away."""

import importlib.util
import random
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from pathlib import Path
from threading import Thread

import pytest

from artifact.errors import (
    PathMissing,
    PhotoForbidden,
    PhotoMissing,
    PhotoTooLarge,
    SourceEmpty,
    SourceForbidden,
    SourceNotFound,
    StoreDenied,
    StoreUnreachable,
    StoreUnsupported,
)
from buckets import BUCKET, URL, Bucket
from catalog.listed import Listed
from catalog.places import Places
from catalog.reading import Reader
from catalog.sources import list_photos
from catalog.stores import LONGEST_PAUSE, PATIENCE, Store
from support import packed, png, tarred

FILES = ("b/2.png", "b.png", "a/z/1.JPG", "a/10.jpeg", "\u00e9 %20+?#&.png", "b-c/1.tif")
NOBODY_KNOWS = ("a/list.csv", "a/readme", ".cache/1.png")


class Pauses:
    """A clock that lets nobody wait, and notes for how long they would have; `then` comes after each pause."""

    def __init__(self, then: Callable[[], None] = lambda: None) -> None:
        self.pauses: list[float] = []
        self._then = then

    def monotonic(self) -> float:
        return sum(self.pauses)

    def sleep(self, seconds: float, /) -> None:
        self.pauses.append(seconds)
        self._then()


@pytest.fixture(scope="module")
def server() -> Iterator[Bucket]:
    with pytest.MonkeyPatch.context() as environment, Bucket(environment) as running:
        yield running


@pytest.fixture(scope="module")
def places(server: Bucket) -> Places:
    """The way to the server for all who need no clock and no credentials of their own."""
    del server
    return Places(Pauses())


@pytest.fixture
def bucket(server: Bucket) -> Bucket:
    return server.empty()


@pytest.fixture
def shop(bucket: Bucket) -> Bucket:
    """A bucket with photos in folders, and what is none."""
    bucket.put({f"photos/{name}": name.encode() for name in FILES + NOBODY_KNOWS})
    bucket.put({"photos/": b"", "photos/a/": b"", "photos-2/x.png": b""})
    return bucket


def paths(places: Places, source: str) -> list[str]:
    return [photo.path for photo in list_photos([source], places=places)]


@pytest.mark.usefixtures("shop")
@pytest.mark.parametrize("source", [f"{URL}/photos", f"{URL}/photos/"])
def test_a_prefix_is_listed_and_read_as_the_same_folder_would_be(source: str, places: Places, tmp_path: Path):
    passed_over: Counter[str] = Counter()
    photos = [*list_photos([source], passed_over=passed_over, places=places)]
    for name in FILES:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(name.encode())
    here = [photo.path.removeprefix(str(tmp_path)) for photo in list_photos([str(tmp_path)])]
    assert [photo.path for photo in photos] == [f"{URL}/photos{name}" for name in here]
    assert passed_over == {".csv": 1, "": 1}
    reader = Reader(places=places)
    with ThreadPoolExecutor(4) as pool:
        assert [*pool.map(reader.read, photos)] == [name[1:].encode() for name in here]


def test_a_slash_at_its_end_says_that_a_prefix_is_meant_and_not_the_object_of_this_name(bucket: Bucket, places: Places):
    bucket.put({"photos": b"", "photos/a.png": b""})
    assert paths(places, f"{URL}/photos/") == [f"{URL}/photos/a.png"]


def test_a_listing_of_many_pages_is_whole_and_in_order(bucket: Bucket, places: Places, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("MOTO_S3_DEFAULT_MAX_KEYS", "3")
    names = [f"{index}.png" for index in random.Random(1).sample(range(10**6), 14)]  # noqa: S311 - for a test
    bucket.put(dict.fromkeys(names, b""))
    assert paths(places, URL) == [f"{URL}/{name}" for name in sorted(names)]


@pytest.mark.usefixtures("shop")
def test_a_store_without_pages_lists_the_same():
    assert [*Store("s3").files_below(f"{URL}/photos")] == sorted(FILES + NOBODY_KNOWS, key=str.encode)


@pytest.mark.usefixtures("shop")
def test_a_glob_stands_for_the_objects_that_it_matches(places: Places):
    assert paths(places, f"{URL}/photos/*.png") == [f"{URL}/photos/b.png", f"{URL}/photos/\u00e9 %20+?#&.png"]
    assert paths(places, f"{URL}/**/1.*") == [f"{URL}/photos/a/z/1.JPG", f"{URL}/photos/b-c/1.tif"]
    assert paths(places, f"{URL}/photos*/[bx].png") == [f"{URL}/photos-2/x.png", f"{URL}/photos/b.png"]
    with pytest.raises(SourceEmpty, match="matches no photo"):
        paths(places, f"{URL}/nothing/*.png")


@pytest.mark.parametrize("suffix", ["zip", "tar", "tgz"])
def test_an_archive_in_a_store_is_read(bucket: Bucket, places: Places, suffix: str):
    noise = random.Random(1)  # noqa: S311 - for a test
    files = {f"a/{index}.png": noise.randbytes(50_000) for index in range(30)}
    bucket.put({f"shop.{suffix}": packed(files) if suffix == "zip" else tarred(files, suffix)})
    photos = [*list_photos([f"{URL}/*.{suffix}"], places=places)]
    assert [photo.path for photo in photos] == [f"{URL}/shop.{suffix}/{name}" for name in files]
    reader = Reader(places=places)
    with ThreadPoolExecutor(4) as pool:
        assert [*pool.map(reader.read, photos)] == [*files.values()]


def test_a_manifest_in_a_store_has_paths_beside_it_and_elsewhere(bucket: Bucket, places: Places, tmp_path: Path):
    (tmp_path / "here.png").write_bytes(png(1))
    rows = ["a.png", "../b.png", f"{URL}/c.png", "", "gone.png", str(tmp_path / "here.png")]
    text = "".join(f"{row},\n" for row in ["photo", *rows]).encode()
    bucket.put({"lists/new.csv": text, "lists/a.png": b"a", "b.png": b"b", "c.png": b"c"})
    photos, reader = [*list_photos([f"{URL}/lists/new.csv"], "photo", places=places)], Reader(places=places)
    assert [photo.path for photo in photos] == [row or f"{URL}/lists/new.csv row 4" for row in rows]
    assert [reader.read(photos[index]) for index in (0, 1, 2, 5)] == [b"a", b"b", b"c", png(1)]
    with pytest.raises(PathMissing):
        reader.read(photos[3])
    with pytest.raises(PhotoMissing, match=r"gone\.png is not there"):
        reader.read(photos[4])


def test_a_manifest_on_this_machine_may_name_objects(bucket: Bucket, places: Places, tmp_path: Path):
    bucket.put({"a.png": b"a"})
    (tmp_path / "list.jsonl").write_text(f'{{"path": "{URL}/a.png"}}')
    [photo] = list_photos([str(tmp_path / "list.jsonl")])
    assert Reader(places=places).read(photo) == b"a"


def test_an_empty_object_is_an_empty_photo_and_a_large_one_is_refused(bucket: Bucket, places: Places):
    bucket.put({"0.png": b"", "1000.png": bytes(1000), "1001.png": bytes(1001)})
    reader = Reader(max_photo_bytes=1000, places=places)
    empty, most, large = list_photos([URL], places=places)
    assert reader.read(empty) == b""
    assert reader.read(most) == bytes(1000)
    with pytest.raises(PhotoTooLarge, match=r"1001\.png has more than 1000 bytes"):
        reader.read(large)


@pytest.mark.usefixtures("shop")
@pytest.mark.parametrize("source", [f"{URL}/phtos", f"{URL}/photos/b.pn", f"{URL}2/photos", f"{URL}2"])
def test_a_prefix_or_a_bucket_that_is_not_there_is_not_found(source: str, places: Places):
    with pytest.raises(SourceNotFound, match=f"There is no {source}"):
        paths(places, source)


def test_a_store_that_is_gone_in_mid_job_is_asked_again_with_growing_pauses_and_named(shop: Bucket):
    clock = Pauses()
    places = Places(clock)
    reader = Reader(places=places)
    first, second, *_ = list_photos([f"{URL}/photos"], places=places)
    reader.read(first)
    shop.stop()
    with pytest.raises(StoreUnreachable, match=rf"{second.where} cannot be reached.*Run the same command again"):
        reader.read(second)
    assert clock.pauses[:4] == [1, 2, 4, 8]
    assert all(before <= after <= LONGEST_PAUSE for before, after in pairwise(clock.pauses))
    assert PATIENCE <= sum(clock.pauses) < PATIENCE + LONGEST_PAUSE
    with pytest.raises(StoreUnreachable, match=f"{URL}/photos cannot be reached"):
        paths(places, f"{URL}/photos")
    shop.start()


def test_a_store_that_comes_back_is_read_on(shop: Bucket):
    clock = Pauses(then=shop.start)
    places = Places(clock)
    photos = [*list_photos([f"{URL}/photos"], places=places)]
    shop.stop()
    assert Reader(places=places).read(photos[1]) == b"a/z/1.JPG"
    shop.stop()
    assert [*list_photos([f"{URL}/photos"], places=places)] == photos
    assert clock.pauses == [1, 1]


@pytest.mark.usefixtures("bucket")
@pytest.mark.parametrize("where", [URL, f"{URL}/", f"{URL}/{'x' * 1100}", "s3://no bucket/a.png", "s3://nobody/a.png"])
def test_a_name_that_no_object_has_is_no_error_of_the_store(where: str, places: Places):
    with pytest.raises(PhotoMissing):
        Reader(places=places).read(Listed("a.png", where))


class Troubled(BaseHTTPRequestHandler):
    """A store that has trouble with every request but each third."""

    asked = 0

    def do_GET(self) -> None:
        Troubled.asked += 1
        well = Troubled.asked % 3 == 0
        body = b"a photo" if well else b"<Error><Code>InternalError</Code><Message>We had trouble.</Message></Error>"
        self.send_response(206 if well else 500)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_HEAD(self) -> None:
        self.send_response(500)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Nobody reads it."""


@pytest.mark.usefixtures("bucket")
def test_a_store_that_has_trouble_is_asked_again(monkeypatch: pytest.MonkeyPatch):
    with ThreadingHTTPServer(("127.0.0.1", 0), Troubled) as server:
        Thread(target=server.serve_forever).start()
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.server_port}")
        clock = Pauses()
        assert Reader(places=Places(clock)).read(Listed("a.png", f"{URL}/a.png")) == b"a photo"
        server.shutdown()
    assert clock.pauses == [1, 2]


@pytest.mark.usefixtures("shop")
def test_without_credentials_a_job_stops_at_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    clock = Pauses()
    places = Places(clock)
    with pytest.raises(StoreDenied, match=r"is refused: Unable to locate credentials\. Set, or renew, the credentials"):
        paths(places, f"{URL}/photos")
    with pytest.raises(StoreDenied, match="credentials"):
        Reader(places=places).read(Listed("b.png", f"{URL}/photos/b.png"))
    assert clock.pauses == []


def test_credentials_that_are_not_known_stop_a_job_at_once(shop: Bucket):
    shop.check_keys()
    clock = Pauses()
    with pytest.raises(StoreDenied, match=r"photos/b\.png is refused: .*Set, or renew, the credentials of s3://"):
        Reader(places=Places(clock)).read(Listed("b.png", f"{URL}/photos/b.png"))
    assert clock.pauses == []


def test_what_the_credentials_have_no_right_to_is_forbidden(shop: Bucket, monkeypatch: pytest.MonkeyPatch):
    users = shop.client("iam")
    users.create_user(UserName="reader")
    key = users.create_access_key(UserName="reader")["AccessKey"]
    users.close()
    shop.check_keys()
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", key["AccessKeyId"])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", key["SecretAccessKey"])
    places = Places(Pauses())
    with pytest.raises(PhotoForbidden, match=r"b\.png may not be read"):
        Reader(places=places).read(Listed("b.png", f"{URL}/photos/b.png"))
    with pytest.raises(SourceForbidden, match=f"{URL}/photos may not be read"):
        paths(places, f"{URL}/photos")


@pytest.mark.parametrize(("scheme", "extra", "package"), [("gs", "gs", "gcsfs"), ("az", "az", "adlfs")])
def test_a_store_whose_package_is_not_there_is_named_with_what_to_install(scheme: str, extra: str, package: str):
    if importlib.util.find_spec(package):
        pytest.skip(f"{package} is installed")
    with pytest.raises(StoreUnsupported, match=rf"{scheme}:// needs .* hangtag\[{extra}\]"):
        list_photos([f"{scheme}://{BUCKET}/photos"])
    with pytest.raises(StoreUnsupported):
        Reader().read(Listed("a.png", f"{scheme}://{BUCKET}/a.png"))
