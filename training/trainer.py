"""Training itself: from samples to the checkpoint of the best epoch, going on where an earlier try broke off."""

from typing import Any

import keras

from artifact.samples import Samples
from training.augmentation import augmented
from training.batches import Batches
from training.callbacks import Keeper, Reporter
from training.checkpoint import Checkpoints, Progress
from training.networks import residual_network
from training.recipe import Recipe, ScheduleSection
from training.run_folder import RunFolder

_VALIDATION_BATCH = 256


def train(run: RunFolder, recipe: Recipe, training: Samples, validation: Samples, labels: int) -> Progress:
    """Train until the recipe's end or its patience; every finished epoch is safe in the run folder."""
    checkpoints, schedule = Checkpoints(run.checkpoints), recipe.schedule
    progress = checkpoints.progress()
    if progress.is_over(schedule.epochs, schedule.patience):
        return progress
    first_epoch = len(progress.epochs)
    batches = Batches(training, labels, schedule.batch, recipe.seed, first_epoch)
    _, model = _networks(recipe, labels)
    _compile(model, schedule, len(batches))
    if first_epoch:
        checkpoints.restore(model, first_epoch - 1)
    reporter = Reporter(schedule.epochs, len(batches), first_epoch)
    try:
        model.fit(
            batches,
            epochs=schedule.epochs,
            initial_epoch=first_epoch,
            validation_data=(validation.pixels, keras.utils.to_categorical(validation.labels, labels)),
            validation_batch_size=_VALIDATION_BATCH,
            callbacks=[reporter, Keeper(run, recipe, progress), keras.callbacks.TensorBoard(run.tensorboard)],
            shuffle=False,
            verbose=0,
        )
    finally:
        reporter.close()
    return progress


def best_network(run: RunFolder, recipe: Recipe, labels: int) -> Any:
    """The network as it was after the best epoch."""
    checkpoints = Checkpoints(run.checkpoints)
    network, model = _networks(recipe, labels)
    checkpoints.restore(model, checkpoints.progress().best)
    return network


def _networks(recipe: Recipe, labels: int) -> tuple[Any, Any]:
    """The network, and around it the model to train, with first weights that the seed decides."""
    keras.utils.set_random_seed(recipe.seed)
    network = residual_network(recipe.network, recipe.input, labels)
    return network, augmented(network, recipe.augmentation)


def _compile(model: Any, schedule: ScheduleSection, steps: int) -> None:
    warmup = schedule.warmup_epochs * steps
    rate = keras.optimizers.schedules.CosineDecay(
        0.0 if warmup else schedule.peak_rate,
        schedule.epochs * steps - warmup,
        warmup_target=schedule.peak_rate if warmup else None,
        warmup_steps=warmup,
    )
    optimizer = keras.optimizers.AdamW(rate, weight_decay=schedule.weight_decay)
    optimizer.exclude_from_weight_decay(var_names=["gamma", "beta", "bias"])
    loss = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=schedule.label_smoothing)
    # On CPUs XLA was slower here by a fifth than TensorFlow's own kernels; JAX has no other.
    jit = False if keras.backend.backend() == "tensorflow" else "auto"
    model.compile(optimizer, loss, metrics=["accuracy"], jit_compile=jit)
    optimizer.build(model.trainable_variables)  # so that a checkpoint finds its place
