import json
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

import hangtag
import support
from artifact.card import CARD_FILE, RunCard
from artifact.errors import DataError
from drawn import draw_dataset, draw_scenes, scene, write_recipe
from training.answers import RunAnswers
from training.audit import Audit
from training.audit_page import audit_page
from training.auditor import audit
from training.files import SPLITS
from training.folders import Folders

HOSTILE = "<img src=x onerror=alert(1)>&\"'.png"


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """Split photos: a photo of one split and label saved anew in others, a copy, a damaged file, a stray, odd names."""
    root = tmp_path / "shop"
    for number, split in enumerate(SPLITS):
        first = 100 * number
        draw_scenes(root / split, tops=range(first, first + 4), bottoms=range(first + 10, first + 14))
    scene(0).resize((90, 120)).save(root / "test" / "tops" / "anew.jpg", quality=80)
    scene(1).save(root / "train" / "bottoms" / "copy.png")
    (root / "train" / "tops" / "broken.jpg").write_bytes(b"\xff\xd8\xff no photo")
    (root / "validation" / "tops" / HOSTILE).write_bytes(b"")
    scene(50).convert("L").save(root / "validation" / "tops" / HOSTILE.replace("img", "b"))
    (root / "README").write_text("not a photo")
    return root


def run_of(folder: Path, labels: tuple[str, ...], doubts: dict[str, str]) -> Path:
    """A run on the folder's photos whose model is sure of every label but those that it doubts."""
    dataset, run = Folders(folder), folder.parent / "run"
    run.mkdir()
    described = support.card(labels=labels).model_dump(exclude={"version", "export"})
    (run / CARD_FILE).write_text(RunCard.model_validate(described).to_json())
    arrays = {}
    for split in SPLITS:
        photos = list(dataset.photos(split))
        given = np.array([photo.label for photo in photos])
        best = [labels.index(doubts.get(p.name, labels[p.label])) for p in photos]
        sure = 0.8 if split == "train" else 0.9
        arrays[f"{split}_scores"] = (np.eye(len(labels))[best] * sure + (1 - sure) / len(labels)).astype(np.float32)
        arrays[f"{split}_labels"], arrays[f"{split}_names"] = given, np.array([photo.name for photo in photos])
    np.savez(run / "scores.npz", **arrays)
    return run


class Checker(HTMLParser):
    """Counts the tags of a page and keeps its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.sources: list[str] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.sources += [value or "" for name, value in attrs if name in ("src", "href")]
        assert not [name for name, _ in attrs if name.startswith("on")]

    def handle_data(self, data: str) -> None:
        self.text += data


def test_an_audit_counts_and_finds_what_is_wrong(shop: Path):
    found = audit(Folders(shop))
    assert found.counts == {
        "bottoms": {"train": 5, "validation": 4, "test": 4},
        "tops": {"train": 5, "validation": 6, "test": 5},
    }
    assert {(item.photo.name, item.code) for item in found.unreadable} == {
        ("train/tops/broken.jpg", "image_truncated"),
        (f"validation/tops/{HOSTILE}", "image_empty"),
    }
    assert found.strays == ("README",)
    [copied] = found.exact
    assert {photo.name for photo in copied.photos} == {"train/bottoms/copy.png", "train/tops/001.png"}
    assert (copied.crosses_labels, copied.crosses_splits) == (True, False)
    [anew] = found.near
    assert {photo.name for photo in anew.photos} == {"train/tops/000.png", "test/tops/anew.jpg"}
    assert (anew.crosses_labels, anew.crosses_splits) == (False, True)
    assert found.width is not None
    assert (found.width.least, found.width.median, found.width.greatest) == (60, 60, 90)
    assert found.formats == {"PNG, RGB": 25, "JPEG, RGB": 1, "PNG, L": 1}
    assert found.imbalance == pytest.approx(16 / 13)
    assert found.gaps == ()
    assert found.suspects is None


def test_an_audit_says_where_training_will_refuse(tmp_path: Path):
    root = draw_scenes(tmp_path / "shop", a=range(9), b=range(9, 11), c=range(0))
    for number in range(10, 30):
        (root / "a" / f"{number}.png").write_bytes(b"no photo")
    found = audit(Folders(root))
    assert found.gaps == ("a in train", "b in train", "c in train", "c in validation", "c in test")
    assert found.imbalance is None


def test_an_audit_is_the_same_again_after_json(shop: Path):
    found = audit(Folders(shop))
    assert Audit.model_validate_json(found.model_dump_json()) == found


def test_the_command_writes_a_page_and_json(shop: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert hangtag.main(["audit", str(shop), "--out", str(tmp_path / "out")]) == 0
    out = capsys.readouterr().out
    assert "29 photos of 2 labels; 2 cannot be decoded; 1 groups of exact and 1 of near-duplicates" in out
    assert out.endswith(f"{tmp_path / 'out' / 'audit.html'}\n")
    assert json.loads((tmp_path / "out" / "audit.json").read_bytes())["strays"] == ["README"]
    page = Checker((tmp_path / "out" / "audit.html").read_text())
    for words in ("Audit of shop", "validation/tops/" + HOSTILE, "image_truncated", "across splits", "README"):
        assert words in page.text


def test_a_page_stands_alone_and_takes_no_name_for_markup(shop: Path):
    dataset = Folders(shop)
    page = Checker(audit_page("<script>shop</script>", dataset, audit(dataset)))
    assert not {"script", "b", "link", "iframe"} & set(page.tags)
    assert page.sources
    assert all(source.startswith("data:image/") for source in page.sources)
    assert "Audit of <script>shop</script>" in page.text


def test_labels_that_a_run_doubts_are_named_the_worst_first(shop: Path, capsys: pytest.CaptureFixture[str]):
    (shop / "validation" / "tops" / HOSTILE).unlink()
    doubts = {"train/tops/002.png": "bottoms", "test/bottoms/211.png": "tops"}
    run = run_of(shop, ("bottoms", "tops"), doubts)
    found = audit(Folders(shop), RunAnswers.load(run))
    assert found.suspects is not None
    assert {suspect.photo.name: suspect.suggested for suspect in found.suspects} == doubts
    assert [suspect.photo.split for suspect in found.suspects] == ["test", "train"]
    assert found.suspects[0].score == pytest.approx(0.05)
    assert found.suspects[0].suggested_score == pytest.approx(0.95)
    assert hangtag.main(["audit", str(shop), "--out", str(run / "audit"), "--run", str(run)]) == 0
    assert "2 labels look wrong." in capsys.readouterr().out
    page = Checker((run / "audit" / "audit.html").read_text())
    assert re.search(r"bottoms\s+5\.0\s%\s*rather\s+tops\s+95\.0\s%", page.text)
    assert "it has seen their labels" in page.text


def test_a_run_on_other_photos_or_labels_is_refused(shop: Path, tmp_path: Path):
    run = run_of(shop, ("bottoms", "tops"), {})
    other = Folders(draw_scenes(tmp_path / "other", bottoms=range(5), tops=range(5, 9)))
    with pytest.raises(
        DataError, match=r"run was trained on 29 photos that other has not, .*: train/bottoms/.* 19 more"
    ):
        audit(other, RunAnswers.load(run))
    with pytest.raises(
        DataError, match=r"has the labels bottoms, tops, and drawn has blue, green, red; audit the recipe"
    ):
        audit(Folders(draw_dataset(tmp_path, count=3) / "drawn"), RunAnswers.load(run))


@pytest.mark.parametrize("content", [None, b"", b"no zip", b"PK\x03\x04cut"])
def test_scores_that_are_not_whole_are_named(shop: Path, content: bytes | None):
    run = run_of(shop, ("bottoms", "tops"), {})
    (run / "scores.npz").unlink()
    if content is not None:
        (run / "scores.npz").write_bytes(content)
    with pytest.raises(DataError, match=r"scores\.npz is not whole .*; finish the run again with --resume"):
        RunAnswers.load(run)


def test_a_manifest_and_a_recipe_can_be_audited_as_a_folder_can(tmp_path: Path):
    root = draw_dataset(tmp_path, count=5)
    rows = [f"{path.relative_to(root).as_posix()},{path.parent.name}" for path in sorted(root.rglob("*.png"))]
    (root / "photos.csv").write_text("\n".join(["path,label", *rows]))
    recipe = write_recipe(tmp_path)
    for number, arguments in enumerate(
        ([str(root / "photos.csv")], [str(root / "drawn")], [str(recipe), "--data", str(root)])
    ):
        out = tmp_path / str(number)
        assert hangtag.main(["audit", *arguments, "--out", str(out)]) == 0
        counts = json.loads((out / "audit.json").read_bytes())["counts"]
        assert counts["red"] == {"train": 3, "validation": 1, "test": 1}


def test_a_recipes_classes_are_audited_as_they_are_trained(tmp_path: Path):
    recipe = write_recipe(tmp_path, licence='"CC0"\nclasses = { cold = ["green", "blue"], warm = ["red"] }')
    arguments = [str(recipe), "--data", str(draw_dataset(tmp_path, count=5)), "--out", str(tmp_path / "out")]
    assert hangtag.main(["audit", *arguments]) == 0
    counts = json.loads((tmp_path / "out" / "audit.json").read_bytes())["counts"]
    assert {label: sum(by_split.values()) for label, by_split in counts.items()} == {"cold": 10, "warm": 5}


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda root: root.mkdir(), "shop has no folder; it needs a folder of photos for each label"),
        (lambda root: draw_scenes(root, a=range(0), b=range(0)), "shop has no photos; there should be some"),
        (lambda root: root.write_text("x"), "is neither a folder of photos nor a manifest (.csv or .parquet)"),
        (lambda root: root.exists(), "There is no recipe"),
    ],
    ids=["empty", "no photos", "a file", "nothing"],
)
def test_what_cannot_be_audited_says_why(tmp_path: Path, capsys: pytest.CaptureFixture[str], make, words: str):
    make(tmp_path / "shop")
    assert hangtag.main(["audit", str(tmp_path / "shop"), "--out", str(tmp_path / "out")]) == 1
    assert words in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_folder_that_cannot_be_written_is_named(shop: Path, capsys: pytest.CaptureFixture[str]):
    assert hangtag.main(["audit", str(shop), "--out", str(shop / "README")]) == 1
    assert "README cannot be written (File exists); choose a folder with --out." in capsys.readouterr().err


def test_the_same_garment_under_two_labels_is_found_in_real_photos(real_root: Path):
    if not (real_root / "clothing-small").is_dir():
        pytest.skip(f"clothing-small is not in {real_root}")
    [shorts] = audit(Folders(real_root / "clothing-small")).near
    assert {photo.label for photo in shorts.photos} == {"shorts", "skirt"}
