"""The folder of photos that need a person: which are in it, under which names, and its table, which trains."""

import csv
import io
import itertools
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from artifact.errors import JobBusy, OptionInvalid, OutputUnwritable, StoreUnreachable
from catalog.listed import Listed
from catalog.reading import Reader
from drawn import scene
from reviewed import Shop, failed, row
from support import encoded
from training.files import SPLITS
from training.manifest import Manifest

HOSTILE = [
    "<img src=x onerror=\"document.title='run'\">.jpg",
    "</script><script>document.title='run'</script>.jpg",
    "=HYPERLINK(A1).jpg",
    'two "quoted", and\nanother line.jpg',
    "../../etc/passwd\x00.jpg",
    "\u202egpj.live\u200b.jpg",
    "a" * 3000 + ".jpg",
    "\\udcff.jpg",
]


class Store(Reader):
    """A store that answers so many times, and notes what it was asked for."""

    def __init__(self, answers: int = 10**6) -> None:
        super().__init__()
        self._left = itertools.count(answers, -1)
        self.reads, self.refused = list[str](), list[str]()

    def read(self, listed: Listed) -> bytes:
        if next(self._left) <= 0:
            self.refused.append(listed.path)
            raise StoreUnreachable("The store does not answer.")
        self.reads.append(listed.path)
        return super().read(listed)


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    with Shop.open(tmp_path) as shop:
        yield shop


def table(folder: Path) -> list[dict[str, str]]:
    with (folder / "review.csv").open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def test_photos_to_review_are_there_as_they_came_the_least_sure_first(shop: Shop):
    shop.label(
        [row("a", "tops", 0.8), row("b", "skirts", 0.9, "accept"), row("c", "skirts", 0.4), row("d", "tops", 0.8)]
    )
    assert shop.review()[:2] == (3, 0)
    assert [each["source"] for each in table(shop.folder)] == ["c", "a", "d"]
    assert [each["path"] for each in table(shop.folder)] == [f"photos/0000/000000{place}.jpg" for place in (2, 0, 3)]
    for each in table(shop.folder):
        assert (shop.folder / each["path"]).read_bytes() == shop.photo(each["source"])
    assert len(list(shop.folder.glob("photos/**/*.jpg"))) == 3


def test_photos_may_have_as_many_pixels_as_in_the_job(tmp_path: Path):
    with Shop.open(tmp_path, max_pixels=100) as shop:
        shop.label([row("a", "tops", 0.5)])
        assert shop.review()[:2] == (0, 1)


def test_the_size_of_a_review_is_told(shop: Shop):
    shop.label([row("a", "tops", 0.8)])
    assert shop.review().size == sum(path.stat().st_size for path in shop.folder.rglob("*") if path.is_file())


def test_the_table_has_the_label_twice_to_be_corrected_once(shop: Shop):
    shop.label([row("a", "tops", 0.71234, skirts=0.2)])
    shop.review()
    assert table(shop.folder) == [
        {"path": "photos/0000/0000000.jpg", "label": "tops", "predicted": "tops", "score": "0.7123", "source": "a"}
    ]


def test_a_photos_file_is_called_what_it_is_and_every_kind_has_a_picture(shop: Shop):
    for kind in ("PNG", "TIFF", "GIF"):
        shop.put(kind, encoded(scene(1), kind))
    shop.label([row(kind, "tops", 0.5) for kind in ("PNG", "TIFF", "GIF")])
    shop.review()
    assert [Path(each["path"]).suffix for each in table(shop.folder)] == [".png", ".tiff", ".gif"]
    for path in shop.folder.glob("page/pictures/**/*.jpg"):
        with Image.open(path) as picture:
            assert (picture.format, picture.size) == ("JPEG", (320, 320))


def test_hostile_names_are_numbers_in_the_folder_and_plain_text_in_the_table(shop: Shop):
    shop.label([row(name, "tops", 0.5) for name in HOSTILE])
    shop.review()
    assert {path.name for path in shop.folder.glob("photos/**/*.jpg")} == {f"{n:07}.jpg" for n in range(len(HOSTILE))}
    sources = [each["source"] for each in table(shop.folder)]
    assert sources[2:6] == [
        "'=HYPERLINK(A1).jpg",
        'two "quoted", and\\u000aanother line.jpg',
        "../../etc/passwd\\u0000.jpg",
        "\\u202egpj.live\\u200b.jpg",
    ]
    text = "".join(path.read_text() for path in shop.folder.rglob("*") if path.suffix in {".html", ".js"})
    assert "\u202e" not in text


def corrected(folder: Path) -> str:
    """The table, in which every second label was corrected to one that the model does not know."""
    rows = table(folder)
    for each in rows[::2]:
        each["label"] = "Röcke"
    out = io.StringIO()
    writer = csv.DictWriter(out, rows[0])
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


@pytest.mark.parametrize("saved_as", ["as it was", "UTF-8 with a mark", "with semicolons", "with tabs"])
def test_the_corrected_table_is_a_manifest_however_a_spreadsheet_saves_it(shop: Shop, saved_as: str):
    shop.label([row(str(number), "tops", 0.5) for number in range(12)])
    shop.review()
    text = corrected(shop.folder)
    text = text.replace(",", {"with semicolons": ";", "with tabs": "\t"}.get(saved_as, ","))
    encoding = "utf-8-sig" if saved_as == "UTF-8 with a mark" else "utf-8"
    (shop.folder / "corrected.csv").write_text(text, encoding)
    dataset = Manifest(shop.folder / "corrected.csv")
    assert dataset.labels == ("Röcke", "tops")
    photos = [photo for split in SPLITS for photo in dataset.photos(split)]
    assert sorted(photo.data for photo in photos) == sorted(shop.photo(str(number)) for number in range(12))


def test_photos_with_errors_are_named_on_the_page_and_not_in_the_table(shop: Shop):
    shop.label([failed("broken"), row("a", "tops", 0.5), row("gone", "tops", 0.5)])
    shop.remove("gone")
    assert shop.review()[:2] == (1, 2)
    assert [each["source"] for each in table(shop.folder)] == ["a"]
    named = json.loads((shop.folder / "page/about.js").read_text().removeprefix("review.begin(").removesuffix(");\n"))
    assert [(source, code) for source, code, _ in named["named"]] == [
        ("broken", "image_truncated"),
        ("gone", "photo_missing"),
    ]


def test_a_catalogue_without_a_doubt_has_a_review_that_says_so(shop: Shop):
    shop.label([row("a", "tops", 0.99, "accept")])
    assert shop.review()[:2] == (0, 0)
    assert table(shop.folder) == []


def test_corrections_are_never_written_over(tmp_path: Path):
    with Shop.open(tmp_path) as shop:
        shop.label([row("a", "tops", 0.5)])
        shop.review()
        (shop.folder / "review.csv").write_text("corrected")
        assert shop.review()[:2] == (1, 0)
        assert (shop.folder / "review.csv").read_text() == "corrected"
    with Shop.open(tmp_path, "others.csv") as others:
        others.label([row("a", "tops", 0.5)])
        with pytest.raises(OptionInvalid, match=r"review is there already; move it away, or name another"):
            others.review()
    assert (shop.folder / "review.csv").read_text() == "corrected"


def test_a_review_that_was_broken_off_is_not_there_and_goes_on_after_what_it_wrote(shop: Shop):
    rows = [row(str(number), "tops", 0.5) for number in range(20)]
    shop.label(rows)
    store = Store(answers=12)
    with pytest.raises(StoreUnreachable):
        shop.review(store)
    assert not shop.folder.exists()
    [unfinished] = shop.folder.parent.glob(".review*")
    (unfinished / ".review.json-0badcafe").touch()  # killed while it wrote that
    again = Store()
    assert shop.review(again)[:2] == (20, 0)
    assert sorted(store.reads + again.reads) == sorted(each["path"] for each in rows)
    assert sorted(path.name for path in shop.folder.iterdir()) == [
        "index.html",
        "page",
        "photos",
        "review.csv",
        "review.json",
    ]


def test_a_store_that_is_gone_is_not_asked_for_minutes_again(shop: Shop):
    shop.label([row(str(number), "tops", 0.5) for number in range(20)])
    store = Store(answers=0)
    with pytest.raises(StoreUnreachable):
        shop.review(store)
    assert len(store.refused) <= 2  # threads


def test_what_another_job_left_unfinished_is_not_taken_over(tmp_path: Path):
    with Shop.open(tmp_path) as shop:
        shop.label([row("a", "tops", 0.5)])
        with pytest.raises(StoreUnreachable):
            shop.review(Store(answers=0))
    [unfinished] = tmp_path.glob(".review*")
    (unfinished / "page").mkdir()
    (unfinished / "page/stale").touch()
    with Shop.open(tmp_path, "others.csv") as others:
        others.label([row("b", "tops", 0.5)])
        others.review()
        assert not (others.folder / "page/stale").exists()
    assert not unfinished.exists()


def test_two_jobs_do_not_write_one_review_at_once(tmp_path: Path):
    with Shop.open(tmp_path) as shop, Shop.open(tmp_path, "others.csv") as others:
        for each in (shop, others):
            each.label([row("a", "tops", 0.5)])

        class Meanwhile(Store):
            """The other one asks for its review, too, while this one is made."""

            def read(self, listed: Listed) -> bytes:
                with pytest.raises(JobBusy, match=r"Another process is making .*review; let it end, or name another"):
                    others.review()
                return super().read(listed)

        assert shop.review(Meanwhile())[:2] == (1, 0)
        with pytest.raises(OptionInvalid, match="review is there already"):
            others.review()


def test_a_full_disk_is_told(full_disk: Path, tmp_path_factory: pytest.TempPathFactory):
    with Shop.open(tmp_path_factory.mktemp("shop")) as shop:
        shop.label([row("a", "tops", 0.5)])
        shop.folder = full_disk / "review"
        with pytest.raises(OutputUnwritable, match=r"review cannot be written \(No space left on device\)"):
            shop.review()


def test_many_photos_are_in_portions(shop: Shop):
    shop.label([row(str(number % 3), "tops", 0.5 + number / 1000) for number in range(450)])
    assert shop.review().photos == 450
    portions = [(shop.folder / f"page/rows/{page}.js").read_text() for page in (1, 2, 3)]
    assert [portion.count('"picture"') for portion in portions] == [200, 200, 50]
    assert not (shop.folder / "page/rows/4.js").exists()
