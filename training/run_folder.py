"""A run folder: what one training leaves behind, from the recipe that it began with to the card that ends it."""

import os
import shutil
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from artifact.card import CARD_FILE
from artifact.errors import RecipeError
from artifact.golden import GOLDEN_FILE
from artifact.samples import SAMPLES_FILE
from training.recipe import Plan, read_recipe
from training.revision import code_revision

RECIPE_FILE = "recipe.toml"
REVISION_FILE = "revision.txt"
MODEL_FILE = "model.keras"
SCORES_FILE = "scores.npz"
PLAN_FILE = "plan.json"
PAGE_FILE = "report.html"
REPORT_FILES = (PAGE_FILE, "metrics.json", "history.csv", "predictions.npz")
DIGESTED_FILES = (MODEL_FILE, GOLDEN_FILE, SAMPLES_FILE, *(f"report/{name}" for name in REPORT_FILES))


@dataclass(frozen=True)
class TrialFolder:
    """`<run>/trials/<title>/`: the checkpoints, logs and history of one network that the run trains."""

    path: Path

    @property
    def title(self) -> str:
        """What the trial is called."""
        return self.path.name

    @property
    def checkpoints(self) -> Path:
        """One folder for each epoch that is kept."""
        return self.path / "checkpoints"

    @property
    def tensorboard(self) -> Path:
        """The logs for TensorBoard."""
        return self.path / "tensorboard"


@dataclass(frozen=True)
class RunFolder:
    """`<runs>/<name>-<time>/`; it is finished once it has a card, which is written last."""

    path: Path

    @classmethod
    def create(cls, runs: Path, recipe_file: Path) -> "RunFolder":
        """Make a folder for a new run of a recipe, with a copy of the recipe and the revision of the code in it."""
        name = read_recipe(recipe_file).name
        run = cls(runs / f"{name}-{datetime.now().astimezone():%Y%m%d-%H%M%S}")
        try:
            run.report.mkdir(parents=True)
            shutil.copyfile(recipe_file, run.path / RECIPE_FILE)
            write_whole(run.path / REVISION_FILE, code_revision() + "\n")
        except OSError as error:
            raise RecipeError(f"{run.path} cannot be made ({error.strerror}); choose a folder with --runs.") from error
        return run

    @classmethod
    def reopen(cls, path: Path, recipe_file: Path) -> "RunFolder":
        """An earlier run of the same model on the same photos, from now on by this recipe; else raises RecipeError."""
        begun_with = path / RECIPE_FILE
        if not begun_with.is_file():
            raise RecipeError(f"{path} is no run folder: it has no {RECIPE_FILE}; give a folder that training made.")
        begun, recipe = read_recipe(begun_with), read_recipe(recipe_file)
        if (begun.name, begun.seed, begun.data) != (recipe.name, recipe.seed, recipe.data):
            raise RecipeError(
                f"{path} was begun with another recipe: `name`, `seed` and `data` decide which photos are which; "
                f"to go on with that one, use `hangtag train {begun_with} --resume {path}`."
            )
        if recipe_file.resolve() != begun_with.resolve():
            write_whole(begun_with, recipe_file.read_text(encoding="utf-8"))
        return cls(path)

    @property
    def revision(self) -> str:
        """The code that the run was begun with."""
        return (self.path / REVISION_FILE).read_text(encoding="utf-8").strip()

    def trial(self, title: str, plan: Plan) -> TrialFolder:
        """The folder of one trial, made where it is missing; raises RecipeError if it was begun by another plan."""
        folder = TrialFolder(self.path / "trials" / title)
        folder.checkpoints.mkdir(parents=True, exist_ok=True)
        fields, kept = set(Plan.model_fields), folder.path / PLAN_FILE
        text = plan.model_dump_json(indent=2, include=fields) + "\n"
        if not kept.exists():
            write_whole(kept, text)
        elif Plan.model_validate_json(kept.read_bytes()).model_dump() != plan.model_dump(include=fields):
            raise RecipeError(
                f"{folder.path} was begun by another plan than the recipe has now; take {PLAN_FILE} there for what it "
                "was, or remove the folder to train it anew."
            )
        return folder

    @property
    def report(self) -> Path:
        """What a person looks at when training is over."""
        return self.path / "report"

    @property
    def card(self) -> Path:
        """The card of the finished run."""
        return self.path / CARD_FILE


def write_whole(path: Path, text: str) -> None:
    """Write a file so that it is seen whole or not at all, also after a crash."""
    part = path.with_name(path.name + ".part")
    with part.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)
