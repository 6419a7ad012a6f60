"""API keys: what is kept of them, who gets in, and what becomes of them while the service runs."""

import re
import signal
import stat
import subprocess
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

import hangtag
from connected import Connection
from keyed import RELOAD, Keyed
from service.keys.command import SUBCOMMANDS
from service.keys.file import KeysFile
from service.scopes import scope_needed
from service.settings import Settings
from support import CLASSIFY, HANGTAG, OPERATOR, PATIENCE, Service, code, eventually, new_key, operated, png

EVERY = "0.0.0.0"  # noqa: S104 - what is tried
Keys = dict[str, dict[str, str]]
Said = pytest.CaptureFixture[str]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "keys.json"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("keys")


@pytest.fixture(scope="module")
def keys(folder: Path) -> Keys:
    """The header of each key of the guarded service."""
    file = folder / "keys.json"
    return {
        "shop": new_key(file, "classify", name="shop"),
        "ops": new_key(file, "admin", name="ops"),
        "both": new_key(file, "classify", "admin", name="both"),
        "old": new_key(file, "classify", name="old", expires=datetime.now(UTC) - timedelta(seconds=1)),
    }


@pytest.fixture(scope="module")
def guarded(models: Path, folder: Path, keys: Keys) -> Iterator[Service]:
    """A service that asks for keys."""
    assert keys
    with Service(models, "--keys", str(folder / "keys.json"), "--max-body-bytes", "200000") as running:
        yield running


def ask(service: Service, headers: dict[str, str] | None = None, path: str = CLASSIFY) -> httpx.Response:
    return httpx.post(service.url + path, content=png(0), headers=headers, timeout=PATIENCE)


def command(*arguments: str, file: Path) -> int:
    return hangtag.main(["keys", *arguments, "--keys", str(file)])


# The command.


def test_a_key_is_printed_once_and_cannot_be_read_from_the_file(file: Path, capsys: Said):
    assert command("add", "shop", "--rate", "100/second", file=file) == 0
    text = capsys.readouterr().out.strip()
    assert re.fullmatch(r"hangtag_[0-9a-f]{8}_[0-9a-f]{64}", text)
    secret = text.rpartition("_")[2]
    assert secret not in file.read_text()
    assert command("list", file=file) == 0
    listed = capsys.readouterr().out
    assert secret not in listed
    assert re.search(rf"^shop +{text[8:16]} +classify +100/second +\d", listed, re.MULTILINE)


def test_a_new_file_is_for_its_owner_alone_and_one_that_is_there_keeps_who_may_read_it(file: Path):
    assert command("add", "shop", file=file) == 0
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    file.chmod(0o640)
    assert command("add", "ops", "--scopes", "admin,classify", file=file) == 0
    assert stat.S_IMODE(file.stat().st_mode) == 0o640
    assert [key.scopes for key in KeysFile.read(file).keys] == [("classify",), ("admin", "classify")]
    assert list(file.parent.glob(".*")) == []


def test_a_revoked_key_is_gone_from_the_file(file: Path, capsys: Said):
    assert command("add", "shop", file=file) == 0
    assert command("revoke", "shop", file=file) == 0
    assert KeysFile.read(file).keys == ()
    assert command("revoke", "shop", file=file) == 1
    assert "There is no key shop; the keys are none." in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("add", "shop"), "There is a key shop already"),
        (("add", "None of it"), "--name: "),
        (("add", "unknown"), "--name: "),
        (("add", "other", "--rate", "much"), "--rate: "),
        (("add", "other", "--rate", "0/second"), "--rate: "),
        (("add", "other", "--rate", "1/second;9/day"), "--rate: "),
        (("add", "other", "--scopes", "all"), "--scopes-0: "),
        (("add", "other", "--days", "0"), "--days: "),
    ],
)
def test_a_key_that_would_not_be_one_is_refused(file: Path, capsys: Said, arguments: tuple[str, ...], complaint: str):
    assert command("add", "shop", file=file) == 0
    before = file.read_text()
    assert command(*arguments, file=file) in {1, 2}
    assert complaint in capsys.readouterr().err
    assert file.read_text() == before


@pytest.mark.parametrize("content", ["", "[]", '{"keys": [{"name": "shop"}]}', '{"key": []}'])
def test_a_file_that_is_none_of_keys_stays_as_it_is(file: Path, capsys: Said, content: str):
    file.write_text(content)
    assert command("add", "shop", file=file) == 1
    assert "is no file of API keys (" in capsys.readouterr().err
    assert file.read_text() == content


@pytest.mark.parametrize("subcommand", SUBCOMMANDS)
def test_every_subcommand_shows_an_example(subcommand: str, capsys: Said):
    with pytest.raises(SystemExit):
        hangtag.main(["keys", subcommand, "--help"])
    assert f"Example: hangtag keys {subcommand}" in capsys.readouterr().out


# Who gets in.


@pytest.mark.parametrize(
    ("who", "status", "reason"),
    [
        ("shop", 200, ""),
        ("both", 200, ""),
        ("ops", 403, "scope_missing"),
        ("old", 401, "key_unknown"),
        (None, 401, "key_missing"),
    ],
)
def test_a_key_opens_what_it_is_for(guarded: Service, keys: Keys, who: str | None, status: int, reason: str):
    answer = ask(guarded, keys[who] if who else None)
    assert answer.status_code == status
    if reason:
        assert code(answer) == (status, reason)
        assert answer.headers["www-authenticate"].startswith("Bearer")


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (b"Basic abc", (401, "key_missing")),
        (b"Bearer", (401, "key_missing")),
        (b"Bearer wrong", (401, "key_unknown")),
        (b"Bearer schl\xfcssel", (401, "key_unknown")),
        (b"Bearer hangtag_00000000_" + 64 * b"0", (401, "key_unknown")),
    ],
)
def test_what_is_no_key_opens_nothing(guarded: Service, header: bytes, expected: tuple[int, str]):
    for path in (CLASSIFY, RELOAD):
        answer = httpx.post(guarded.url + path, headers={"Authorization": header})
        assert code(answer) == expected


def test_a_key_with_one_wrong_digit_opens_nothing(guarded: Service, keys: Keys):
    right = keys["shop"]["Authorization"]
    wrong = right[:-1] + ("1" if right[-1] == "0" else "0")
    assert code(ask(guarded, {"Authorization": wrong})) == (401, "key_unknown")
    assert ask(guarded, {"Authorization": right.replace("Bearer", "bearer")}).status_code == 200


def test_the_document_says_of_every_route_who_gets_in_and_so_it_is(guarded: Service, keys: Keys):
    document = httpx.get(f"{guarded.url}/openapi.json").json()
    assert document["components"]["securitySchemes"].keys() == {"Key"}
    asked = 0
    for template, operations in document["paths"].items():
        path = template.replace("{model}", "nobody").replace("{version}", "1")
        for method, operation in operations.items():
            wanted = operation["security"]
            scope = wanted[0]["Key"][0] if wanted else None
            assert scope == scope_needed(path)
            for who, scopes in ((None, ()), ("shop", ("classify",)), ("ops", ("admin",))):
                status = httpx.request(method, guarded.url + path, headers=keys[who] if who else None).status_code
                assert (status in {401, 403}) == (scope is not None and scope not in scopes), (path, who)
            if scope:
                assert {"401", "403", "429"} <= operation["responses"].keys(), path
                asked += 1
    assert asked > 10


def test_what_is_no_route_asks_for_a_key_too(guarded: Service, keys: Keys):
    for path in ("/nothing", "/v1/admin", "/v2/repository/models/x", "/v1/models/tiny/classify/", "//docs", "/docs/x"):
        assert httpx.get(guarded.url + path).status_code in ({404} if path == "/docs/x" else {401})
    for path in ("/v1/admin%2Freload", "/v1/./admin/reload", "/v1/admin/../admin/reload", "/V1/admin/reload"):
        with Connection(guarded.url) as connection:
            connection.post(path, Authorization=keys["shop"]["Authorization"], Content_Length="0")
            assert connection.answer()[0] in {403, 404}


def test_probes_scrapers_and_readers_of_the_api_need_no_key(guarded: Service):
    for path in ("/health/live", "/health/ready", "/health/startup", "/v2/health/live", "/v2/health/ready"):
        assert httpx.get(guarded.url + path).status_code == 200
    for path in ("/metrics", "/docs", "/openapi.json", "/", "/web/try.js"):
        assert httpx.get(guarded.url + path).status_code == 200


def test_a_body_is_not_read_without_a_key(guarded: Service):
    with Connection(guarded.url) as connection:
        connection.post(CLASSIFY, Content_Length="100000", Expect="100-continue")
        assert connection.answer()[0] == 401
        assert connection.headers["connection"] == "close"


def test_clients_of_the_open_inference_protocol_are_refused_in_its_words(guarded: Service, keys: Keys):
    url = f"{guarded.url}/v2/models/tiny"
    assert httpx.get(url).json().keys() == {"error"}
    assert httpx.get(url).status_code == 401
    assert httpx.get(url, headers=keys["ops"]).status_code == 403
    assert httpx.get(url, headers=keys["shop"]).json()["name"] == "tiny"


def test_answers_to_a_key_are_kept_nowhere(guarded: Service, keys: Keys):
    assert ask(guarded, keys["shop"]).headers["cache-control"] == "no-store"
    assert "cache-control" not in httpx.get(f"{guarded.url}/health/live").headers


def test_requests_are_counted_by_key_and_nothing_of_a_key_is_shown(guarded: Service, keys: Keys):
    def counted() -> dict[tuple[str, str], float]:
        of = {"shop": ("accepted", "scope"), "none": ("missing",), "unknown": ("unknown",), "old": ("expired",)}
        return {
            (key, outcome): guarded.metric("hangtag_key_requests_total", key=key, outcome=outcome)
            for key, outcomes in of.items()
            for outcome in outcomes
        }

    before = counted()
    for headers in (keys["shop"], keys["shop"], None, {"Authorization": "Bearer stranger"}, keys["old"]):
        ask(guarded, headers)
    ask(guarded, keys["shop"], RELOAD)
    added = {name: value - before[name] for name, value in counted().items()}
    assert added == {
        ("shop", "accepted"): 2,
        ("shop", "scope"): 1,
        ("none", "missing"): 1,
        ("unknown", "unknown"): 1,
        ("old", "expired"): 1,
    }
    assert guarded.metric("http_requests_total", route="/v1/models/{model}/classify", status="401") >= 1
    shown = httpx.get(f"{guarded.url}/metrics").text + guarded.log
    for header in keys.values():
        assert header["Authorization"].rpartition("_")[2] not in shown
    assert "stranger" not in shown


def test_the_log_names_the_key_of_a_request(guarded: Service, keys: Keys):
    assert code(ask(guarded, keys["ops"])) == (403, "scope_missing")
    assert "scope_missing" in guarded.wait_for(r"(.*\bkey=ops\b.*)")


# Where nobody says who may ask.


def test_a_service_for_other_machines_wants_keys_or_to_be_told_that_it_needs_none(models: Path):
    command = [*HANGTAG, "serve", "--models", models, "--port", "0", "--host", EVERY]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert ran.returncode == 2
    assert "--keys" in ran.stderr
    assert "--anonymous" in ran.stderr
    assert "listens" not in ran.stdout


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
def test_this_machine_alone_needs_no_keys(host: str):
    Settings(host=host).check_reach()


def test_where_anybody_may_ask_only_a_key_may_do_more(models: Path, tmp_path: Path):
    with Service(models, *operated(tmp_path), "--host", EVERY) as service:
        service.url = service.url.replace(EVERY, "127.0.0.1")
        assert ask(service).status_code == 200
        assert ask(service, OPERATOR).status_code == 200
        assert code(ask(service, {"Authorization": "Bearer x"})) == (401, "key_unknown")
        assert code(ask(service, None, RELOAD)) == (401, "key_missing")
        assert ask(service, OPERATOR, RELOAD).status_code == 200
        assert service.metric("hangtag_key_requests_total", key="none", outcome="accepted") == 1


def test_without_keys_anybody_may_ask_and_nobody_may_do_more(service: Service):
    assert ask(service, {"Authorization": "Bearer for-some-proxy"}).status_code == 200
    for headers in (None, OPERATOR):
        assert code(ask(service, headers, RELOAD)) == (403, "scope_missing")


# While the service runs.


@pytest.fixture(scope="module")
def keyed(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Keyed]:
    """Each test has keys of its own in it."""
    with Keyed(models, tmp_path_factory.mktemp("keyed") / "keys.json") as running:
        yield running


@pytest.fixture(scope="module")
def pair(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Keyed]:
    """The same with two workers."""
    with Keyed(models, tmp_path_factory.mktemp("pair") / "keys.json", "--workers", "2") as running:
        running.wait_for(r"(started): 1 of 1 models are ready")
        yield running


def test_a_revoked_key_opens_nothing_after_a_reload_and_a_new_one_does(keyed: Keyed):
    first = keyed.key("first")
    assert ask(keyed, first).status_code == 200
    second = new_key(keyed.file, "classify", name="second")
    assert code(ask(keyed, second)) == (401, "key_unknown")
    keyed.revoke("first")
    keyed.signal(signal.SIGHUP)
    eventually(lambda: ask(keyed, second).status_code == 200)
    assert code(ask(keyed, first)) == (401, "key_unknown")
    assert keyed.metric("hangtag_key_requests_total", key="second", outcome="accepted") == 1


def test_a_command_that_is_told_of_a_service_lets_it_know(keyed: Keyed, capsys: Said, monkeypatch: pytest.MonkeyPatch):
    shop = keyed.key("shop")
    assert ask(keyed, shop).status_code == 200
    monkeypatch.setenv("HANGTAG_API_KEY", keyed.operator["Authorization"].removeprefix("Bearer "))
    assert command("revoke", "shop", "--url", keyed.url, file=keyed.file) == 0
    assert code(ask(keyed, shop)) == (401, "key_unknown")
    assert command("add", "shop", "--url", keyed.url, file=keyed.file) == 0
    text = capsys.readouterr().out.splitlines()[-1]
    assert ask(keyed, {"Authorization": f"Bearer {text}"}).status_code == 200


def test_a_file_that_is_damaged_later_takes_nothing_from_anybody(keyed: Keyed):
    key = keyed.key("kept")
    good, failed = keyed.file.read_text(), keyed.metric("hangtag_key_loads_total", outcome="failed")
    keyed.file.write_text(good[:-20])
    refused = keyed.reload()
    assert code(refused) == (422, "reload_failed")
    assert "The keys from before stay." in refused.json()["detail"]
    assert ask(keyed, key).status_code == 200
    assert keyed.metric("hangtag_key_loads_total", outcome="failed") == failed + 1
    assert "is no file of API keys" in keyed.wait_for(r"(.*Those from before stay)")
    keyed.file.write_text(good)
    assert keyed.reload().status_code == 200


def test_a_damaged_file_keeps_the_service_from_starting(models: Path, file: Path):
    file.write_text("{")
    for workers in ("1", "2"):
        command = [*HANGTAG, "serve", "--models", models, "--port", "0", "--keys", file, "--workers", workers]
        ran = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
        assert (ran.returncode, ran.stderr.count("\n")) == (1, 1)
        assert f"{file} is no file of API keys" in ran.stderr


def test_a_change_of_the_file_is_noticed_where_that_is_wanted(models: Path, tmp_path: Path):
    """As Kubernetes exchanges a secret: the file is a link into a folder that is a link itself."""
    mounted = tmp_path / "mounted"
    for name in ("one", "two"):
        (mounted / name).mkdir(parents=True)
    shop = new_key(mounted / "one" / "keys.json", "classify", name="shop")
    new = new_key(mounted / "two" / "keys.json", "classify", name="new")
    (mounted / "..data").symlink_to("one")
    (mounted / "keys.json").symlink_to("..data/keys.json")
    with Service(models, "--keys", str(mounted / "keys.json"), "--watch") as service:
        assert ask(service, shop).status_code == 200
        (mounted / "..next").symlink_to("two")
        (mounted / "..next").rename(mounted / "..data")
        service.wait_for(r"(keys: 1 are good)")
        assert code(ask(service, shop)) == (401, "key_unknown")
        assert ask(service, new).status_code == 200


def test_all_workers_learn_of_a_revoked_key(pair: Keyed):
    key = pair.key("gone")
    eventually(lambda: {ask(pair, key).status_code for _ in range(10)} == {200})
    pair.revoke("gone")
    assert pair.reload().status_code == 200
    eventually(lambda: {ask(pair, key).status_code for _ in range(10)} == {401})
    assert pair.metric("hangtag_key_requests_total", key="unknown", outcome="unknown") >= 10


def test_a_rate_holds_for_all_workers_together(pair: Keyed):
    key = pair.key("limited", "20/hour")
    answers = Counter(ask(pair, key).status_code for _ in range(60))  # each on a connection of its own
    assert answers[200] == 20
