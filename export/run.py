"""What export starts from: a finished run folder whose files are those that training wrote."""

from pathlib import Path

from artifact.card import CARD_FILE, RunCard
from artifact.digest import read_verified
from artifact.errors import RecipeError

KERAS_FILE = "model.keras"


def read_run(folder: Path) -> RunCard:
    """The card of a run, after each file that it names was checked.

    Raises RecipeError when the run is not finished, CardInvalid, or DigestMismatch with the file and both digests.
    """
    if not folder.is_dir():
        raise RecipeError(f"There is no folder {folder}; give the run folder that `hangtag train` named at its end.")
    if not (folder / CARD_FILE).is_file():
        raise RecipeError(
            f"{folder} has no {CARD_FILE}, so it is no finished run; "
            f"finish it with `hangtag train {folder}/recipe.toml --resume {folder}`."
        )
    card = RunCard.read(folder)
    for name, expected in card.files.items():
        read_verified(folder / name, expected)
    return card
