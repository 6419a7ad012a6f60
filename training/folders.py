"""A folder of photos, one folder per label, with or without folders for the splits around them."""

from pathlib import Path

from artifact.card import Split
from artifact.errors import DataError
from training.files import SPLITS, Holding, PhotoFile, PhotoFiles, printable


class Folders(PhotoFiles):
    """Photos in `<root>/<label>/*`, or in `<root>/{train,validation,test}/<label>/*`.

    Of the splits only train has to be there. What is hidden is left out. A file that stands beside the labels' folders
    is a stray: it is named, and not used.
    """

    def __init__(
        self, root: Path, *, licence: str = "not stated", validation: float = 0.1, test: float = 0.1, seed: int = 0
    ) -> None:
        split_folders = _split_folders(root)
        files, labels, strays = [], set(), []
        for split, folder in split_folders or [("train", root)]:
            for entry in _listing(folder):
                if entry.is_dir():
                    labels.add(label := printable(entry.name))
                    files += [PhotoFile(_name(path, root), label, split) for path in _photos(entry)]
                else:
                    strays.append(_name(entry, root))
        if split_folders:
            strays += [_name(entry, root) for entry in _listing(root) if not entry.is_dir()]
        _check_labels(root, labels)
        super().__init__(
            root,
            files,
            sorted(labels),
            source=root.name,
            licence=licence,
            holding=Holding(validation=validation, test=test, seed=seed),
            strays=[printable(stray) for stray in sorted(strays)],
        )


def _split_folders(root: Path) -> list[tuple[Split, Path]]:
    """The folders of the splits, or none where the folders are those of labels, which have no folders in them."""
    names = [entry.name for entry in _listing(root) if entry.is_dir()]
    if "train" not in names or not any(entry.is_dir() for entry in _listing(root / "train")):
        return []
    unknown = sorted(set(names) - set(SPLITS))
    if unknown:
        raise DataError(f"{root} has {', '.join(unknown)} beside train; beside it there should be validation and test.")
    return [(split, root / split) for split in SPLITS if split in names]


def _check_labels(root: Path, labels: set[str]) -> None:
    if len(labels) < 2:  # noqa: PLR2004 - one label is nothing to choose from
        found = f"only {labels.pop()}" if labels else "no folder"
        raise DataError(f"{root} has {found}; it needs a folder of photos for each label, and at least two labels.")


def _photos(folder: Path) -> list[Path]:
    """The files of a label; a folder among them is an error, since its photos would be missed."""
    entries = _listing(folder)
    for entry in entries:
        if entry.is_dir():
            raise DataError(f"{entry} is a folder; in a label's folder there should be photos only.")
    return entries


def _listing(folder: Path) -> list[Path]:
    """What stands in a folder, sorted, but for what is hidden."""
    try:
        return sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    except OSError as error:
        raise DataError(f"{folder} cannot be read ({error.strerror}); it should be a folder of photos.") from error


def _name(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix()
