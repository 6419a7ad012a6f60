"""`hangtag models`, as the person types it who looks after the models."""

import json
import shutil
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

import hangtag
from artifact.models.command import SUBCOMMANDS
from artifact.rollout import Rollout
from graphs import graph
from support import HANGTAG, OPERATOR_KEY, PATIENCE, ROOT, OnShelf, Service, card, files, operated, png, publish


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


def test_all_but_diff_run_without_the_training_stack(shelf: Path):
    heavy = "{'keras', 'tensorflow', 'tf2onnx', 'matplotlib', 'onnx', 'tqdm', 'jinja2', 'httpx', 'training', 'service'}"
    commands = [["list"], ["show", "tiny"], ["verify"], ["label", "tiny", "stable", "2"], ["rollback", "tiny"]]
    commands += [["gc", "--all"]]
    program = "import sys, hangtag\n"
    program += f"for c in {commands}: assert hangtag.main(['models', *c, '--models', {str(shelf)!r}]) == 0"
    program += f"\nprint({heavy} & sys.modules.keys())"
    ran = subprocess.run([HANGTAG[0], "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert ran.stdout.splitlines()[-1] == "set()"


def test_list_shows_every_version_with_its_labels_and_figures(shelf: Path, on_shelf: OnShelf):
    Rollout(stable="2", canary="3", canary_share=0.1).write(shelf / "tiny")
    code, out, _ = on_shelf("list")
    assert code == 0
    rows = [line.split()[:3] for line in out.splitlines()]
    assert rows[0] == ["model", "version", "labels"]
    assert rows[1:3] == [["hats", "1", "stable"], ["tiny", "1", "0.00"]]  # where no label is, the size follows
    assert rows[3:] == [["tiny", "2", "stable"], ["tiny", "3", "canary"]]
    assert out.count("float32") == 4
    assert out.count("2026-01-01 00:00  100.00% of 3 (44.00% to 100.00%)") == 4


def test_list_is_json_for_programs(shelf: Path, on_shelf: OnShelf):
    code, out, _ = on_shelf("list", "--format", "json")
    assert code == 0
    found = json.loads(out)
    assert [(each["model"], each["version"]) for each in found] == [("hats", "1"), *(("tiny", v) for v in "123")]
    assert found[3]["labels"] == ["stable"]
    assert found[3]["test"]["accuracy_interval"] == [0.44, 1.0]
    folder = shelf / "tiny" / "3"
    assert found[3]["size"] == sum(path.stat().st_size for path in folder.iterdir())


def test_list_goes_on_after_what_cannot_be_read_and_says_so(shelf: Path, on_shelf: OnShelf):
    (shelf / "tiny" / "2" / "card.json").write_text("{")
    (shelf / "hats" / "rollout.json").write_text("{")
    code, out, _ = on_shelf("list")
    assert code == 1
    assert [line.split()[-1] for line in out.splitlines()[1:]] == [
        "rollout_invalid",
        "100.00%)",
        "card_invalid",
        "100.00%)",
    ]


def test_show_says_what_the_card_says(shelf: Path, on_shelf: OnShelf):
    Rollout(stable="2", canary="3", canary_share=0.1).write(shelf / "tiny")
    for asked, said in (((), "tiny 2"), (("canary",), "tiny 3"), (("1",), "tiny 1")):
        code, out, _ = on_shelf("show", "tiny", *asked)
        assert code == 0
        assert out.startswith(f"{said}: Tells dark pictures from light ones.")
        assert str(shelf / "tiny" / said[-1]) in out
        for words in (
            "dark, middle, light",
            "8 x 8 pixels, grey, stretch",
            "0.9000",
            "drawn (3 test), none",
            "opset 18",
        ):
            assert words in out
    assert on_shelf("show", "tiny", "4")[0] == 1


def test_verify_names_each_version_that_is_not_sound_and_goes_on(shelf: Path, on_shelf: OnShelf):
    code, out, _ = on_shelf("verify")
    assert code == 0
    assert len(out.splitlines()) == out.count(": OK, ") == 6
    (shelf / "hats" / "1" / "model.onnx").write_bytes(b"another")
    shutil.rmtree(shelf / "tiny" / "2")
    publish(shelf, card(version="2"), graph(centres=(255, 128, 0)), trained=graph())
    Rollout(stable="7").write(shelf / "tiny")
    code, out, _ = on_shelf("verify")
    assert code == 1
    assert [line.split(": ")[:2] for line in out.splitlines()] == [
        ["hats 1", "digest_mismatch"],
        ["hats labels", "OK, stable 1"],
        ["tiny 1", "OK, 2 files, 3 golden samples within 0.0e+00"],
        ["tiny 2", "golden_mismatch"],
        ["tiny 3", "OK, 2 files, 3 golden samples within 0.0e+00"],
        ["tiny labels", "version_not_found"],
    ]
    assert on_shelf("verify", "tiny", "3") == (0, "tiny 3: OK, 2 files, 3 golden samples within 0.0e+00\n", "")
    assert on_shelf("verify", "tiny", "2")[0] == 1
    assert on_shelf("verify", "tiny", "stable")[0] == 1


def test_the_models_that_come_with_it_verify():
    assert hangtag.main(["models", "verify", "--models", str(ROOT / "models")]) == 0


def test_a_canary_is_tried_becomes_stable_and_is_rolled_back(shelf: Path, on_shelf: OnShelf):
    code, out, _ = on_shelf("label", "tiny", "stable", "1")
    assert (code, out.splitlines()[0]) == (0, "tiny: stable 1, previous 3")
    assert "at their next reload" in out
    assert on_shelf("label", "tiny", "canary", "2", "--share", "0.1")[1].startswith(
        "tiny: stable 1, canary 2 (10 % of the requests), previous 3\n"
    )
    assert on_shelf("label", "tiny", "shadow", "3", "--share", "0.005")[1].startswith(
        "tiny: stable 1, canary 2 (10 % of the requests), shadow 3 (a copy of 0.5 % of the requests), previous 3\n"
    )
    assert on_shelf("label", "tiny", "stable", "canary")[1].startswith("tiny: stable 2, shadow 3 (a copy")
    assert on_shelf("label", "tiny", "shadow", "none")[1].startswith("tiny: stable 2, previous 1\n")
    assert on_shelf("rollback", "tiny")[1].startswith("tiny: stable 1, previous 2\n")
    assert on_shelf("label", "tiny", "canary", "3", "--share", "0.1")[0] == 0
    assert on_shelf("rollback", "tiny")[1].startswith("tiny: stable 1, previous 2\n")
    assert Rollout.read(shelf / "tiny") == Rollout(stable="1", previous="2")


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
    shelf: Path, on_shelf: OnShelf, arguments: tuple[str, ...], code: int, complaint: str
):
    (shelf / "tiny" / "2" / "model.onnx").write_bytes(b"damaged")
    before = files(shelf)
    ended, _, err = on_shelf(*arguments)
    assert (ended, files(shelf)) == (code, before)
    assert complaint in err


def test_a_rollback_to_a_damaged_version_is_refused(shelf: Path, on_shelf: OnShelf):
    Rollout(stable="2", previous="1").write(shelf / "tiny")
    (shelf / "tiny" / "1" / "model.onnx").write_bytes(b"damaged")
    code, _, err = on_shelf("rollback", "tiny")
    assert (code, Rollout.read(shelf / "tiny").stable) == (1, "2")
    assert "model.onnx has the digest" in err


def test_of_changes_at_the_same_time_none_is_lost(shelf: Path):
    def label(trial: str, version: str) -> None:
        barrier.wait(PATIENCE)
        arguments = ["models", "label", "tiny", trial, version, "--share", "0.1", "--models", str(shelf)]
        assert hangtag.main(arguments) == 0

    with ThreadPoolExecutor(2) as pool:
        for _ in range(20):
            Rollout(stable="3").write(shelf / "tiny")
            barrier = threading.Barrier(2)
            list(pool.map(label, ("canary", "shadow"), ("1", "2")))
            assert Rollout.read(shelf / "tiny").versions("3") == {"stable": "3", "canary": "1", "shadow": "2"}


def test_a_running_service_is_told_and_what_it_says_is_shown(
    shelf: Path, on_shelf: OnShelf, monkeypatch: pytest.MonkeyPatch
):
    Rollout(stable="2").write(shelf / "tiny")
    with Service(shelf, *operated(shelf)) as running:
        monkeypatch.setenv("HANGTAG_API_KEY", OPERATOR_KEY)
        code, out, _ = on_shelf("label", "tiny", "stable", "1", "--url", running.url)
        assert (code, out.splitlines()[0]) == (0, "tiny: stable 1, previous 2")
        versions = {model["name"]: model["version"] for model in json.loads(out.splitlines()[1])["models"]}
        assert versions == {"hats": "1", "tiny": "1"}
        assert running.classify(png(0)).json()["version"] == "1"
        assert on_shelf("rollback", "tiny", "--url", running.url)[0] == 0
        assert running.classify(png(0)).json()["version"] == "2"
        assert running.metric("hangtag_model_loads_total", model_name="tiny", model_version="2", outcome="ok") == 1


def test_a_service_that_does_not_reload_is_named_with_its_reason_and_the_labels_stay_set(
    shelf: Path, on_shelf: OnShelf, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("HANGTAG_API_KEY", "another")
    with Service(shelf, *operated(shelf)) as running:
        code, out, err = on_shelf("label", "tiny", "stable", "1", "--url", running.url)
        assert (code, out) == (1, "tiny: stable 1, previous 3\n")
        assert "did not reload (401): The key is none of this service's, or not any more." in err
        assert running.classify(png(0)).json()["version"] == "3"
    code, out, err = on_shelf("rollback", "tiny", "--url", running.url)
    assert (code, out) == (1, "tiny: stable 3, previous 1\n")
    assert "does not answer (" in err
    assert "it learns what has changed at its next reload" in err


def test_what_is_no_hangtag_service_is_named(on_shelf: OnShelf):
    with ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as other:
        threading.Thread(target=other.serve_forever, daemon=True).start()
        code, _, err = on_shelf(
            "label", "tiny", "stable", "1", "--url", f"http://127.0.0.1:{other.server_port}/models/"
        )
        other.shutdown()
    assert code == 1
    assert "/models/ did not reload (501): its answer is no problem document; is it a Hangtag service?" in err
