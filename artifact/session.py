"""An onnxruntime session that obeys its card: uint8 [N, H, W, C] in, float32 [N, K] calibrated probabilities out."""

from typing import Any

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from artifact.card import ModelCard
from artifact.device import CUDA, Device, batch_sizes, best_provider, has_vnni, providers
from artifact.errors import DigestMismatch, ModelMismatch, ProviderUnavailable

INPUT, OUTPUT = "image", "scores"
CARD_KEY, CARD_DIGEST_KEY = "hangtag.card", "hangtag.card_digest"


class Session:
    """One loaded model; `run` may be called from several threads at once, each call using `threads` cores.

    On a GPU, batches run in one of a few sizes up to `max_batch`, with images of zeros up to the next one.

    Raises ProviderUnavailable when the device is not there, ModelMismatch when the graph does not have the input and
    output that the card names, and DigestMismatch when it was exported with another card.
    """

    def __init__(
        self,
        model: bytes,
        card: ModelCard,
        *,
        device: Device = "cpu",
        threads: int = 1,
        max_batch: int = 1,
        gpu_memory: int = 0,
    ) -> None:
        wanted = providers(best_provider(device), gpu_memory)
        try:
            self._session = ort.InferenceSession(model, session_options(threads), providers=wanted)
        except Exception as error:  # onnxruntime's exceptions have no common base but this
            raise ModelMismatch(
                f"onnxruntime cannot load {card.name} {card.version}: it is not a valid model."
            ) from error
        self.provider: str = self._session.get_providers()[0]
        if device == "cuda" and self.provider != CUDA:
            raise ProviderUnavailable("onnxruntime has CUDA but could not start it; look at its driver, or use cpu.")
        _check_graph(self._session, card)
        _check_card(self._session, card)
        self._shape = card.input.shape
        self.batch_sizes = batch_sizes(self.provider, max_batch)

    def run(self, pixels: NDArray[np.uint8], options: ort.RunOptions | None = None) -> NDArray[np.float32]:
        """The scores, float32 [N, K], of pixels, uint8 [N, H, W, C]; each row is the same in whatever batch it runs.

        Who sets `terminate` on the options, in another thread, lets the run fail at its next node.
        """
        count = len(pixels)
        padding = next((size for size in self.batch_sizes if size >= count), count) - count
        if padding:
            pixels = np.concatenate([pixels, np.zeros((padding, *self._shape), np.uint8)])
        scores: NDArray[np.float32] = self._session.run([OUTPUT], {INPUT: pixels}, options)[0]
        return scores[:count]

    def warm_up(self) -> None:
        """Run each size of batch once, so that no request waits for what the first run of a size takes longer."""
        for size in self.batch_sizes:
            self.run(np.zeros((size, *self._shape), np.uint8))


def session_options(threads: int = 1, *, is_vnni_known: bool | None = None) -> ort.SessionOptions:
    """How every model runs, when it is served and when an export measures it."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # A spinning thread burns the core that decoding, the event loop and the other runners need.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    # Without VNNI, fast sums of 8-bit products overflow, and labels change; with it, exact ones only cost time.
    is_fast = has_vnni() if is_vnni_known is None else is_vnni_known
    options.add_session_config_entry("session.x64quantprecision", "0" if is_fast else "1")
    options.log_severity_level = (
        4  # what goes wrong is raised, too; onnxruntime would write it to standard error itself
    )
    return options


def _check_graph(session: Any, card: ModelCard) -> None:
    """Hold the graph's inputs and outputs against the card; a dimension that is no number is a dynamic one."""
    height, width, channels = card.input.shape
    _check_nodes("input", session.get_inputs(), (INPUT, "tensor(uint8)", [None, height, width, channels]))
    _check_nodes("output", session.get_outputs(), (OUTPUT, "tensor(float)", [None, len(card.labels)]))


def _check_nodes(kind: str, nodes: list[Any], expected: tuple[str, str, list[int | None]]) -> None:
    found = [(n.name, n.type, [d if isinstance(d, int) else None for d in n.shape]) for n in nodes]
    if found != [expected]:
        raise ModelMismatch(f"The graph's {kind}s are {found}, but the card asks for exactly {expected}.")


def _check_card(session: Any, card: ModelCard) -> None:
    embedded = session.get_modelmeta().custom_metadata_map.get(CARD_DIGEST_KEY)
    if embedded != card.embedded_digest():
        raise DigestMismatch(
            f"model.onnx of {card.name} {card.version} was exported with a card of digest {embedded}, "
            f"but the card beside it has {card.embedded_digest()}; the card was changed after the export."
        )
