"""`hangtag classify`: a catalogue in, a file with a row for each photo out."""

import gc
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from artifact.cluster import LOCAL
from artifact.command import Given, Options
from artifact.device import Device, available_cpus
from artifact.errors import OptionInvalid
from artifact.pixels import DEFAULT_MAX_PIXELS
from artifact.repository import MODEL_FILE, Artifact, Repository
from catalog.classifier import Classifier
from catalog.cluster import ClusterEngine
from catalog.job import Job, open_job
from catalog.listed import printable
from catalog.local import LocalEngine
from catalog.order import Order
from catalog.output import WRITERS, write_output
from catalog.progress import progress
from catalog.reading import Reader
from catalog.review import Review
from catalog.sources import DEFAULT_COLUMN, list_photos
from catalog.summary import Counts, Summary, counted

Engine = Callable[[Job, Callable[[int], object]], None]

_REVIEW_THREADS = 4  # for each core: one of them makes a picture, and the others read


def _check_suffix(out: Path) -> Path:
    if out.suffix.lower() not in WRITERS:
        raise ValueError(f"the suffix says what is written: {', '.join(WRITERS)}")
    return out


class ClassifyOptions(Options):
    """Label all photos of a catalogue; if it is broken off, the same command goes on.

    Exit codes: 0 every photo has a label, 3 some have an error instead, 1 it stopped before all were done,
    2 wrong usage, 130 interrupted.

    Example: hangtag classify photos/ --model closet --out labels.csv
    """

    sources: Given = Field(
        min_length=1,
        description="folders, globs, photos, manifests (.csv, .jsonl, .parquet), archives, or URLs of these",
    )
    model: str = Field(description="the model")
    out: Annotated[Path, AfterValidator(_check_suffix)] = Field(description="what to write: a .csv, .jsonl or .parquet")
    version: str = Field("stable", description="the version of the model, a number or a label")
    review: Path | None = Field(None, description="a new folder for the photos that need a person, to be corrected")
    column: str = Field(DEFAULT_COLUMN, description="the column of manifests that names the photos")
    top_k: int = Field(5, ge=1, description="labels of each photo, with their scores, best first")
    max_pixels: int = Field(DEFAULT_MAX_PIXELS, ge=1, description="pixels that one photo may declare at most")
    models: Path = Field(Path("models"), description="the model repository")
    device: Device = Field("auto", description="where the model runs; auto is cuda where onnxruntime has it, else cpu")
    runners: int | None = Field(
        None, ge=1, le=1024, description="cores that label, on a cluster an actor each; else all that there are"
    )
    engine: Literal["local", "ray"] = Field("local", description="who labels: this machine, or a Ray cluster")
    address: str = Field(LOCAL, description="the Ray cluster: auto, or HOST:PORT; local starts one on this machine")
    gpus_per_actor: float = Field(0, ge=0, description="GPUs of each actor on a cluster; with 0.25, four share one")


def run(arguments: Sequence[str]) -> int:
    """Label one catalogue."""
    options = ClassifyOptions.parse("classify", arguments)
    repository = Repository(options.models)
    artifact = repository.open(options.model, repository.resolve(options.model, options.version))
    with open_job(options.out, _order(options, artifact)) as job:
        review = Review(options.review, job, artifact.card) if options.review else None
        if job.summary:
            return _complete(job, job.summary, review)
        if review:
            review.check_free()
        try:
            return _run(job, options, _engine(options, artifact), review)
        except KeyboardInterrupt as interrupt:
            raise KeyboardInterrupt("interrupted; the same command goes on from here.") from interrupt


def _order(options: ClassifyOptions, artifact: Artifact) -> Order:
    return Order(
        model=artifact.card.name,
        version=artifact.card.version,
        digest=artifact.card.files[MODEL_FILE],
        sources=tuple(map(_named, options.sources)),
        column=options.column,
        top_k=options.top_k,
        max_pixels=options.max_pixels,
    )


def _named(source: str) -> str:
    """The source as it is known from any folder."""
    return printable(source if "://" in source else str(Path(source).absolute()))


def _engine(options: ClassifyOptions, artifact: Artifact) -> Engine:
    """Who labels; here the model has answered its golden samples by now, on a cluster it does so in each actor."""
    classifier = partial(
        Classifier, artifact, device=_device(options), max_pixels=options.max_pixels, top_k=options.top_k
    )
    if options.engine == "local":
        return LocalEngine(classifier(), _cores(options)).run
    return ClusterEngine(classifier, options.address, options.runners, options.gpus_per_actor).run


def _cores(options: ClassifyOptions) -> int:
    """How many of this machine may be busy."""
    return (options.runners if options.engine == "local" else None) or available_cpus()


def _device(options: ClassifyOptions) -> Device:
    """Where the model runs; an actor leaves alone what Ray did not give it. Raises OptionInvalid."""
    if options.engine == "local" or options.gpus_per_actor:
        return options.device
    if options.device == "cuda":
        raise OptionInvalid("--device: actors have a GPU only if --gpus-per-actor says how much of one.")
    return "cpu"


def _complete(job: Job, summary: Summary, review: Review | None) -> int:
    if review and summary.reviewed is None:
        raise OptionInvalid(f"--review: {_shown(job)} is complete, without a review; remove it to begin anew.")
    print(f"{_shown(job)} is complete; nothing was to be done.")
    return _told(summary)


def _run(job: Job, options: ClassifyOptions, engine: Engine, review: Review | None) -> int:
    gc.freeze()  # what is loaded stays; looking through it, again and again, takes a fiftieth of a small photo's time
    if not job.is_listed:
        _list(job, options)
    missing = sum(map(job.listing.size, job.missing()))
    started = perf_counter()
    with progress("labelled", job.listing.photos, job.listing.photos - missing) as labelled:
        engine(job, labelled)
    seconds = perf_counter() - started
    counts = Counts()
    write_output(counts.counted(job.tables()), job.draft)
    summary = counts.summary(datetime.now(UTC))
    if review:
        summary = _reviewed(review, summary, options)
    job.finish(summary)
    print(f"{_shown(job)}: {summary.photos:,} photos by {job.order.model} {job.order.version}")
    if missing:
        print(f"{missing:,} of them in {seconds:,.1f} s, {missing / seconds:,.1f} photos/s")
    return _told(summary)


def _reviewed(review: Review, summary: Summary, options: ClassifyOptions) -> Summary:
    """Make the review; the summary then says how many photos are in it."""
    with progress("for review", summary.decisions.get("review", 0) + sum(summary.errors.values())) as done:
        made = review.write(Reader(), _REVIEW_THREADS * _cores(options), done)
    print(f"{options.review}: {made.photos:,} photos for a person, {made.size / 1e6:,.1f} MB; open its index.html")
    return summary.model_copy(update={"reviewed": made.photos})


def _list(job: Job, options: ClassifyOptions) -> None:
    passed_over = Counter[str]()
    with progress("listed") as listed:
        job.begin_with(list_photos(options.sources, options.column, passed_over), listed)
    if passed_over:
        print(f"Passed over, as no photos by their names: {counted(passed_over)}.")


def _shown(job: Job) -> str:
    return printable(str(job.out))


def _told(summary: Summary) -> int:
    print(summary)
    return summary.exit_code
