"""`hangtag export`: a run folder in, a verified model version out."""

import importlib
import os
from collections.abc import Sequence
from pathlib import Path

from pydantic import Field
from pydantic_settings import CliImplicitFlag, CliPositionalArg

from artifact.command import Options
from artifact.quiet import quiet_stderr
from artifact.repository import Repository


class ExportOptions(Options):
    """Turn a finished run into the next version of its model, unless it does not answer as the trained model did.

    Example: hangtag export runs/fashion-mnist-20260102-030405
    """

    run: CliPositionalArg[Path] = Field(description="the run folder that `hangtag train` made")
    models: Path = Field(default=Path("models"), description="the model repository to publish in")
    int8: CliImplicitFlag[bool] = Field(default=False, description="in 8 bits, if that loses next to nothing")


def run(arguments: Sequence[str]) -> int:
    """Export one run."""
    options = ExportOptions.parse("export", arguments)
    load_tensorflow()
    from export.publish import publish  # noqa: PLC0415 - imports tensorflow, which load_tensorflow has to start

    folder, card = publish(options.run, Repository(options.models), int8=options.int8)
    export = card.export
    print(
        f"{folder}: {export.nodes} nodes, {export.transposes} of them Transpose, opset {export.opset}; "
        f"scores within {export.max_abs_difference:.1e} of Keras, all labels equal."
    )
    if export.quantised:
        lost, agreement = export.quantised.accuracy_lost, export.quantised.agreement
        print(f"In 8 bits: {lost:.2%} of validation accuracy lost, {agreement:.2%} of labels as the float model's.")
    return 0


def load_tensorflow() -> None:
    """Load Keras on TensorFlow, which alone can be converted, without TensorFlow's remarks on itself."""
    os.environ["KERAS_BACKEND"] = "tensorflow"
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    with quiet_stderr():
        importlib.import_module("keras")
