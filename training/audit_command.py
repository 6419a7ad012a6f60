"""`hangtag audit`: photos in, a page about them out, before anything is trained on them."""

from collections.abc import Sequence
from pathlib import Path

from pydantic import Field
from pydantic_settings import CliPositionalArg

from artifact.command import Options
from artifact.errors import DataError
from training.answers import RunAnswers
from training.audit import Audit
from training.audit_page import audit_page
from training.auditor import audit
from training.data import Dataset
from training.recipe import find_recipe, read_recipe
from training.run_folder import write_whole
from training.sources import open_dataset, open_path


class AuditOptions(Options):
    """Look at all photos before a model is trained on them: counts, damaged files, duplicates, sizes, contact sheets.

    Example: hangtag audit photos/ --out audit/photos
    """

    photos: CliPositionalArg[str] = Field(
        description="a folder with a folder per label, a manifest (.csv, .parquet), or a recipe, by name or as .toml"
    )
    data: Path = Field(default=Path("data"), description="the data root, for recipes")
    out: Path | None = Field(default=None, description="where audit.html and audit.json go; audit/<name> unless told")
    run: Path | None = Field(default=None, description="a finished run on these photos: name labels that look wrong")


def run(arguments: Sequence[str]) -> int:
    """Audit one dataset."""
    options = AuditOptions.parse("audit", arguments)
    answers = RunAnswers.load(options.run) if options.run else None
    name, dataset = _open(options)
    found = audit(dataset, answers)
    page = _write(options.out or Path("audit") / name, found, audit_page(name, dataset, found))
    _tell(found)
    print(page)
    return 0


def _open(options: AuditOptions) -> tuple[str, Dataset]:
    """The dataset that is meant, and a name for it; what exists is a folder or a manifest, the rest a recipe."""
    path = Path(options.photos)
    if path.suffix != ".toml" and path.exists():
        return path.resolve().stem, open_path(path)
    recipe = read_recipe(find_recipe(options.photos))
    return recipe.name, open_dataset(recipe, options.data)


def _write(folder: Path, found: Audit, page: str) -> Path:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_whole(folder / "audit.json", found.model_dump_json(indent=2) + "\n")
        write_whole(folder / "audit.html", page)
    except OSError as error:
        raise DataError(f"{folder} cannot be written ({error.strerror}); choose a folder with --out.") from error
    return folder / "audit.html"


def _tell(found: Audit) -> None:
    crossing = sum(group.crosses_splits for group in found.likenesses)
    print(
        f"{sum(found.totals.values()):,} photos of {len(found.counts)} labels; {len(found.unreadable):,} cannot be "
        f"decoded; {len(found.exact):,} groups of exact and {len(found.near):,} of near-duplicates, "
        f"{crossing:,} of them across splits."
    )
    if found.suspects is not None:
        print(f"{len(found.suspects):,} labels look wrong.")
    if found.gaps:
        print(f"Training will refuse this: too few photos that can be decoded of {', '.join(found.gaps)}.")
