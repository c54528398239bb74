"""Makes what is kept of networks: `python -m facefleet.recognition.convert FOLDER`.

dlib's face network becomes an ONNX file. P-Net and R-Net are ones already; of them, PReLU is spelled out in operators
that ONNX Runtime runs faster: P-Net takes a third less time so, R-Net 40 %.

The graph of dlib's network is built of what ONNX Runtime keeps in its blocked layout, NCHWc, from the first convolution
to the last. A Pad between two convolutions means a copy there and a copy back, and an addition that is not done within
the convolution: 1 to 5 % of the time.
"""

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import ArrayLike, NDArray
from onnx import helper, numpy_helper

from facefleet.errors import ServiceError, Unavailable
from facefleet.recognition.kept import facts, keep, sealed
from facefleet.recognition.network import (
    CONVERTED,
    TOLERANCE,
    check_chip,
    dlib_network,
    largest_difference,
    onnx_network,
)
from facefleet.recognition.proposals import NETWORKS, proposal_weights
from facefleet.recognition.runtime import open_session
from facefleet.recognition.trained import keep_detector, keep_landmarks
from facefleet.recognition.weights import (
    CHIP_SIDE,
    DIMENSIONS,
    MODEL,
    Convolution,
    Weights,
    checksum,
    read_weights,
    weights_file,
)

#: What dlib subtracts from red, green and blue, before it divides by 256 (dlib/dnn/input.h).
MEANS = np.array((122.782, 117.001, 104.298))
#: What a runtime of 2022 understands.
OPSET, IR_VERSION = 17, 8

Parameters = NDArray[np.float64]


def convert(source: Path, folder: Path) -> Path:
    """The file that was made in `folder`: `source` as ONNX, proven to encode as dlib does.

    Raises `Unavailable` where `source` is not dlib's network, the two disagree, or the folder cannot be written.
    """
    reference = dlib_network(source)(check_chip())
    recorded = facts(checksum(source), encoding=reference.astype("<f4").tobytes().hex())
    data = sealed(model(read_weights(source), recorded).SerializeToString())
    error = largest_difference(onnx_network(open_session(data))(check_chip()), reference)
    if not error <= TOLERANCE:
        raise Unavailable(f"ONNX Runtime does not encode as dlib does on this machine ({error:.1g} off)")
    return keep(folder / CONVERTED, data)


def spell_out(source: Path, folder: Path) -> Path:
    """The file that was made in `folder`: the network `source` without PReLU, which gives the very same numbers.

    Raises `Unavailable` where the folder cannot be written.
    """
    network = onnx.load(source)
    nodes = [plain for node in network.graph.node for plain in _plain(node)]
    del network.graph.node[:]
    network.graph.node.extend(nodes)
    helper.set_model_props(network, facts(checksum(source)))
    return keep(folder / source.name, sealed(network.SerializeToString()))


def model(weights: Weights, facts: dict[str, str]) -> onnx.ModelProto:
    """The network from `chips`, uint8 (n, 150, 150, 3), to `encodings`, float32 (n, 128)."""
    graph = _Graph()
    blocks = iter(weights.convolutions)
    x, side = graph.stem(next(blocks))
    for first, second in zip(blocks, blocks, strict=True):
        x, side = graph.block(x, side, first, second)
    x = graph.node("Flatten", graph.node("GlobalAveragePool", x))
    graph.node("MatMul", x, graph.constant(weights.projection), output="encodings")
    made = helper.make_model(
        graph.proto(), opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION, producer_name="facefleet"
    )
    helper.set_model_props(made, facts)
    return made


class _Graph:
    """Collects nodes and constants. Its methods return the name of what they compute."""

    def __init__(self) -> None:
        self._nodes: list[onnx.NodeProto] = []
        self._constants: list[onnx.TensorProto] = []

    def stem(self, convolution: Convolution) -> tuple[str, int]:
        """The first convolution and the pool behind it; and the map's side, in pixels."""
        filters, bias = _folded(convolution)
        # Without padding, so that what is done to each pixel first can be done to the filters once.
        filters = filters / 256
        bias = bias - (filters * MEANS[:, np.newaxis, np.newaxis]).sum(axis=(1, 2, 3))
        x = self.node("Cast", "chips", to=onnx.TensorProto.FLOAT)
        x = self.node("Transpose", x, perm=[0, 3, 1, 2])
        x = self.node("Relu", self.convolve(x, filters, bias, stride=2))
        x = self.node("MaxPool", x, kernel_shape=[3, 3], strides=[2, 2])
        return x, _reduced(_reduced(CHIP_SIDE, 7), 3)

    def block(self, x: str, side: int, first: Convolution, second: Convolution) -> tuple[str, int]:
        """Two convolutions and the shortcut past them, the smaller of which dlib pads with zeros; and the side."""
        y = self.node("Relu", self.convolve(x, *_folded(first), stride=first.stride, pads=[first.padding] * 4))
        y = self.convolve(y, *_folded(second), pads=[second.padding] * 4)
        if first.stride == 2:
            x = self.shortcut(x, *first.filters.shape[:2])
            y = self.extend(y, second.filters.shape[0], by=_reduced(side, 2) - _reduced(side, 3))
            side = _reduced(side, 2)
        return self.node("Relu", self.node("Add", y, x)), side

    def shortcut(self, x: str, filters: int, channels: int) -> str:
        """Half the rows and columns, and channels of zeros behind those that there are."""
        x = self.node("AveragePool", x, kernel_shape=[2, 2], strides=[2, 2])
        return x if filters == channels else self.convolve(x, np.eye(filters, channels)[..., np.newaxis, np.newaxis])

    def extend(self, x: str, channels: int, *, by: int) -> str:
        """Rows of zeros below and columns of zeros to the right: 1 × each channel, and the padding is the point."""
        ones = np.ones((channels, 1, 1, 1))
        return self.convolve(x, ones, group=channels, pads=[0, 0, by, by]) if by else x

    def convolve(
        self, x: str, *parameters: ArrayLike, stride: int = 1, pads: Iterable[int] = (0, 0, 0, 0), group: int = 1
    ) -> str:
        """By filters, with or without a bias behind them."""
        constants = [self.constant(parameter) for parameter in parameters]
        return self.node("Conv", x, *constants, strides=[stride, stride], pads=list(pads), group=group)

    def constant(self, values: ArrayLike) -> str:
        name = f"constant{len(self._constants)}"
        self._constants.append(numpy_helper.from_array(np.ascontiguousarray(values, np.float32), name))
        return name

    def node(self, operator: str, *inputs: str, output: str = "", **attributes: Any) -> str:
        output = output or f"{operator}{len(self._nodes)}"
        self._nodes.append(helper.make_node(operator, inputs, [output], **attributes))
        return output

    def proto(self) -> onnx.GraphProto:
        chips = helper.make_tensor_value_info("chips", onnx.TensorProto.UINT8, ["n", CHIP_SIDE, CHIP_SIDE, 3])
        encodings = helper.make_tensor_value_info("encodings", onnx.TensorProto.FLOAT, ["n", DIMENSIONS])
        return helper.make_graph(self._nodes, MODEL, [chips], [encodings], self._constants)


def _plain(node: onnx.NodeProto) -> Iterable[onnx.NodeProto]:
    """PReLU as max(x, 0) + slope × min(x, 0); any other operator as it is."""
    if node.op_type != "PRelu":
        return [node]
    x, slope = node.input
    above, below, scaled = (f"{node.output[0]}_{part}" for part in ("above", "below", "scaled"))
    return [
        helper.make_node("Relu", [x], [above]),
        helper.make_node("Sub", [x, above], [below]),
        helper.make_node("Mul", [below, slope], [scaled]),
        helper.make_node("Add", [above, scaled], list(node.output)),
    ]


def _folded(convolution: Convolution) -> tuple[Parameters, Parameters]:
    """Filters and bias that do what the convolution and its affine do, in float64."""
    gamma = convolution.gamma.astype(np.float64)
    filters = convolution.filters * gamma[:, np.newaxis, np.newaxis, np.newaxis]
    return filters, convolution.bias * gamma + convolution.beta


def _reduced(side: int, kernel: int) -> int:
    """A map's side behind a kernel with stride 2 and no padding."""
    return (side - kernel) // 2 + 1


def main() -> None:
    if len(sys.argv) != 2:
        sys.exit("usage: python -m facefleet.recognition.convert FOLDER")
    folder = Path(sys.argv[1])
    try:
        for name in NETWORKS:
            spell_out(proposal_weights(name), folder)
        keep_detector(folder)
        keep_landmarks(folder)
        # Last: who finds it looks for the others, and does not make them.
        convert(weights_file(), folder)
    except ServiceError as e:
        sys.stderr.write(f"{e}\n")
        sys.exit(1)


if __name__ == "__main__":
    main()
