"""Training itself: from samples to the checkpoint of the best epoch, going on where an earlier try broke off."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras

from artifact.samples import Samples
from training.augmentation import augmented
from training.batches import Batches
from training.callbacks import Keeper, Plateau, Reporter
from training.checkpoint import Checkpoints, Progress
from training.networks import build_network
from training.recipe import Plan, ScheduleSection
from training.run_folder import TrialFolder
from training.transfer import set_trainable

_VALIDATION_BATCH = 256
_SGD_MOMENTUM = 0.9


@dataclass(frozen=True)
class Stage:
    """Epochs that are trained with one optimizer, from `first` up to `end`; a transfer has two, others one."""

    first: int
    end: int
    head_only: bool


class Trainer:
    """Trains one network by one plan and from one seed; every finished epoch is safe in the trial's folder."""

    def __init__(self, folder: TrialFolder, plan: Plan, seed: int, labels: int, weights: Path) -> None:
        """`weights` is the data root, under which a transfer's weights lie."""
        self._folder = folder
        self._plan = plan
        self._seed = seed
        self._labels = labels
        self._weights = weights
        self._checkpoints = Checkpoints(folder.checkpoints)

    def train(self, training: Samples, validation: Samples) -> Progress:
        """Train until the plan's end or its patience."""
        progress = self._checkpoints.progress()
        schedule = self._plan.schedule
        if progress.is_over(schedule):
            return progress
        with _precision():
            steps = len(self._batches(training, progress))
            model = self._begun(progress, steps)
            reporter = Reporter(self._folder.title, schedule.total_epochs, steps, len(progress.epochs))
            try:
                for stage in stages(schedule):
                    if not progress.is_over(schedule) and len(progress.epochs) < stage.end:
                        self._train_stage(
                            stage, model, self._batches(training, progress), validation, progress, reporter
                        )
            finally:
                reporter.close()
        return progress

    def best_network(self) -> Any:
        """The network, in float32, as it was after the best epoch."""
        network, model = self._networks(None)
        best = self._checkpoints.progress().best
        self._restore(model, best, steps=1)
        model.optimizer.finalize_variable_values(model.trainable_variables)
        return network

    def _batches(self, training: Samples, progress: Progress) -> Batches:
        """The batches from the next epoch on; each stage needs its own, since Keras turns their page once too often."""
        return Batches(training, self._labels, self._plan, self._seed, len(progress.epochs))

    def _begun(self, progress: Progress, steps: int) -> Any:
        """The model as the last finished epoch left it."""
        done = len(progress.epochs)
        _, model = self._networks(None if done else self._weights)
        if done:
            self._restore(model, done - 1, steps)
            if done == stage_of(self._plan.schedule, done - 1).end:
                model.optimizer.finalize_variable_values(model.trainable_variables)
        return model

    def _restore(self, model: Any, epoch: int, steps: int) -> None:
        self._compile(model, stage_of(self._plan.schedule, epoch), steps)
        self._checkpoints.restore(model, epoch)

    def _networks(self, weights: Path | None) -> tuple[Any, Any]:
        """The network, and around it the model to train, with first weights that the seed decides."""
        keras.utils.set_random_seed(self._seed)
        network = build_network(self._plan.network, self._plan.input, self._labels, weights)
        return network, augmented(network, self._plan.augmentation)

    def _train_stage(
        self, stage: Stage, model: Any, batches: Batches, validation: Samples, progress: Progress, reporter: Reporter
    ) -> None:
        done = len(progress.epochs)
        if done == stage.first:
            self._compile(model, stage, len(batches))
        schedule = self._plan.schedule
        callbacks = [reporter, Keeper(self._folder, self._seed, schedule, progress)]
        if schedule.average:
            callbacks.append(keras.callbacks.SwapEMAWeights())
        if schedule.decay == "plateau" and not stage.head_only:
            callbacks.append(Plateau(schedule, progress.epochs[stage.first :]))
        model.fit(
            batches,
            epochs=stage.end,
            initial_epoch=done,
            validation_data=(validation.pixels, keras.utils.to_categorical(validation.labels, self._labels)),
            validation_batch_size=_VALIDATION_BATCH,
            callbacks=[*callbacks, keras.callbacks.TensorBoard(self._folder.tensorboard)],
            shuffle=False,
            verbose=0,
        )

    def _compile(self, model: Any, stage: Stage, steps: int) -> None:
        if self._plan.network.kind == "transfer":
            set_trainable(model.get_layer(index=-1), backbone=not stage.head_only and not self._plan.network.frozen)
        schedule = self._plan.schedule
        optimizer = _optimizer(schedule, _rate(schedule, stage, steps))
        loss = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=schedule.label_smoothing)
        # On CPUs XLA was slower here by a fifth than TensorFlow's own kernels; JAX has no other.
        jit = False if keras.backend.backend() == "tensorflow" else "auto"
        model.compile(optimizer, loss, metrics=["accuracy"], jit_compile=jit)
        optimizer.build(model.trainable_variables)  # so that a checkpoint finds its place


def stages(schedule: ScheduleSection) -> list[Stage]:
    """The stages of a schedule, in order."""
    main = Stage(schedule.head_epochs, schedule.total_epochs, head_only=False)
    return [Stage(0, schedule.head_epochs, head_only=True), main] if schedule.head else [main]


def stage_of(schedule: ScheduleSection, epoch: int) -> Stage:
    """The stage that an epoch belongs to."""
    return next(stage for stage in stages(schedule) if epoch < stage.end)


def _rate(schedule: ScheduleSection, stage: Stage, steps: int) -> Any:
    if stage.head_only and schedule.head:
        return schedule.head.rate
    if schedule.decay != "cosine":
        return schedule.peak_rate
    warmup = schedule.warmup_epochs * steps
    return keras.optimizers.schedules.CosineDecay(
        0.0 if warmup else schedule.peak_rate,
        schedule.epochs * steps - warmup,
        warmup_target=schedule.peak_rate if warmup else None,
        warmup_steps=warmup,
    )


def _optimizer(schedule: ScheduleSection, rate: Any) -> Any:
    common = {"weight_decay": schedule.weight_decay}
    if schedule.average:
        common |= {"use_ema": True, "ema_momentum": schedule.average}
    if schedule.optimizer == "sgd":
        optimizer = keras.optimizers.SGD(rate, momentum=_SGD_MOMENTUM, nesterov=True, **common)
    else:
        kind = keras.optimizers.AdamW if schedule.optimizer == "adamw" else keras.optimizers.Adam
        optimizer = kind(rate, **common)
    if schedule.weight_decay:
        optimizer.exclude_from_weight_decay(var_names=["gamma", "beta", "bias"])
    return optimizer


@contextmanager
def _precision() -> Iterator[None]:
    """Compute in bfloat16 where there is a GPU; weights, logits and whatever is saved stay float32."""
    before = keras.config.dtype_policy()
    device = str(keras.ops.zeros(1).device).lower()  # each backend has a name of its own for a GPU
    if "gpu" in device or "cuda" in device:
        keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)
