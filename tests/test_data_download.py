import http.server
import threading
from collections.abc import Iterator
from hashlib import md5
from pathlib import Path

import pytest

from artifact.errors import DataError
from training.download import Remote, fetch

CONTENT = bytes(range(256)) * 1000


class Handler(http.server.BaseHTTPRequestHandler):
    """Serves CONTENT, but not at /missing; ignores Range at /no-range, and breaks off at /broken."""

    def do_GET(self) -> None:
        self.server.ranges.append(self.headers["Range"])
        start = int((self.headers["Range"] or "bytes=0-").removeprefix("bytes=").removesuffix("-"))
        if self.path == "/missing":
            return self.send_error(404)
        if self.path == "/no-range":
            start = 0
        if start >= len(CONTENT):
            return self.send_error(416)
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(CONTENT) - start))
        self.end_headers()
        return self.wfile.write(CONTENT[start : start + 1000 if self.path == "/broken" else None])

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[http.server.ThreadingHTTPServer]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.ranges = []
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def remote(server: http.server.ThreadingHTTPServer, path: str = "/file", content: bytes = CONTENT) -> Remote:
    return Remote(f"http://127.0.0.1:{server.server_port}{path}", md5(content, usedforsecurity=False).hexdigest())


def test_a_missing_file_is_downloaded_into_folders_that_are_not_there_yet(server, tmp_path: Path):
    path = tmp_path / "root" / "dataset" / "file.gz"
    assert fetch(remote(server), path) == path
    assert path.read_bytes() == CONTENT
    assert [file.name for file in path.parent.iterdir()] == ["file.gz"]


def test_a_present_file_is_neither_asked_for_nor_touched(server, tmp_path: Path):
    path = tmp_path / "file.gz"
    path.write_bytes(b"mine")
    tmp_path.chmod(0o500)
    fetch(remote(server), path)
    assert path.read_bytes() == b"mine"
    assert server.ranges == []


def test_a_download_goes_on_where_it_broke_off(server, tmp_path: Path):
    path = tmp_path / "file.gz"
    with pytest.raises(DataError, match=r"could not be downloaded .* try again to continue"):
        fetch(remote(server, "/broken"), path)
    assert not path.exists()
    arrived = path.with_name("file.gz.part").stat().st_size
    assert arrived == 1000
    fetch(remote(server), path)
    assert server.ranges == [None, f"bytes={arrived}-"]
    assert path.read_bytes() == CONTENT


def test_a_server_without_ranges_sends_the_whole_again(server, tmp_path: Path):
    path = tmp_path / "file.gz"
    path.with_name("file.gz.part").write_bytes(CONTENT[:500])
    assert fetch(remote(server, "/no-range"), path).read_bytes() == CONTENT


def test_a_part_that_is_already_the_whole_is_taken(server, tmp_path: Path):
    path = tmp_path / "file.gz"
    path.with_name("file.gz.part").write_bytes(CONTENT)
    assert fetch(remote(server), path).read_bytes() == CONTENT


def test_a_wrong_md5_is_refused_and_leaves_nothing(server, tmp_path: Path):
    with pytest.raises(DataError, match=r"gave a file with MD5 .* instead of"):
        fetch(remote(server, content=b"other"), tmp_path / "file.gz")
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_the_server_does_not_have_is_named_with_its_address(server, tmp_path: Path):
    with pytest.raises(DataError, match=r"file\.gz is missing, and http://127.*missing could not be downloaded .*404"):
        fetch(remote(server, "/missing"), tmp_path / "file.gz")


def test_a_server_that_is_not_there_is_named(tmp_path: Path):
    with pytest.raises(DataError, match="or point --data or HANGTAG_DATA to a folder that has it"):
        fetch(Remote("http://127.0.0.1:9/file", "0"), tmp_path / "file.gz")
