"""Real networks, small ones, that do what a test needs: tell dark from light, fail, hang, or take a while."""

import itertools

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from artifact.card import InputSpec, Resize

SPEC = InputSpec(height=8, width=8, channels=1, resize=Resize(fit="stretch"))
Extra = tuple[list[onnx.NodeProto], dict[str, np.ndarray]]


def graph(
    spec: InputSpec = SPEC,
    centres: tuple[int, ...] = (0, 128, 255),
    image: str = "image",
    scores: str = "scores",
    extra: Extra = ([], {}),
) -> onnx.ModelProto:
    """A network that tells pictures by which of the centres their mean pixel is nearest to.

    `extra` is what else it computes, nodes and constants: it finds `mean` [N, 1] and must make `zero`, which is added.
    """
    count = spec.height * spec.width * spec.channels
    slope = (np.array(centres) / 32).astype(np.float32)[np.newaxis]
    offset = (-(np.array(centres) ** 2) / 64).astype(np.float32)
    nodes = [
        helper.make_node("Cast", [image], ["float"], to=TensorProto.FLOAT),
        helper.make_node("Flatten", ["float"], ["flat"]),
        helper.make_node("MatMul", ["flat", "average"], ["mean"]),
        helper.make_node("MatMul", ["mean", "slope"], ["scaled"]),
        helper.make_node("Add", ["scaled", "offset"], ["clean" if extra[0] else "logits"]),
        *extra[0],
        *([helper.make_node("Add", ["clean", "zero"], ["logits"])] if extra[0] else []),
        helper.make_node("Softmax", ["logits"], [scores], axis=1),
    ]
    constants = {"average": np.full((count, 1), 1 / count, np.float32), "slope": slope, "offset": offset, **extra[1]}
    return helper.make_model(
        helper.make_graph(
            nodes,
            "tiny",
            [helper.make_tensor_value_info(image, TensorProto.UINT8, [None, *spec.shape])],
            [helper.make_tensor_value_info(scores, TensorProto.FLOAT, [None, len(centres)])],
            [numpy_helper.from_array(value, name) for name, value in constants.items()],
        ),
        opset_imports=[helper.make_opsetid("", 18)],
        ir_version=10,
    )


def failing_at(shade: int) -> Extra:
    """What makes onnxruntime fail on pictures of one shade: it looks far beyond the end of a table."""
    nodes = [
        helper.make_node("Sub", ["mean", "shade"], ["distance"]),
        helper.make_node("Abs", ["distance"], ["away"]),
        helper.make_node("Less", ["away", "near"], ["is_there"]),
        helper.make_node("Cast", ["is_there"], ["flag"], to=TensorProto.INT64),
        helper.make_node("Mul", ["flag", "far"], ["index"]),
        helper.make_node("Gather", ["table", "index"], ["zero"]),
    ]
    return nodes, {
        "shade": np.array([shade], np.float32),
        "near": np.array([0.5], np.float32),
        "far": np.array([10**6], np.int64),
        "table": np.zeros(1, np.float32),
    }


def without_scores_at(shade: int) -> Extra:
    """What makes scores that are no numbers of pictures of one shade: it divides nothing by nothing."""
    nodes = [
        helper.make_node("Sub", ["mean", "shade"], ["distance"]),
        helper.make_node("Abs", ["distance"], ["away"]),
        helper.make_node("Greater", ["away", "near"], ["is_elsewhere"]),
        helper.make_node("Cast", ["is_elsewhere"], ["one"], to=TensorProto.FLOAT),
        helper.make_node("Div", ["nothing", "one"], ["zero"]),
    ]
    return nodes, {
        "shade": np.array([shade], np.float32),
        "near": np.array([0.5], np.float32),
        "nothing": np.zeros(1, np.float32),
    }


def at(shade: int) -> Extra:
    """What tells by `is_there` whether a picture of one shade is in the batch."""
    nodes = [
        helper.make_node("Sub", ["mean", "shade"], ["distance"]),
        helper.make_node("Abs", ["distance"], ["away"]),
        helper.make_node("ReduceMin", ["away"], ["nearest"], keepdims=0),
        helper.make_node("Less", ["nearest", "near"], ["is_there"]),
    ]
    return nodes, {"shade": np.array([shade], np.float32), "near": np.array(0.5, np.float32)}


def telling_at(shade: int) -> Extra:
    """What changes the scores of all pictures that run together with one of that shade."""
    nodes, constants = at(shade)
    nodes += [
        helper.make_node("Cast", ["is_there"], ["flag"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["flag", "more"], ["zero"]),
    ]
    return nodes, {**constants, "more": np.array([1, 0, 0], np.float32)}


def endless_at(shade: int) -> Extra:
    """What never ends on pictures of one shade: a loop, which onnxruntime leaves when it is told to."""
    is_there, constants = at(shade)
    scalar, count = helper.make_tensor_value_info, TensorProto.INT64
    body = helper.make_graph(
        [helper.make_node("Identity", ["going"], ["goes_on"]), helper.make_node("Identity", ["carried"], ["carries"])],
        "turn",
        [scalar("turn", count, []), scalar("going", TensorProto.BOOL, []), scalar("carried", TensorProto.FLOAT, [1])],
        [scalar("goes_on", TensorProto.BOOL, []), scalar("carries", TensorProto.FLOAT, [1])],
    )
    loop = helper.make_node("Loop", ["", "is_there", "nothing"], ["zero"], body=body)
    return [*is_there, loop], {**constants, "nothing": np.zeros(1, np.float32)}


def deaf_at(shade: int, boxes: int = 3_000_000) -> Extra:
    """What does not end for hours on pictures of one shade: one node that compares millions of boxes with each other.

    onnxruntime ends a run between two nodes only, so nothing but the end of the process ends this.
    """
    is_there, constants = at(shade)
    nodes = [
        helper.make_node("Cast", ["is_there"], ["flag"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["flag", "boxes"], ["many"]),
        helper.make_node("Range", ["first", "many", "step"], ["places"]),
        helper.make_node("Unsqueeze", ["places", "last_axis"], ["column"]),
        helper.make_node("Add", ["column", "corners"], ["squares"]),
        helper.make_node("Unsqueeze", ["squares", "first_axis"], ["all_boxes"]),
        helper.make_node("Unsqueeze", ["places", "first_axes"], ["all_scores"]),
        helper.make_node("NonMaxSuppression", ["all_boxes", "all_scores", "most", "overlap"], ["kept"]),
        helper.make_node("Shape", ["kept"], ["sizes"]),
        helper.make_node("Cast", ["sizes"], ["numbers"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMax", ["numbers"], ["number"], keepdims=0),
        helper.make_node("Mul", ["number", "nothing"], ["zero"]),
    ]
    return [*is_there, *nodes], {
        **constants,
        "boxes": np.array(boxes, np.float32),
        "first": np.array(0, np.float32),
        "step": np.array(1, np.float32),
        "first_axis": np.array([0]),
        "last_axis": np.array([1]),
        "first_axes": np.array([0, 1]),
        "corners": np.array([[0, 0, 0.5, 0.5]], np.float32),
        "most": np.array([boxes]),
        "overlap": np.array([0.5], np.float32),
        "nothing": np.zeros(1, np.float32),
    }


def slow(products: int, side: int = 1500) -> Extra:
    """What makes a picture take a while: a chain of matrix products."""
    names = ["matrix", *(f"product{number}" for number in range(products))]
    nodes = [
        helper.make_node("ReduceMax", ["mean"], ["largest"], keepdims=0),
        helper.make_node("Mul", ["small", "largest"], ["matrix"]),
        *(helper.make_node("MatMul", [a, "ones"], [b]) for a, b in itertools.pairwise(names)),
        helper.make_node("ReduceMax", [names[-1]], ["most"], keepdims=0),
        helper.make_node("Mul", ["most", "nothing"], ["zero"]),
    ]
    return nodes, {
        "small": np.full((side, side), 1e-3, np.float32),
        "ones": np.full((side, side), 1 / side, np.float32),
        "nothing": np.zeros(1, np.float32),
    }
