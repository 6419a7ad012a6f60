"""What strangers cannot do: have the service fetch things, use it from pages of theirs, or hide scripts in its own."""

import ast
import re
import socket
import tomllib
from base64 import b64encode
from collections.abc import Iterator
from contextlib import closing
from hashlib import sha256
from pathlib import Path

import httpx
import pytest

from browser import Page
from open_inference import ask as infer
from open_inference import photos
from support import CLASSIFY, ROOT, Service, card, new_key, png, publish

SHOP = "https://shop.example"
ASKING = {"Origin": SHOP, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization"}
FETCHING = {"aiohttp", "ftplib", "http.client", "httpx", "requests", "urllib.request", "urllib3", "xmlrpc"}
UNPICKLING = {"dill", "joblib", "marshal", "pickle", "shelve", "torch"}
CLIENT = {"service/client.py", "service/call.py"}


def imported(path: Path) -> set[str]:
    """Every module that a file imports, also as a part of another."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names | {name.partition(".")[0] for name in names}


def sources(*packages: str) -> Iterator[tuple[str, Path]]:
    for package in packages:
        for path in sorted((ROOT / package).rglob("*.py")):
            yield str(path.relative_to(ROOT)), path


# Nothing is fetched, and nothing is unpickled.


def test_the_service_could_fetch_nothing():
    found = {name: imported(path) & FETCHING for name, path in sources("service") if name not in CLIENT}
    assert {name: names for name, names in found.items() if names} == {}
    assert imported(ROOT / "service/client.py") & FETCHING


def test_a_url_in_a_request_is_not_asked(service: Service):
    with closing(socket.create_server(("127.0.0.1", 0))) as bait:
        url = f"http://127.0.0.1:{bait.getsockname()[1]}/photo.png"
        answers = [
            service.classify(url.encode()),
            service.classify(f"<svg><image href='{url}'/></svg>".encode(), content_type="image/jpeg"),
            httpx.post(service.url + CLASSIFY, files={"image": ("photo.png", url.encode(), "image/png")}),
            httpx.post(service.url + CLASSIFY, params={"image": url}, headers={"Referer": url, "X-Request-Key": url}),
            httpx.post(service.url + CLASSIFY, json={"url": url}),
            infer(service, photos(url.encode())),
            infer(service, photos(png(0)), parameters={"url": url}),
        ]
        assert [answer.status_code for answer in answers] == [422, 422, 422, 400, 415, 422, 200]
        bait.settimeout(0)
        with pytest.raises(BlockingIOError):
            bait.accept()


def test_nothing_is_unpickled_and_keras_files_are_loaded_in_safe_mode():
    loads = 0
    for name, path in sources("artifact", "benchmarks", "export", "service", "training"):
        assert not imported(path) & UNPICKLING, name
        for call in (node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)):
            function, options = ast.unparse(call.func), {each.arg: ast.unparse(each.value) for each in call.keywords}
            if function in {"np.load", "numpy.load"}:
                assert options["allow_pickle"] == "False", name
                loads += 1
            if function.endswith("saving.load_model"):
                assert options["safe_mode"] == "True", name
                loads += 1
    assert loads >= 4


def test_no_rule_of_bandit_is_passed_over_without_a_reason():
    rules = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["ruff"]["lint"]
    assert rules["select"] == ["ALL"]
    assert not [rule for rule in rules["ignore"] if re.fullmatch(r"S\d*", rule)]
    for name, path in sources("artifact", "benchmarks", "deploy", "export", "service", "tests", "training"):
        for line in path.read_text().splitlines():
            assert not re.search(r"# noqa: ?([A-Z0-9]+, ?)*S\d+(?!.*( - | \())", line), (name, line)


# Pages.


@pytest.fixture(scope="module")
def paged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service whose model has a report, which pages of a shop may ask."""
    root = tmp_path_factory.mktemp("paged")
    publish(root, card(), report=b"<!doctype html><title>drawn</title>")
    keys = root.with_name("paged-keys.json")
    new_key(keys, "classify")
    with Service(
        root, "--keys", str(keys), "--cors-origins", f"{SHOP},http://127.0.0.1:3000", "--anonymous"
    ) as running:
        yield running


def policy(response: httpx.Response) -> dict[str, list[str]]:
    """A page's Content-Security-Policy, by directive."""
    parts = (part.split() for part in response.headers["content-security-policy"].split(";"))
    return {name: values for name, *values in parts}


@pytest.mark.parametrize("path", ["/v1/models/tiny/report", "/docs"])
def test_pages_load_nothing_from_elsewhere_and_stand_in_no_frame(paged: Service, path: str):
    response = httpx.get(paged.url + path)
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    assert response.headers["x-frame-options"] == "DENY"
    assert response.headers["referrer-policy"] == "no-referrer"
    assert response.headers["cross-origin-opener-policy"] == "same-origin"
    assert response.headers["cross-origin-resource-policy"] == "same-origin"
    directives = policy(response)
    assert directives["default-src"] == directives["frame-ancestors"] == directives["base-uri"] == ["'none'"]
    sources = {source for values in directives.values() for source in values}
    assert not any("http" in source or "*" in source or "unsafe-eval" in source for source in sources)


def test_every_answer_says_that_its_type_is_what_it_is(paged: Service):
    for path in ("/docs", "/metrics", "/v1/models", "/nothing", "/health/live"):
        assert httpx.get(paged.url + path).headers.get_list("x-content-type-options") == ["nosniff"]


def test_the_report_runs_no_script(paged: Service):
    assert "script-src" not in policy(httpx.get(f"{paged.url}/v1/models/tiny/report"))


def test_the_api_page_runs_its_own_scripts_and_has_all_its_files_from_the_service(paged: Service):
    response = httpx.get(f"{paged.url}/docs")
    page = Page(response.text)
    files = [script["src"] for script in page.all("script") if "src" in script] + [
        link["href"] for link in page.all("link")
    ]
    assert len(files) == 3
    for file in files:
        answer = httpx.get(f"{paged.url}/{file}")
        assert (answer.status_code, len(answer.content) > 1000) == (200, True), file
    [inline] = re.findall(r"<script>(.*?)</script>", response.text, re.DOTALL)
    digest = b64encode(sha256(inline.encode()).digest()).decode()
    assert policy(response)["script-src"] == ["'self'", f"'sha256-{digest}'"]


# Pages of others.


def test_pages_of_others_may_ask_where_they_are_named_and_browsers_ask_for_that_without_a_key(paged: Service):
    asked = httpx.options(paged.url + CLASSIFY, headers=ASKING)
    assert asked.status_code == 200
    assert asked.headers["access-control-allow-origin"] == SHOP
    assert {"Authorization", "If-None-Match", "traceparent"} <= {
        *asked.headers["access-control-allow-headers"].split(", ")
    }
    assert "access-control-allow-credentials" not in asked.headers
    for headers in ({}, {"Authorization": "Bearer wrong"}):
        answer = httpx.post(paged.url + CLASSIFY, content=png(0), headers={"Origin": SHOP, **headers})
        assert answer.status_code == (401 if headers else 200)
        assert answer.headers["access-control-allow-origin"] == SHOP
        assert "Retry-After" in answer.headers["access-control-expose-headers"]


def test_pages_that_are_not_named_may_not(paged: Service, service: Service):
    for running, origin in ((paged, "https://other.example"), (service, SHOP)):
        asked = httpx.options(running.url + CLASSIFY, headers=ASKING | {"Origin": origin})
        assert asked.status_code >= 400
        answer = httpx.post(running.url + CLASSIFY, content=png(0), headers={"Origin": origin})
        assert "access-control-allow-origin" not in {*asked.headers, *answer.headers}
