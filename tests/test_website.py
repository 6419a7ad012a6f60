"""The pages for people as they are served: their files, their headers, and a service that shows none."""

import re
from pathlib import Path

import httpx
import pytest

from browser import Page
from connected import Connection
from service.website import FILES, PAGES
from support import ROOT, Service, code

WEB = ROOT / "service" / "web"
HELD = sorted(path for path in WEB.rglob("*") if path.is_file())
MOST_BYTES = 60_000


def own(policy: str) -> dict[str, list[str]]:
    return {name: values for name, *values in (part.split() for part in policy.split(";"))}


@pytest.mark.parametrize("path", PAGES)
def test_a_page_needs_no_script_style_or_picture_but_those_in_files_of_the_service(service: Service, path: str):
    response = httpx.get(service.url + path)
    assert (response.status_code, response.headers["content-type"]) == (200, "text/html; charset=utf-8")
    policy = own(response.headers["content-security-policy"])
    assert policy["default-src"] == ["'none'"]
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == ["'self'"]
    assert policy["img-src"] == ["'self'", "blob:"]
    page = Page(response.text)
    assert all(script["src"].startswith("web/") for script in page.all("script"))
    assert not [name for _, attributes in page.elements for name in attributes if name == "style" or name[:2] == "on"]
    links = [each["href"] for each in (*page.all("link"), *page.all("a"))]
    assert not [link for link in links if "://" in link or link.startswith("/")], "so that it works below a path, too"


def test_every_file_comes_as_it_is_and_is_not_sent_twice(service: Service):
    with httpx.Client(base_url=service.url + FILES) as client:
        for file in HELD:
            tags = set[str]()
            for encoding in ("gzip", "identity"):
                client.headers["Accept-Encoding"] = encoding
                response = client.get(file.relative_to(WEB).as_posix())
                assert (response.status_code, response.content) == (200, file.read_bytes())
                assert response.headers.get("content-encoding", "identity") == encoding
                assert (response.headers["cache-control"], response.headers["vary"]) == ("no-cache", "Accept-Encoding")
                tags.add(response.headers["etag"])
                again = client.get(response.url, headers={"If-None-Match": response.headers["etag"]})
                assert (again.status_code, again.content) == (304, b"")
            assert len(tags) == 2


@pytest.mark.parametrize(
    ("accepted", "encoding"),
    [
        ("gzip", "gzip"),
        ("br;q=1.0, GZIP ; q=0.5, *;q=0", "gzip"),
        ("gzip;q=0.001", "gzip"),
        ("deflate, gzip, br", "gzip"),
        ("gzip;q=0", "identity"),
        ("identity, gzip; q=0.000 , br", "identity"),
        ("br, *;q=0.1", "identity"),
        ("", "identity"),
    ],
)
def test_nobody_gets_a_packed_file_who_does_not_take_it(accepted: str, encoding: str, service: Service):
    response = httpx.get(f"{service.url}{FILES}try.js", headers={"Accept-Encoding": accepted})
    assert response.headers.get("content-encoding", "identity") == encoding


def test_all_files_together_are_small_on_their_way(service: Service):
    sent = [httpx.get(f"{service.url}{FILES}{path.relative_to(WEB).as_posix()}") for path in HELD]
    assert sum(int(response.headers["content-length"]) for response in sent) < MOST_BYTES


def test_every_module_says_what_it_is_for_and_is_asked_for_by_a_page():
    modules = {path.name: path.read_text() for path in WEB.glob("*.js")}
    named = re.findall(
        r'"(?:web|\.)/([\w-]+\.js)"', "".join([*modules.values(), *map(Path.read_text, WEB.glob("*.html"))])
    )
    assert {*named} == modules.keys()
    for name, text in modules.items():
        assert text.startswith("// "), name


def test_there_is_nothing_but_these_files(service: Service):
    for path in ("nothing.js", "../web/try.js", "%2e%2e/web/try.js", "samples", "samples/", ""):
        with Connection(service.url) as connection:
            connection.send(f"GET {FILES}{path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            status, problem = connection.answer()
            assert (status, problem["code"]) == (404, "route_not_found")


def test_an_operator_can_turn_the_pages_off(models: Path):
    with Service(models, "--no-pages") as running:
        for path in (*PAGES, f"{FILES}try.js"):
            assert code(httpx.get(running.url + path)) == (404, "route_not_found")
        assert httpx.get(f"{running.url}/docs").status_code == 200
