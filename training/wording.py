"""A plan in words, for people who do not read recipes."""

from training.recipe import AugmentationSection, Plan, ScheduleSection
from training.shown import number_of, percent

_FITS = {
    "stretch": "stretched to fit",
    "crop": "enlarged to fill, what hangs over is cut off",
    "pad": "shown whole, on white",
}
_OPTIMIZERS = {"adamw": "AdamW", "adam": "Adam", "sgd": "SGD with momentum"}


def describe_plan(plan: Plan) -> dict[str, str]:
    """What a network is trained by, a line for each part."""
    size, schedule = plan.input, plan.schedule
    kind = "grey" if size.channels == 1 else "colour"
    rows = {
        "input": f"{size.height} x {size.width} pixels, {kind}; a photo of another shape is {_FITS[size.resize.fit]}",
        "training": _training(schedule),
        "learning rate": _rate(schedule),
        "stops": f"when {schedule.patience} epochs in a row bring no better validation accuracy",
        "photos are varied": _augmentation(plan.augmentation),
        "against learning by heart": _restraints(plan),
    }
    if schedule.class_weights:
        rows["rare labels"] = "each label weighs the same, however many photos it has"
    return rows


def _training(schedule: ScheduleSection) -> str:
    epochs = f"at most {number_of(schedule.epochs, 'epoch')} (passes over all training photos)"
    if schedule.head:
        epochs = (
            f"{number_of(schedule.head.epochs, 'epoch')} of the new layers alone, then {epochs} of the whole network"
        )
    return f"{epochs}, {number_of(schedule.batch, 'photo')} in a step, with {_OPTIMIZERS[schedule.optimizer]}"


def _rate(schedule: ScheduleSection) -> str:
    decays = {
        "cosine": f"after {number_of(schedule.warmup_epochs, 'epoch')} of warm-up, then down to zero along a cosine",
        "plateau": f"a fifth of it whenever {schedule.plateau_patience} epochs bring no lower validation loss",
        "constant": "all the time",
    }
    head = f"{schedule.head.rate:g} for the new layers alone; " if schedule.head else ""
    return f"{head}{schedule.peak_rate:g} {decays[schedule.decay]}"


def _augmentation(section: AugmentationSection) -> str:
    parts = {
        "mirrored": section.flip and "half of them",
        "shifted": section.shift and f"by up to {percent(section.shift, 0)}",
        "zoomed": section.zoom and f"by up to {percent(section.zoom, 0)}",
        "turned": section.rotation and f"by up to {section.rotation:g} degrees",
        "sheared": section.shear and f"by up to {percent(section.shear, 0)}",
        "brightness": section.brightness and f"up to {percent(section.brightness, 0)}",
        "contrast": section.contrast and f"up to {percent(section.contrast, 0)}",
        "saturation": section.saturation and f"up to {percent(section.saturation, 0)}",
        "hue": section.hue and f"up to {percent(section.hue, 0)} of the colour circle",
        "a rectangle erased": section.erase and f"in {percent(section.erase, 0)}",
        "two photos mixed": section.mixup and f"with alpha {section.mixup:g}",
    }
    return "; ".join(f"{what} {how}" for what, how in parts.items() if how) or "not at all"


def _restraints(plan: Plan) -> str:
    schedule, network = plan.schedule, plan.network
    parts = {
        "dropout": network.dropout,
        "weight decay": schedule.weight_decay,
        "label smoothing": schedule.label_smoothing,
        "moving average of the weights": schedule.average,
        "L2 penalty": network.l2 if network.kind == "plain" else 0.0,
    }
    return ", ".join(f"{what} {value:g}" for what, value in parts.items() if value) or "nothing but the variation above"
