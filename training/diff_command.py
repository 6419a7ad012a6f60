"""`hangtag models diff`: the photos on which two versions of a model disagree, as a page."""

from collections.abc import Sequence
from pathlib import Path

from pydantic import Field
from pydantic_settings import CliPositionalArg

from artifact.errors import DataError
from artifact.models.options import RepositoryOptions
from training.diff import Diff, diff
from training.diff_page import diff_page
from training.run_folder import write_whole
from training.shown import count, number_of, percent


class DiffOptions(RepositoryOptions):
    """Run two versions over all photos below a folder, and draw a page of those on which they disagree.

    Photos that lie in folders named as labels say, too, which of the versions is right.

    Example: hangtag models diff closet stable canary --data photos/
    """

    model: CliPositionalArg[str] = Field(description="name of the model")
    first: CliPositionalArg[str] = Field(description="a version or a label")
    second: CliPositionalArg[str] = Field(description="another one")
    data: Path = Field(description="a folder of photos; folders in it are looked through, too")
    out: Path | None = Field(None, description="the page to write; diff/<model>-<first>-<second>.html unless told")
    pictures: int = Field(200, ge=0, description="pictures on the page at most")


def run(arguments: Sequence[str]) -> int:
    """Compare, write the page and say what was found."""
    options = DiffOptions.parse("models diff", arguments)
    repository, name = options.repository, options.model
    first, second = (repository.resolve(name, wanted) for wanted in (options.first, options.second))
    found = diff(repository.open(name, first), repository.open(name, second), options.data)
    page = options.out or Path("diff") / f"{name}-{first}-{second}.html"
    try:
        page.parent.mkdir(parents=True, exist_ok=True)
        write_whole(page, diff_page(found, options.pictures))
    except OSError as error:
        raise DataError(f"{page} cannot be written ({error.strerror}); choose a file with --out.") from error
    _tell(found)
    print(page)
    return 0


def _tell(found: Diff) -> None:
    low, high = found.agreement_interval
    print(
        f"{number_of(found.photos, 'photo')}, {percent(found.agreed / found.photos, 2)} with the same label (95 % "
        f"interval {percent(low, 2)} to {percent(high, 2)}); {number_of(found.label_changes, 'label')} and "
        f"{number_of(found.decision_changes, 'decision')} differ."
    )
    if found.judged:
        first, second = found.right
        print(
            f"Of {count(found.judged)} with a known label, version {found.first.version} names {count(first)} right, "
            f"version {found.second.version} {count(second)}."
        )
    if found.unreadable:
        print(f"{number_of(len(found.unreadable), 'file')} cannot be decoded; the page names them.")
