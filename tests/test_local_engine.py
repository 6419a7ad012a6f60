"""The engine of one machine: who has a core, and when what is done is written."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from threading import Barrier, local
from time import sleep
from typing import Any

import numpy as np
import pytest
from pyarrow import parquet

from artifact.errors import HangtagError, JobDamaged, OutputUnwritable, PhotoMissing, StoreUnreachable
from artifact.repository import Repository
from catalog import gathered, labelling
from catalog.actor import Labeller, received, sent
from catalog.classifier import Classifier, Decoded
from catalog.gathered import Gathered
from catalog.job import Job, open_job
from catalog.labelling import THREADS
from catalog.listed import Listed
from catalog.listing import PART_SIZE
from catalog.local import LocalEngine
from catalog.order import Order
from catalog.output import write_output
from catalog.reading import Reader
from catalog.rows import REPEATED, SCHEMA, Found, to_table
from graphs import graph, telling_at
from labelled import Failing, begin, engine, order, repeated
from support import PATIENCE, card, png, publish


class Together(Reader):
    """Reads photos, each but the first one of a thread only when all threads of two cores want one."""

    def __init__(self) -> None:
        super().__init__()
        self._all = Barrier(THREADS * 2)
        self._seen = local()

    def read(self, listed: Listed) -> bytes:
        if hasattr(self._seen, "first"):
            self._all.wait(PATIENCE)
        self._seen.first = True
        return super().read(listed)


class Counting(Classifier):
    """Answers photos, and counts how many threads ask at once."""

    most = now = 0

    def decoded(self, images: Iterable[bytes | HangtagError], count: int) -> Decoded:
        with self._counted():
            return super().decoded(images, count)

    def scores(self, photos: Decoded) -> Found:
        with self._counted():
            return super().scores(photos)

    @contextmanager
    def _counted(self) -> Iterator[None]:
        self.now += 1
        self.most = max(self.most, self.now)
        sleep(0.002)  # in which another thread would come
        yield
        self.now -= 1


class Noting(Classifier):
    """Answers photos, and notes how many a thread takes at once."""

    def __init__(self, models: Path) -> None:
        super().__init__(Repository(models).open("tiny", "1"))
        self.taken = list[int]()

    def decoded(self, images: Iterable[bytes | HangtagError], count: int) -> Decoded:
        self.taken.append(count)
        return super().decoded(images, count)


class Awaited(Job):
    """Writes parts, each only when more threads have one to write than may use the cores that the engine was given."""

    def __init__(self, out: Path, order: Order) -> None:
        super().__init__(out, order)
        self._all = Barrier(3)

    def write(self, tables: Mapping[int, Any]) -> None:
        if tables:
            self._all.wait(PATIENCE)
        super().write(tables)


class Full(Job):
    """Writes the first part, and then the disk is full."""

    is_full = False

    def write(self, tables: Mapping[int, Any]) -> None:
        if self.is_full:
            raise OutputUnwritable("No space is left.")
        self.is_full = True
        super().write(tables)


def test_photos_that_come_slowly_are_read_by_all_threads_at_once(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(labelling, "_SLOW_SECONDS", 0.0)
    monkeypatch.setattr(labelling, "_PATIENCE_SECONDS", 0.0)
    source = repeated(tmp_path / "photos", PART_SIZE)
    with open_job(tmp_path / "labels.jsonl", order(models, source)) as job:
        begin(job)
        engine(models, Together()).run(job, lambda _: None)
        assert not job.missing()


def test_while_parts_are_written_other_photos_are_labelled(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(gathered, "_SECONDS", 0.0)
    source = repeated(tmp_path / "photos", 3 * PART_SIZE)
    with open_job(tmp_path / "labels.jsonl", order(models, source)) as opened:
        begin(opened)
        job = Awaited(opened.out, opened.order)
        LocalEngine(Classifier(Repository(models).open("tiny", "1")), 1).run(job, lambda _: None)
        assert not job.missing()


def test_no_more_cores_are_busy_than_it_was_given(models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(labelling, "_PATIENCE_SECONDS", 1e9)
    source = repeated(tmp_path / "photos", PART_SIZE)
    classifier = Counting(Repository(models).open("tiny", "1"))
    with open_job(tmp_path / "labels.jsonl", order(models, source)) as job:
        begin(job)
        LocalEngine(classifier, 1).run(job, lambda _: None)
    assert classifier.most == 1


@pytest.mark.parametrize(
    ("patience", "taken"),
    [(1e9, [16] * 8 + [64] * 9 + [16] * 4 + [7]), (-1e9, [16] * 48 + [7])],
    ids=["photos come quickly", "photos come slowly"],
)
def test_threads_take_few_photos_at_once_where_they_may_come_slowly_and_where_the_catalogue_ends(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, patience: float, taken: list[int]
):
    monkeypatch.setattr(labelling, "_PATIENCE_SECONDS", patience)
    source, classifier = repeated(tmp_path / "photos", 3 * PART_SIZE + 7), Noting(models)
    with open_job(tmp_path / "labels.jsonl", order(models, source)) as job:
        begin(job)
        LocalEngine(classifier, 1).run(job, lambda _: None)
    assert sorted(classifier.taken) == sorted(taken)


def test_an_actor_runs_the_same_photos_together_as_this_machine(tmp_path: Path):
    publish(tmp_path / "models", model=graph(extra=telling_at(70)))
    classifier = Classifier(Repository(tmp_path / "models").open("tiny", "1"))
    source = repeated(tmp_path / "photos", PART_SIZE)
    for number in range(9):
        (tmp_path / "photos" / f"{number:04}.png").write_bytes(png(70 if number == 5 else 64))
    with open_job(tmp_path / "labels.jsonl", order(tmp_path / "models", source)) as job:
        begin(job)
        LocalEngine(classifier, 1).run(job, lambda _: None)
        [here] = job.tables()
        [(part, there)] = received(Labeller(lambda: classifier, None)(sent(0, job.listing.part(0))))
    assert part == 0
    assert there.equals(here)
    scores = {round(score, 2) for score in there["score"].to_pylist() if score is not None}
    assert scores == {0.5, 0.73, 1.0}  # of those that ran without one that tells, with it, and its own


def interrupted_with_a_part(job: Job) -> None:
    with Gathered(job) as done:
        done.add(0, SCHEMA.empty_table())
        raise KeyboardInterrupt


def test_where_the_disk_is_full_as_well_the_first_failure_is_what_is_told(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(gathered, "_SECONDS", 1e9)
    with open_job(tmp_path / "labels.jsonl", order(models, repeated(tmp_path / "photos", 4 * PART_SIZE))) as opened:
        begin(opened)
        job = Full(opened.out, opened.order)
        with pytest.raises(StoreUnreachable):
            engine(models, Failing(after=3 * PART_SIZE + 1)).run(job, lambda _: None)
        with pytest.raises(KeyboardInterrupt):
            interrupted_with_a_part(job)
        with pytest.raises(OutputUnwritable), Gathered(job) as done:
            done.add(0, SCHEMA.empty_table())


def test_parts_that_follow_each_other_share_a_file_and_come_in_order(models: Path, tmp_path: Path):
    source, missing = repeated(tmp_path / "photos", 5 * PART_SIZE - 7), PhotoMissing("It is not there.")
    with open_job(tmp_path / "labels.jsonl", order(models, source)) as job:
        begin(job)
        sizes = {part: job.listing.size(part) for part in range(5)}
        tables = {
            part: to_table(
                [f"{part}/{place}" for place in range(size)],
                Found(np.zeros((size, 3), np.float32), dict.fromkeys(range(size), missing)),
                card(),
                3,
            )
            for part, size in sizes.items()
        }
        job.write({part: tables[part] for part in (4, 1, 0)})
        assert job.missing() == [2, 3]
        with pytest.raises(JobDamaged, match="is gone; the same command makes it anew"):
            next(job.tables())
        job.write({part: tables[part] for part in (2, 3)})
        assert not job.missing()
        names = {path.name for path in (job.folder / "parts").iterdir()}
        assert names == {"000000-000001.parquet", "000002-000003.parquet", "000004.parquet"}
        assert [table["path"].to_pylist() for table in job.tables()] == [
            table["path"].to_pylist() for table in tables.values()
        ]


def test_the_first_part_is_written_at_once_and_others_together_when_it_is_time(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    clock = [100.0]
    monkeypatch.setattr(gathered, "monotonic", lambda: clock[0])
    source, nothing = repeated(tmp_path / "photos", 5 * PART_SIZE), SCHEMA.empty_table()
    with open_job(tmp_path / "labels.jsonl", order(models, source)) as job:
        begin(job)
        done = Gathered(job)
        assert done.add(0, nothing)
        done.write()
        assert [done.add(part, nothing) for part in (1, 2)] == [False, False]
        assert job.missing() == [1, 2, 3, 4]
        clock[0] += 1.9
        assert not done.add(3, nothing)
        clock[0] += 0.1
        assert done.add(4, nothing)
        done.write()
        assert {path.stem for path in (job.folder / "parts").iterdir()} == {"000000", "000001-000004"}


def test_parquet_holds_once_what_repeats_and_looks_for_nothing_else_that_might(models: Path, tmp_path: Path):
    paths = ["a.png", "b.png"]
    found = Found(np.array([[0.75, 0.25, 0.0], [0.0] * 3], np.float32), {1: PhotoMissing("It is not there.")})
    table = to_table(paths, found, card(), 3)
    write_output([table], tmp_path / "output.parquet")
    with open_job(tmp_path / "labels.jsonl", order(models, repeated(tmp_path / "photos", 1))) as job:
        begin(job)
        job.write({0: table})
        for path in (tmp_path / "output.parquet", job.folder / "parts" / "000000.parquet"):
            group = parquet.ParquetFile(path).metadata.row_group(0)
            columns = [group.column(place) for place in range(group.num_columns)]
            held_once = {column.path_in_schema for column in columns if column.has_dictionary_page}
            assert held_once == set(REPEATED)
