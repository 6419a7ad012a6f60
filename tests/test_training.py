import csv
import json
import resource
import shutil
import signal
import subprocess
from pathlib import Path

import keras
import numpy as np
import pytest

import hangtag
from artifact.card import RunCard
from artifact.digest import digest_bytes
from artifact.errors import RecipeError
from artifact.golden import GoldenSamples
from artifact.pixels import decode
from artifact.samples import Samples
from drawn import write_recipe, write_transfer
from support import HANGTAG
from training.augmentation import augmented, reseed
from training.batches import Batches
from training.checkpoint import Checkpoints, Progress
from training.recipe import AugmentationSection, HeadSection, ScheduleSection, read_recipe
from training.run_folder import RunFolder


def schedule(epochs: int, patience: int = 9, head: int = 0, batch: int = 1) -> ScheduleSection:
    alone = HeadSection(epochs=head, rate=0.1) if head else None
    return ScheduleSection(epochs=epochs, batch=batch, peak_rate=0.1, patience=patience, head=alone)


def history(run: Path) -> list[dict[str, float]]:
    with (run / "report" / "history.csv").open() as file:
        return [{key: float(value) for key, value in row.items() if key != "seconds"} for row in csv.DictReader(file)]


def keras_answer(run: Path, pixels: np.ndarray) -> np.ndarray:
    return keras.saving.load_model(run / "model.keras").predict(pixels, verbose=0)


def test_a_run_learns_and_its_card_describes_it(drawn_run: Path):
    card = RunCard.read(drawn_run)
    assert card.labels == ("blue", "green", "red")
    assert card.figures["test"].accuracy == 1
    assert card.figures["validation"].count == card.data.counts["validation"] == 12
    assert card.data.counts == {"train": 96, "validation": 12, "test": 12}
    assert card.data.licence == "CC0"
    assert card.weights.initial == "random, seed 3"
    assert {name: digest_bytes((drawn_run / name).read_bytes()) for name in card.files} == card.files
    assert card.files.keys() >= {"model.keras", "golden.npz", "report/metrics.json", "report/predictions.npz"}


def test_the_card_names_the_code_that_the_run_was_begun_with(drawn_run: Path, drawn_root: Path, tmp_path: Path):
    run = Path(shutil.copytree(drawn_run, tmp_path / "run"))
    (run / "revision.txt").write_text("an earlier one\n")
    arguments = ["train", str(run / "recipe.toml"), "--data", str(drawn_root), "--resume", str(run)]
    assert hangtag.main(arguments) == 0
    assert RunCard.read(run).code_revision == "an earlier one"


def test_the_saved_model_turns_raw_pixels_into_the_golden_scores(drawn_run: Path):
    golden = GoldenSamples.load(drawn_run / "golden.npz")
    scores = keras_answer(drawn_run, golden.pixels)
    assert np.allclose(scores, golden.scores, atol=1e-5)
    assert np.allclose(scores.sum(axis=1), 1, atol=1e-5)
    spec = RunCard.read(drawn_run).input
    assert all(np.array_equal(decode(i, spec), p) for i, p in zip(golden.images, golden.pixels, strict=True))
    assert np.bincount(golden.scores.argmax(axis=1)).tolist() == [3, 3, 3]


def test_the_report_agrees_with_the_card(drawn_run: Path):
    card, metrics = RunCard.read(drawn_run), json.loads((drawn_run / "report" / "metrics.json").read_bytes())
    assert metrics["figures"]["test"]["accuracy"] == card.figures["test"].accuracy
    assert metrics["calibration"]["temperature"] == card.temperature
    assert metrics["training"]["epochs"] == len(history(drawn_run)) == 3
    assert np.sum(metrics["test"]["confusion"]) == card.figures["test"].count
    with np.load(drawn_run / "report" / "predictions.npz") as predictions:
        right = predictions["scores"].argmax(axis=1) == predictions["labels"]
        assert right.mean() == card.figures["test"].accuracy
    assert list((drawn_run / "trials" / "seed-3" / "tensorboard").rglob("events.*"))


def test_every_seed_and_the_baseline_are_trained_and_measured(drawn_run: Path):
    metrics = json.loads((drawn_run / "report" / "metrics.json").read_bytes())
    assert sorted(folder.name for folder in (drawn_run / "trials").iterdir()) == ["baseline", "seed-3", "seed-4"]
    assert [trial["seed"] for trial in metrics["seeds"]] == [3, 4]
    assert metrics["seeds"][0]["test"] == RunCard.read(drawn_run).figures["test"].model_dump(mode="json")
    assert metrics["baseline"]["test"]["count"] == 12


def kill_and_resume(recipe: Path, root: Path, runs: Path, line: str) -> Path:
    """Kill a training once it has printed this line, and resume it to its end; gives the run."""
    train = [*HANGTAG, "train", str(recipe), "--data", str(root), "--runs", str(runs)]
    with subprocess.Popen(train, stdout=subprocess.PIPE, text=True) as process:
        next(said for said in process.stdout if said.startswith(line))
        process.send_signal(signal.SIGKILL)
    [run] = runs.iterdir()
    assert not (run / "card.json").exists()
    assert hangtag.main([*train[2:], "--resume", str(run)]) == 0
    return run


def test_a_killed_run_goes_on_to_the_same_end(drawn_run: Path, drawn_root: Path, tmp_path: Path):
    run = kill_and_resume(drawn_run / "recipe.toml", drawn_root, tmp_path, "seed-3  epoch   2/3")
    assert [row["epoch"] for row in history(run)] == [1, 2, 3]
    for resumed, whole in zip(history(run), history(drawn_run), strict=True):
        assert resumed == pytest.approx(whole, rel=1e-3)


@pytest.fixture(scope="module")
def transferred(drawn_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of a transfer: two epochs of the head, and four of all."""
    folder = tmp_path_factory.mktemp("transferred")
    recipe, runs = write_transfer(folder), folder / "runs"
    assert hangtag.main(["train", str(recipe), "--data", str(drawn_root), "--runs", str(runs)]) == 0
    [run] = runs.iterdir()
    return run


@pytest.mark.slow
@pytest.mark.parametrize("line", ["seed-3  epoch   2/6", "seed-3  epoch   4/6"], ids=["head", "fine-tuning"])
def test_a_killed_transfer_goes_on_to_the_same_end(transferred: Path, drawn_root: Path, tmp_path: Path, line: str):
    resumed = kill_and_resume(transferred / "recipe.toml", drawn_root, tmp_path / "resumed", line)
    for after, without in zip(history(resumed), history(transferred), strict=True):
        assert after == pytest.approx(without, rel=2e-2, abs=1e-4)


def test_a_checkpoint_that_was_cut_off_counts_for_nothing(tmp_path: Path):
    network = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    network.compile("sgd", "mse")
    checkpoints, progress = Checkpoints(tmp_path), Progress([{"val_accuracy": 0.5, "val_loss": 1.0}])
    assert checkpoints.progress() == Progress()
    checkpoints.save(network, progress)
    (tmp_path / "1.partial").mkdir()
    assert checkpoints.progress() == progress
    progress.epochs.append({"val_accuracy": 0.4, "val_loss": 1.0})
    checkpoints.save(network, progress)
    progress.epochs.append({"val_accuracy": 0.4, "val_loss": 1.0})
    checkpoints.save(network, progress)
    assert checkpoints.progress() == progress
    assert sorted(folder.name for folder in tmp_path.iterdir()) == ["0", "2"]  # the best and the newest


def test_resuming_a_finished_run_only_measures_it_again(drawn_run: Path, drawn_root: Path):
    before = history(drawn_run), RunCard.read(drawn_run).figures
    assert (
        hangtag.main(["train", str(drawn_run / "recipe.toml"), "--data", str(drawn_root), "--resume", str(drawn_run)])
        == 0
    )
    assert (history(drawn_run), RunCard.read(drawn_run).figures) == before


def test_interrupting_says_how_to_go_on(drawn_root: Path, tmp_path: Path):
    recipe = write_recipe(tmp_path, epochs="500")
    train = [*HANGTAG, "train", str(recipe), "--data", str(drawn_root), "--runs", str(tmp_path / "runs")]
    with subprocess.Popen(train, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        next(line for line in process.stdout if line.startswith("seed-3  epoch   1/500"))
        process.send_signal(signal.SIGINT)
        out, err = process.communicate()
    [run] = (tmp_path / "runs").iterdir()
    assert process.returncode == 130
    assert f"Stopped; go on with: hangtag train {recipe} --resume {run}\n" in out
    assert err == "hangtag train: interrupted.\n"


def test_a_disk_that_fills_up_is_told_and_what_was_trained_is_not_lost(drawn_root: Path, tmp_path: Path):
    recipe = write_recipe(tmp_path)
    train = [*HANGTAG, "train", str(recipe), "--data", str(drawn_root), "--runs", str(tmp_path / "runs")]
    limits = (20_000, resource.getrlimit(resource.RLIMIT_FSIZE)[1])  # bytes; a checkpoint has more
    done = subprocess.run(
        train,
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, limits),
    )
    [run] = (tmp_path / "runs").iterdir()
    assert done.returncode == 1
    assert f"{run} cannot be written" in done.stderr
    assert f"make room, then go on with: hangtag train {recipe} --resume {run}" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (run / "card.json").exists()
    assert hangtag.main([*train[2:], "--resume", str(run)]) == 0


def test_a_run_is_resumed_on_its_own_photos_only(drawn_run: Path, tmp_path: Path):
    with pytest.raises(RecipeError, match=r"was begun with another recipe: `name`.*recipe\.toml --resume"):
        RunFolder.reopen(drawn_run, write_recipe(tmp_path, seed="4"))


def test_a_trial_is_resumed_by_its_own_plan_only(drawn_run: Path, tmp_path: Path):
    run = RunFolder.reopen(drawn_run, drawn_run / "recipe.toml")
    with pytest.raises(RecipeError, match=r"seed-3 was begun by another plan .* plan\.json"):
        run.trial("seed-3", read_recipe(write_recipe(tmp_path, epochs="4")))


def test_a_run_can_be_given_more_seeds_afterwards(drawn_run: Path, drawn_root: Path, tmp_path: Path):
    run = Path(shutil.copytree(drawn_run, tmp_path / "run"))
    recipe = write_recipe(tmp_path, seeds="3")
    assert hangtag.main(["train", str(recipe), "--data", str(drawn_root), "--resume", str(run)]) == 0
    assert sorted(folder.name for folder in (run / "trials").iterdir()) == ["baseline", "seed-3", "seed-4", "seed-5"]
    assert read_recipe(run / "recipe.toml").seeds == 3
    assert history(run) == history(drawn_run)


def test_a_folder_that_training_did_not_make_is_no_run(drawn_run: Path, tmp_path: Path):
    with pytest.raises(RecipeError, match=r"is no run folder: it has no recipe\.toml"):
        RunFolder.reopen(tmp_path, drawn_run / "recipe.toml")


def test_missing_data_leaves_no_run_behind(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    recipe = write_recipe(tmp_path)
    assert hangtag.main(["train", str(recipe), "--data", str(tmp_path), "--runs", str(tmp_path / "runs")]) == 1
    assert (
        "drawn cannot be read (No such file or directory); it should be a folder of photos." in capsys.readouterr().err
    )
    assert not (tmp_path / "runs").exists()


def test_help_shows_an_example(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit):
        hangtag.main(["train", "--help"])
    assert "hangtag train fashion-mnist" in capsys.readouterr().out


def test_an_epochs_order_depends_on_the_seed_and_the_epoch_only(tmp_path: Path):
    samples = Samples(np.arange(20, dtype=np.uint8).reshape(20, 1, 1, 1), np.arange(20) % 2)

    def order(batches: Batches) -> list[float]:
        return np.concatenate([batches[index][0].ravel() for index in range(len(batches))]).tolist()

    plan = read_recipe(write_recipe(tmp_path, batch="6"))
    begun, resumed = Batches(samples, 2, plan, 1, 0), Batches(samples, 2, plan, 1, 1)
    first = order(begun)
    begun.on_epoch_end()
    assert len(first) == len(set(first)) == 18
    assert order(begun) == order(resumed) != first


def test_augmentation_varies_photos_in_training_only_and_repeats_with_its_seed():
    pixels = np.random.default_rng(0).integers(0, 256, (8, 12, 12, 3)).astype(np.float32)
    image = keras.Input((12, 12, 3))
    identity = keras.Model(image, keras.layers.Identity()(image))
    model = augmented(identity, AugmentationSection(flip=True, shift=0.2, erase=0.5))

    def varied(epoch: int) -> np.ndarray:
        reseed(model, 1, epoch)
        return np.asarray(model(pixels, training=True))

    assert np.array_equal(model(pixels, training=False), pixels)
    assert not np.array_equal(varied(0), pixels)
    assert np.array_equal(varied(0), varied(0))
    assert not np.array_equal(varied(0), varied(1))


def test_patience_counts_from_the_best_epoch_and_loss_breaks_ties():
    def progress(*figures: tuple[float, float]) -> Progress:
        return Progress([{"val_accuracy": accuracy, "val_loss": loss} for accuracy, loss in figures])

    tied = progress((0.5, 1.0), (0.7, 0.9), (0.7, 0.8), (0.6, 0.1))
    assert tied.best == 2
    assert not tied.is_over(schedule(epochs=10, patience=2))
    assert tied.is_over(schedule(epochs=10, patience=1))
    assert tied.is_over(schedule(epochs=4, patience=9))
    assert not tied.is_over(schedule(epochs=10, patience=1, head=3))
    assert not Progress().is_over(schedule(epochs=2, patience=1))
