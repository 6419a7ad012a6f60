"""`hangtag classify` goes on after any end: nothing is done twice, missing or doubled, nor overwritten."""

import os
import pty
import random
import shutil
import signal
import subprocess
import sys
import termios
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest

from artifact.errors import OutputUnwritable, StoreUnreachable
from catalog import gathered
from catalog.job import Job, open_job
from catalog.listing import PART_SIZE
from graphs import graph
from labelled import Classify, Failing, begin, begun, engine, labels, order, photos, repeated
from support import PATIENCE, eventually, publish

PARTS = 16

# The command, which writes what it has every twentieth of a second, so that it is killed between files.
HURRIED = (
    sys.executable,
    "-c",
    "import sys; import hangtag; from catalog import gathered; gathered._SECONDS = 0.05; sys.exit(hangtag.main())",
)


@pytest.fixture(scope="module")
def catalogue(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return repeated(tmp_path_factory.mktemp("catalogue"), PARTS * PART_SIZE - 7)


@pytest.fixture
def undisturbed(classify: Classify, catalogue: Path, tmp_path: Path) -> bytes:
    """What a run writes that nobody disturbs."""
    out = tmp_path / "undisturbed.jsonl"
    assert classify(catalogue, "--out", out)[0] == 3
    return out.read_bytes()


def has_come_to(files: int, parts: Path, process: "subprocess.Popen[str]") -> bool:
    """Whether there are so many files of parts, or the command has ended."""
    return process.poll() is not None or (parts.exists() and len([*parts.glob("0*")]) >= files)


def test_killed_at_random_moments_it_writes_what_an_undisturbed_run_writes(
    classify: Classify, catalogue: Path, models: Path, undisturbed: bytes, tmp_path: Path
):
    out, parts = tmp_path / "labels.jsonl", tmp_path / "labels.jsonl.job" / "parts"
    chance, ends = random.Random(7), list[int]()  # noqa: S311 - so that a round that fails can be had again
    for gets_on in (0, 1) * 3:
        files = (len([*parts.glob("0*")]) + 1) * gets_on
        with begun(catalogue, "--model", "tiny", "--models", models, "--out", out, program=HURRIED) as process:
            eventually(partial(has_come_to, files, parts, process))
            with suppress(subprocess.TimeoutExpired):
                process.wait(chance.uniform(0, 0.3))
            process.kill()
            said = process.communicate()[0]
        ends.append(process.returncode)
        assert ends[-1] in (-signal.SIGKILL, 3), said
        assert not out.exists() or out.read_bytes() == undisturbed
    assert -signal.SIGKILL in ends
    assert classify(catalogue, "--out", out)[0] == 3
    assert out.read_bytes() == undisturbed
    assert {path.name for path in (tmp_path / "labels.jsonl.job").iterdir()} == {"job.json", "summary.json"}


def test_interrupted_it_says_that_the_same_command_goes_on(
    classify: Classify, catalogue: Path, models: Path, undisturbed: bytes, tmp_path: Path
):
    out, (ours, theirs) = tmp_path / "labels.jsonl", pty.openpty()
    termios.tcsetwinsize(theirs, (24, 100))
    with begun(catalogue, "--model", "tiny", "--models", models, "--out", out, stderr=theirs) as process:
        parts = tmp_path / "labels.jsonl.job" / "parts"
        eventually(lambda: parts.exists() and any(parts.iterdir()))
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE) == 130
    os.close(theirs)
    said = os.read(ours, 100_000).decode()
    os.close(ours)
    assert f"/{PARTS * PART_SIZE - 7}" in said  # of the bar, since it talks to a terminal
    assert "hangtag classify: interrupted; the same command goes on from here." in said
    assert classify(catalogue, "--out", out)[0] == 3
    assert out.read_bytes() == undisturbed


@pytest.mark.parametrize("seconds", [0.0, 1e9], ids=["each part at once", "all parts but one together"])
def test_where_the_store_is_gone_what_was_done_is_kept_and_not_done_again(
    seconds: float,
    classify: Classify,
    catalogue: Path,
    models: Path,
    undisturbed: bytes,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(gathered, "_SECONDS", seconds)
    out, wanted = tmp_path / "labels.jsonl", order(models, catalogue)
    with open_job(out, wanted) as job:
        begin(job)
        with pytest.raises(StoreUnreachable):
            engine(models, Failing(after=5 * PART_SIZE)).run(job, lambda _: None)
        left = job.missing()
        assert 0 < len(left) < PARTS - 2
    rest, told = Failing(after=10**9), []
    with open_job(out, wanted) as job:
        assert job.missing() == left
        engine(models, rest).run(job, told.append)
    assert rest.asked == sum(told) == len(left) * PART_SIZE - 7
    assert classify(catalogue, "--out", out)[0] == 3
    assert out.read_bytes() == undisturbed


def without_order(job: Job) -> None:
    """It died before it noted what it was for."""
    shutil.rmtree(job.folder)
    job.folder.mkdir()


def without_listing(job: Job) -> None:
    """It died while it listed, what has parts of another list in it."""
    (job.folder / "listing.arrow").rename(job.folder / ".listing.arrow-0badcafe")
    part = job.folder / "parts" / "000000.parquet"
    part.write_bytes((job.folder / "parts" / "000001.parquet").read_bytes())


def within_a_part(job: Job) -> None:
    """It died while it wrote a part."""
    part = job.folder / "parts" / "000001.parquet"
    part.with_name(f".{part.name}-0badcafe").write_bytes(part.read_bytes()[:100])
    part.unlink()


def within_the_output(job: Job) -> None:
    """It died while it wrote the output."""
    (job.folder / f".{job.out.name}-0badcafe").write_text('{"path": ')
    job.draft.write_text("whole, and not in its place yet")


def without_summary(job: Job) -> None:
    """It died between the output and the note that there is one."""
    job.out.write_text("the output")


@pytest.mark.parametrize(
    "died",
    [without_order, without_listing, within_a_part, within_the_output, without_summary],
    ids=lambda d: d.__name__,
)
def test_wherever_it_died_the_same_command_goes_on(
    died: Callable[[Job], None], classify: Classify, models: Path, tmp_path: Path
):
    manifest, out = repeated(tmp_path / "shop", 2 * PART_SIZE), tmp_path / "labels.jsonl"
    assert classify(manifest, "--out", tmp_path / "expected.jsonl")[0] == 3
    with open_job(out, order(models, manifest)) as job:
        begin(job)
        engine(models).run(job, lambda _: None)
        died(job)
    assert classify(manifest, "--out", out)[0] == 3
    assert out.read_bytes() == (tmp_path / "expected.jsonl").read_bytes()
    assert {path.name for path in job.folder.iterdir()} == {"job.json", "summary.json"}


def test_what_is_listed_first_is_what_is_labelled(classify: Classify, models: Path, tmp_path: Path):
    shop, out = photos(tmp_path / "shop", 5), tmp_path / "labels.jsonl"
    with open_job(out, order(models, shop)) as job:
        begin(job)
    photos(shop, 9)
    (shop / "0001.png").unlink()
    assert classify(shop, "--out", out)[0] == 3
    assert labels(out) == ["dark", None, "light", "dark", "middle"]


def test_what_is_complete_is_left_alone_and_ends_as_it_did(classify: Classify, tmp_path: Path):
    for name, code in (("sound", 0), ("broken", 3)):
        shop, out = photos(tmp_path / name, 3), tmp_path / f"{name}.csv"
        if code:
            (shop / "0001.png").write_bytes(b"")
        assert classify(shop, "--out", out)[0] == code
        before = out.stat()
        again, said, _ = classify(shop, "--out", out)
        assert again == code
        assert f"{out} is complete; nothing was to be done." in said
        assert out.stat() == before


def test_what_was_removed_is_made_anew(classify: Classify, tmp_path: Path):
    shop, out = photos(tmp_path / "shop", 3), tmp_path / "labels.jsonl"
    assert classify(shop, "--out", out)[0] == 0
    out.unlink()
    photos(shop, 4)
    assert classify(shop, "--out", out, "--top-k", "1")[0] == 0
    assert len(labels(out)) == 4


def test_an_output_that_no_job_made_is_left_alone(classify: Classify, tmp_path: Path):
    out = tmp_path / "labels.csv"
    out.write_text("mine")
    code, _, complaint = classify(photos(tmp_path / "shop", 3), "--out", out)
    assert (code, out.read_text()) == (1, "mine")
    assert "no labels.csv.job beside it says what it came from; remove it, or name another --out." in complaint
    assert not (tmp_path / "labels.csv.job").exists()


def test_an_output_that_somebody_put_there_meanwhile_is_left_alone(classify: Classify, models: Path, tmp_path: Path):
    shop, out = photos(tmp_path / "shop", 3), tmp_path / "labels.csv"
    with open_job(out, order(models, shop)) as job:
        begin(job)
    out.write_text("mine")
    assert classify(shop, "--out", out)[0] == 1
    assert out.read_text() == "mine"


def test_a_command_that_found_no_photos_may_be_corrected(classify: Classify, tmp_path: Path):
    out = tmp_path / "labels.jsonl"
    assert classify(tmp_path / "shp", "--out", out)[0] == 1
    assert classify(photos(tmp_path / "shop", 3), "--out", out, "--top-k", "1")[0] == 0


@pytest.mark.parametrize("was", ["labelled", "begun"])
def test_another_version_is_refused_and_the_way_out_works(was: str, classify: Classify, shelf: Path, tmp_path: Path):
    shop, out = photos(tmp_path / "shop", 3), tmp_path / "labels.jsonl"
    assert classify(shop, "--out", out, "--version", "2", shelf=shelf)[0] == 0
    if was == "begun":
        out.unlink()
        with open_job(out, order(shelf, shop, version="2")) as job:
            begin(job)
    code, _, complaint = classify(shop, "--out", out, shelf=shelf)
    assert code == 1
    assert f"labels.jsonl was {was} by tiny 2, not by tiny 3; --version 2 " in complaint
    assert "name another --out, or remove " in complaint
    assert classify(shop, "--out", out, "--version", "2", shelf=shelf)[0] == 0
    assert out.exists()


def test_a_version_that_was_published_anew_is_another_one(classify: Classify, tmp_path: Path):
    shop, out = photos(tmp_path / "shop", 3), tmp_path / "labels.jsonl"
    publish(tmp_path / "before")
    publish(tmp_path / "after", model=graph(centres=(0, 100, 255)))
    assert classify(shop, "--out", out, shelf=tmp_path / "before")[0] == 0
    code, _, complaint = classify(shop, "--out", out, shelf=tmp_path / "after")
    assert code == 1
    assert "by another tiny 1, before that was published anew; name another --out, or remove " in complaint


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--top-k", "1"), "with --top-k 5; the same "),
        (("--column", "file", "--max-pixels", "9"), "with --column path, with --max-pixels 52000000; the same "),
    ],
)
def test_other_options_are_refused(options: tuple[str, ...], said: str, classify: Classify, tmp_path: Path):
    shop, out = photos(tmp_path / "shop", 3), tmp_path / "labels.jsonl"
    assert classify(shop, "--out", out)[0] == 0
    code, _, complaint = classify(shop, "--out", out, *options)
    assert (code, f"labels.jsonl was labelled {said}" in complaint) == (1, True), complaint


def test_other_sources_are_refused_and_a_few_of_many_named(classify: Classify, tmp_path: Path):
    shop, out = photos(tmp_path / "shop", 5), tmp_path / "labels.jsonl"
    assert classify(*sorted(shop.iterdir()), "--out", out)[0] == 0
    code, _, complaint = classify(shop, "--out", out)
    assert (code, "/0001.png " in complaint, "/0002.png and 2 more; the same" in complaint) == (1, True, True)


def test_two_at_the_same_output_are_one_too_many(classify: Classify, models: Path, tmp_path: Path):
    shop, out = photos(tmp_path / "shop", 3), tmp_path / "labels.jsonl"
    with open_job(out, order(models, shop)):
        code, _, complaint = classify(shop, "--out", out)
        assert (code, "Another process is writing " in complaint) == (1, True)
    assert classify(shop, "--out", out)[0] == 0


def test_a_disk_that_is_full_is_told_and_the_same_command_goes_on_when_there_is_room(
    classify: Classify, models: Path, full_disk: Path, tmp_path_factory: pytest.TempPathFactory
):
    manifest, out = repeated(tmp_path_factory.mktemp("shop"), 50), full_disk / "labels.jsonl"
    filling = full_disk / "filling"
    size = filling.stat().st_size
    code, _, complaint = classify(manifest, "--out", out)
    assert (code, "No space left on device" in complaint) == (1, True), complaint
    os.truncate(filling, 0)
    with open_job(out, order(models, manifest)) as job:
        begin(job)
        with suppress(OSError):
            filling.write_bytes(bytes(size))
        with pytest.raises(OutputUnwritable, match=r"000000.parquet cannot be written .*, the same command goes on"):
            engine(models).run(job, lambda _: None)
    os.truncate(filling, 0)
    assert classify(manifest, "--out", out)[0] == 3
    assert len(labels(out)) == 50


@pytest.mark.parametrize("file", ["job.json", "summary.json"])
def test_a_job_that_cannot_be_read_says_so(file: str, classify: Classify, tmp_path: Path):
    shop, out = photos(tmp_path / "shop", 3), tmp_path / "labels.jsonl"
    assert classify(shop, "--out", out)[0] == 0
    (tmp_path / "labels.jsonl.job" / file).write_text("{}")
    code, _, complaint = classify(shop, "--out", out)
    assert (code, f"{file} cannot be read (it is damaged); mend that, or remove " in complaint) == (1, True), complaint


def test_a_part_that_is_damaged_is_named_and_made_anew(classify: Classify, models: Path, tmp_path: Path):
    manifest, out = repeated(tmp_path / "shop", PART_SIZE), tmp_path / "labels.jsonl"
    with open_job(out, order(models, manifest)) as job:
        begin(job)
        part = job.folder / "parts" / "000000.parquet"
        part.write_bytes(b"PAR1")
    code, _, complaint = classify(manifest, "--out", out)
    assert (code, f"{part} cannot be read; remove it, " in complaint) == (1, True)
    part.unlink()
    assert classify(manifest, "--out", out)[0] == 3
    assert len(labels(out)) == PART_SIZE
