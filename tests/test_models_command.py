"""`hangtag models`, as the person types it who looks after the models."""

import json
import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

import hangtag
from artifact.models.command import SUBCOMMANDS
from artifact.repository import Repository
from artifact.rollout import Rollout
from support import HANGTAG, PATIENCE, ROOT, Service, card, graph, png, publish, slow

Models = Callable[..., tuple[int, str, str]]
TWO_DAYS = 2 * 24 * 60 * 60


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A repository with three versions of a model, and with another model."""
    folder = tmp_path / "models"
    for version in ("1", "2", "3"):
        publish(folder, card(version=version))
    publish(folder, card(name="hats"))
    return folder


@pytest.fixture
def models(root: Path, capsys: pytest.CaptureFixture[str]) -> Models:
    """Runs `hangtag models`; gives the exit code, what was printed and what was complained of."""

    def run(command: str, *arguments: str) -> tuple[int, str, str]:
        code = hangtag.main(["models", command, *arguments, "--models", str(root)])
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


def files(root: Path) -> set[str]:
    return {str(path.relative_to(root)) for path in root.rglob("*")}


def test_hangtag_models_alone_lists_its_commands_and_an_unknown_one_is_wrong_usage(capsys: pytest.CaptureFixture[str]):
    assert hangtag.main(["models"]) == 0
    shown = capsys.readouterr().out
    assert all(f"\n  {command} " in shown for command in SUBCOMMANDS)
    assert hangtag.main(["models", "juggle"]) == 2
    assert "usage: hangtag models COMMAND" in capsys.readouterr().err


@pytest.mark.parametrize("command", SUBCOMMANDS)
def test_every_command_shows_an_example(command: str, capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as ended:
        hangtag.main(["models", command, "--help"])
    assert ended.value.code == 0
    assert f"Example: hangtag models {command}" in capsys.readouterr().out


def test_all_but_diff_run_without_the_training_stack(root: Path):
    heavy = "{'keras', 'tensorflow', 'tf2onnx', 'matplotlib', 'onnx', 'tqdm', 'jinja2', 'httpx', 'training', 'service'}"
    commands = [["list"], ["show", "tiny"], ["verify"], ["label", "tiny", "stable", "2"], ["rollback", "tiny"]]
    commands += [["gc", "--all"]]
    program = (
        f"import sys, hangtag\nfor c in {commands}: assert hangtag.main(['models', *c, '--models', {str(root)!r}]) == 0"
    )
    program += f"\nprint({heavy} & sys.modules.keys())"
    ran = subprocess.run([HANGTAG[0], "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert ran.stdout.splitlines()[-1] == "set()"


def test_list_shows_every_version_with_its_labels_and_figures(root: Path, models: Models):
    Rollout(stable="2", canary="3", canary_share=0.1).write(root / "tiny")
    code, out, _ = models("list")
    assert code == 0
    rows = [line.split()[:3] for line in out.splitlines()]
    assert rows[0] == ["model", "version", "labels"]
    assert rows[1:3] == [["hats", "1", "stable"], ["tiny", "1", "0.00"]]  # where no label is, the size follows
    assert rows[3:] == [["tiny", "2", "stable"], ["tiny", "3", "canary"]]
    assert out.count("float32") == 4
    assert out.count("2026-01-01 00:00  100.00% of 3 (44.00% to 100.00%)") == 4


def test_list_is_json_for_programs(root: Path, models: Models):
    code, out, _ = models("list", "--format", "json")
    assert code == 0
    found = json.loads(out)
    assert [(each["model"], each["version"]) for each in found] == [("hats", "1"), *(("tiny", v) for v in "123")]
    assert found[3]["labels"] == ["stable"]
    assert found[3]["test"]["accuracy_interval"] == [0.44, 1.0]
    folder = root / "tiny" / "3"
    assert found[3]["size"] == sum(path.stat().st_size for path in folder.iterdir())


def test_list_goes_on_after_what_cannot_be_read_and_says_so(root: Path, models: Models):
    (root / "tiny" / "2" / "card.json").write_text("{")
    (root / "hats" / "rollout.json").write_text("{")
    code, out, _ = models("list")
    assert code == 1
    assert [line.split()[-1] for line in out.splitlines()[1:]] == [
        "rollout_invalid",
        "100.00%)",
        "card_invalid",
        "100.00%)",
    ]


def test_show_says_what_the_card_says(root: Path, models: Models):
    Rollout(stable="2", canary="3", canary_share=0.1).write(root / "tiny")
    for asked, said in (((), "tiny 2"), (("canary",), "tiny 3"), (("1",), "tiny 1")):
        code, out, _ = models("show", "tiny", *asked)
        assert code == 0
        assert out.startswith(f"{said}: Tells dark pictures from light ones.")
        assert str(root / "tiny" / said[-1]) in out
        for words in (
            "dark, middle, light",
            "8 x 8 pixels, grey, stretch",
            "0.9000",
            "drawn (3 test), none",
            "opset 18",
        ):
            assert words in out
    assert models("show", "tiny", "4")[0] == 1


def test_verify_names_each_version_that_is_not_sound_and_goes_on(root: Path, models: Models):
    code, out, _ = models("verify")
    assert code == 0
    assert len(out.splitlines()) == out.count(": OK, ") == 6
    (root / "hats" / "1" / "model.onnx").write_bytes(b"another")
    shutil.rmtree(root / "tiny" / "2")
    publish(root, card(version="2"), graph(centres=(255, 128, 0)), trained=graph())
    Rollout(stable="7").write(root / "tiny")
    code, out, _ = models("verify")
    assert code == 1
    assert [line.split(": ")[:2] for line in out.splitlines()] == [
        ["hats 1", "digest_mismatch"],
        ["hats labels", "OK, stable 1"],
        ["tiny 1", "OK, 2 files, 3 golden samples within 0.0e+00"],
        ["tiny 2", "golden_mismatch"],
        ["tiny 3", "OK, 2 files, 3 golden samples within 0.0e+00"],
        ["tiny labels", "version_not_found"],
    ]
    assert models("verify", "tiny", "3") == (0, "tiny 3: OK, 2 files, 3 golden samples within 0.0e+00\n", "")
    assert models("verify", "tiny", "2")[0] == 1
    assert models("verify", "tiny", "stable")[0] == 1


def test_the_models_that_come_with_it_verify():
    assert hangtag.main(["models", "verify", "--models", str(ROOT / "models")]) == 0


def test_a_canary_is_tried_becomes_stable_and_is_rolled_back(root: Path, models: Models):
    code, out, _ = models("label", "tiny", "stable", "1")
    assert (code, out.splitlines()[0]) == (0, "tiny: stable 1, previous 3")
    assert "at their next reload" in out
    assert models("label", "tiny", "canary", "2", "--share", "0.1")[1].startswith(
        "tiny: stable 1, canary 2 (10 % of the requests), previous 3\n"
    )
    assert models("label", "tiny", "shadow", "3", "--share", "0.005")[1].startswith(
        "tiny: stable 1, canary 2 (10 % of the requests), shadow 3 (a copy of 0.5 % of the requests), previous 3\n"
    )
    assert models("label", "tiny", "stable", "canary")[1].startswith("tiny: stable 2, shadow 3 (a copy")
    assert models("label", "tiny", "shadow", "none")[1].startswith("tiny: stable 2, previous 1\n")
    assert models("rollback", "tiny")[1].startswith("tiny: stable 1, previous 2\n")
    assert models("label", "tiny", "canary", "3", "--share", "0.1")[0] == 0
    assert models("rollback", "tiny")[1].startswith("tiny: stable 1, previous 2\n")
    assert Rollout.read(root / "tiny") == Rollout(stable="1", previous="2")


@pytest.mark.parametrize(
    ("arguments", "code", "complaint"),
    [
        (("label", "tiny", "stable", "none"), 1, "Some version of tiny has to be stable"),
        (("label", "tiny", "stable", "4"), 1, "no version '4'"),
        (("label", "tiny", "canary", "shadow", "--share", "1"), 1, "no version 'shadow'"),
        (("label", "tiny", "stable", "2"), 1, "model.onnx has the digest"),
        (("label", "tiny", "canary", "3", "--share", "0.1"), 1, "Version 3 is stable"),
        (("label", "tiny", "gold", "1"), 2, "--label: Input should be 'stable', 'canary' or 'shadow'"),
        (("label", "tiny", "canary", "1"), 2, "--share: canary and shadow need one, such as 0.1"),
        (("label", "tiny", "stable", "1", "--share", "0.1"), 2, "--share: only a version on trial has one"),
        (("label", "tiny", "canary", "none", "--share", "0.1"), 2, "--share: only a version on trial has one"),
        (("label", "tiny", "canary", "1", "--share", "1.5"), 2, "--share: Input should be less than or equal to 1"),
        (("label", "tiny", "stable", "1", "--url", "localhost:80"), 2, "--url: "),
        (("label", "coats", "stable", "1"), 1, "There is no model 'coats'"),
        (("rollback", "tiny"), 1, "nothing to roll back to"),
        (("rollback", "coats"), 1, "There is no model 'coats'"),
    ],
)
def test_what_cannot_be_labelled_changes_nothing(
    root: Path, models: Models, arguments: tuple[str, ...], code: int, complaint: str
):
    (root / "tiny" / "2" / "model.onnx").write_bytes(b"damaged")
    before = files(root)
    ended, _, err = models(*arguments)
    assert (ended, files(root)) == (code, before)
    assert complaint in err


def test_a_rollback_to_a_damaged_version_is_refused(root: Path, models: Models):
    Rollout(stable="2", previous="1").write(root / "tiny")
    (root / "tiny" / "1" / "model.onnx").write_bytes(b"damaged")
    code, _, err = models("rollback", "tiny")
    assert (code, Rollout.read(root / "tiny").stable) == (1, "2")
    assert "model.onnx has the digest" in err


def test_of_changes_at_the_same_time_none_is_lost(root: Path):
    def label(trial: str, version: str) -> None:
        barrier.wait(PATIENCE)
        arguments = ["models", "label", "tiny", trial, version, "--share", "0.1", "--models", str(root)]
        assert hangtag.main(arguments) == 0

    with ThreadPoolExecutor(2) as pool:
        for _ in range(20):
            Rollout(stable="3").write(root / "tiny")
            barrier = threading.Barrier(2)
            list(pool.map(label, ("canary", "shadow"), ("1", "2")))
            assert Rollout.read(root / "tiny").versions("3") == {"stable": "3", "canary": "1", "shadow": "2"}


def test_a_running_service_is_told_and_what_it_says_is_shown(
    root: Path, models: Models, monkeypatch: pytest.MonkeyPatch
):
    Rollout(stable="2").write(root / "tiny")
    with Service(root, environment={"HANGTAG_ADMIN_KEY": "a-key"}) as running:
        monkeypatch.setenv("HANGTAG_ADMIN_KEY", "a-key")
        code, out, _ = models("label", "tiny", "stable", "1", "--url", running.url)
        assert (code, out.splitlines()[0]) == (0, "tiny: stable 1, previous 2")
        versions = {model["name"]: model["version"] for model in json.loads(out.splitlines()[1])["models"]}
        assert versions == {"hats": "1", "tiny": "1"}
        assert running.classify(png(0)).json()["version"] == "1"
        assert models("rollback", "tiny", "--url", running.url)[0] == 0
        assert running.classify(png(0)).json()["version"] == "2"
        assert running.metric("hangtag_model_loads_total", model_name="tiny", model_version="2", outcome="ok") == 1


def test_a_service_that_does_not_reload_is_named_with_its_reason_and_the_labels_stay_set(
    root: Path, models: Models, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("HANGTAG_ADMIN_KEY", "another")
    with Service(root, environment={"HANGTAG_ADMIN_KEY": "a-key"}) as running:
        code, out, err = models("label", "tiny", "stable", "1", "--url", running.url)
        assert (code, out) == (1, "tiny: stable 1, previous 3\n")
        assert "did not reload (403): The key is not the admin key of this service." in err
        assert running.classify(png(0)).json()["version"] == "3"
    code, out, err = models("rollback", "tiny", "--url", running.url)
    assert (code, out) == (1, "tiny: stable 3, previous 1\n")
    assert "does not answer (" in err
    assert "it learns the labels at its next reload" in err


def test_what_is_no_hangtag_service_is_named(models: Models):
    with ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as other:
        threading.Thread(target=other.serve_forever, daemon=True).start()
        code, _, err = models("label", "tiny", "stable", "1", "--url", f"http://127.0.0.1:{other.server_port}/models/")
        other.shutdown()
    assert code == 1
    assert "/models/ did not reload (501): its answer is no problem document; is it a Hangtag service?" in err


def test_a_version_from_elsewhere_is_published_byte_for_byte(root: Path, models: Models, tmp_path: Path):
    folder = publish(tmp_path / "elsewhere", card(version="7"), report=b"a page")
    (folder / "tuning.json").write_text("belongs to that machine")
    code, out, _ = models("publish", str(folder))
    assert code == 0
    assert out == (f"{root / 'tiny' / '7'}: 3 files; golden samples within 0.0e+00.\ntiny: stable 7\n")
    for name in ("card.json", "model.onnx", "golden.npz", "report/report.html"):
        assert (root / "tiny" / "7" / name).read_bytes() == (folder / name).read_bytes()
    assert not (root / "tiny" / "7" / "tuning.json").exists()
    with Service(root) as running:
        assert running.classify(png(0)).json()["version"] == "7"


def test_a_version_is_published_into_a_repository_that_is_not_there_yet(tmp_path: Path):
    folder = publish(tmp_path / "elsewhere")
    assert hangtag.main(["models", "publish", str(folder), "--models", str(tmp_path / "new" / "models")]) == 0
    assert Repository(tmp_path / "new" / "models").names() == ["tiny"]


@pytest.mark.parametrize(
    ("damage", "complaint"),
    [
        (lambda folder: (folder / "card.json").unlink(), "card.json cannot be read"),
        (lambda folder: (folder / "golden.npz").unlink(), "golden.npz cannot be read"),
        (lambda folder: (folder / "model.onnx").write_bytes(b"another"), "model.onnx has the digest"),
        (lambda folder: rename(folder, "hats"), "the card was changed after the export"),
        (lambda folder: (shutil.rmtree(folder), publish_as_version_3(folder)), "is published already"),
        (lambda folder: (shutil.rmtree(folder), publish_wrong(folder)), "golden samples"),
    ],
    ids=["no card", "no golden samples", "another model", "renamed", "there already", "not as trained"],
)
def test_what_does_not_verify_whole_is_not_published_and_leaves_nothing(
    root: Path, models: Models, tmp_path: Path, damage: Callable[[Path], object], complaint: str
):
    folder = publish(tmp_path / "elsewhere", card(version="7"))
    damage(folder)
    before = files(root)
    code, _, err = models("publish", str(folder))
    assert (code, files(root)) == (1, before)
    assert complaint in err


def rename(folder: Path, name: str) -> None:
    document = json.loads((folder / "card.json").read_text())
    (folder / "card.json").write_text(json.dumps(document | {"name": name}))


def publish_as_version_3(folder: Path) -> None:
    publish(folder.parent.parent, card(version="3")).rename(folder)


def publish_wrong(folder: Path) -> None:
    publish(folder.parent.parent, card(version="7"), graph(centres=(255, 128, 0)), trained=graph())


def test_a_card_cannot_name_what_lies_outside_of_its_folder(root: Path, models: Models, tmp_path: Path):
    folder = publish(tmp_path / "elsewhere", card(version="7"))
    for name in ("../../planted", "/planted", "report/../../../planted"):
        document = json.loads((folder / "card.json").read_text())
        document["files"][name] = document["files"]["model.onnx"]
        (folder / "card.json").write_text(json.dumps(document))
        code, _, err = models("publish", str(folder))
        assert code == 1
        assert "does not stand beside the card" in err
    assert Repository(root).versions("tiny") == ["1", "2", "3"]


def test_a_repository_that_cannot_be_written_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    folder = publish(tmp_path / "elsewhere")
    (tmp_path / "models").write_text("no folder")
    assert hangtag.main(["models", "publish", str(folder), "--models", str(tmp_path / "models")]) == 1
    assert "cannot be written (Not a directory)" in capsys.readouterr().err


def test_a_publication_that_is_interrupted_leaves_nothing(root: Path, tmp_path: Path):
    folder = publish(tmp_path / "elsewhere", card(version="7"), graph(extra=slow(products=20)))
    before = files(root)
    ran = subprocess.Popen([*HANGTAG, "models", "publish", folder, "--models", root], stderr=subprocess.PIPE, text=True)
    while not list(root.glob("tiny/.staging-*/card.json")):
        assert ran.poll() is None
    ran.send_signal(signal.SIGINT)
    assert "interrupted" in ran.communicate(timeout=PATIENCE)[1]
    assert ran.returncode == 130
    assert files(root) == before


def test_gc_removes_what_no_label_names_but_the_newest(root: Path, models: Models):
    for version in ("4", "5", "6"):
        publish(root, card(version=version))
    Rollout(stable="3", previous="1").write(root / "tiny")
    before = files(root)
    code, out, _ = models("gc", "tiny", "--dry-run")
    assert (code, files(root)) == (0, before)
    size = sum(path.stat().st_size for version in "24" for path in (root / "tiny" / version).iterdir())
    assert out.count("would be removed") == 2
    assert f"{size:,} bytes would be freed." in out
    code, out, _ = models("gc", "tiny")
    assert code == 0
    assert [line.split(":")[0] for line in out.splitlines()[:-1]] == [
        str(root / "tiny" / "2"),
        str(root / "tiny" / "4"),
    ]
    assert out.splitlines()[-1] == f"{size:,} bytes freed."
    assert Repository(root).versions("tiny") == ["1", "3", "5", "6"]
    assert not Repository(root).staged()
    assert models("gc", "--all", "--keep", "1")[1].count("removed") == 1
    assert Repository(root).versions("tiny") == ["1", "3", "6"]


def test_gc_removes_what_was_staged_long_ago_and_nothing_that_is_written_now(root: Path, models: Models):
    repository = Repository(root)
    left, now = repository.stage("tiny"), repository.stage("tiny")
    (left / "model.onnx").write_bytes(b"half of it")
    (now / "model.onnx").write_bytes(b"half of it")
    os.utime(left, (time.time() - TWO_DAYS,) * 2)
    code, out, _ = models("gc", "hats")
    assert (code, out) == (0, "0 bytes freed.\n")
    code, out, _ = models("gc", "--all", "--keep", "9")
    assert (code, out.splitlines()[-1]) == (0, "10 bytes freed.")
    assert repository.staged() == [now]


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ([], "Name a model, or say --all"),
        (["tiny", "--all"], "Name a model, or say --all"),
        (["tiny", "--keep", "0"], "--keep: Input should be greater than or equal to 1"),
    ],
)
def test_gc_has_to_know_what_it_is_to_keep(models: Models, arguments: list[str], complaint: str):
    code, _, err = models("gc", *arguments)
    assert code == 2
    assert complaint in err


def test_gc_removes_nothing_of_a_model_whose_labels_cannot_be_read(root: Path, models: Models):
    (root / "tiny" / "rollout.json").write_text("{")
    assert models("gc", "tiny", "--keep", "1")[0] == 1
    assert Repository(root).versions("tiny") == ["1", "2", "3"]
