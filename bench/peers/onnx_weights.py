"""A BERT's state dict from the constants of its ONNX graph."""

from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper

# The matrices of a layer in the order in which they are multiplied.
MATRICES = ("attention.self.query", "attention.self.key", "attention.self.value", "attention.output.dense",
            "intermediate.dense", "output.dense")
NORMS = ("attention.output.LayerNorm", "output.LayerNorm")
TABLES = {"input_ids": "word_embeddings", "token_type_ids": "token_type_embeddings"}


def read_weights(graph: Path, expected: dict) -> dict[str, np.ndarray]:
    """The tensors of `expected` (a state dict) that the graph holds.

    Exporters keep the names of embeddings, biases and norms behind a prefix, but transpose the matrices and call them
    onnx::MatMul_<n>: those are known by the named bias that is added to their product. In a graph without names, all
    are known by the order of the operators. Whoever calls this compares results: an order can mislead.
    """
    model = onnx.load(graph).graph
    constants = {constant.name: constant for constant in model.initializer}
    named = by_name(constants, expected)
    named |= matrices_by_bias(model, constants, expected)
    return named if len(named) >= len(expected) else by_order(model, constants) | named


def key_of(name: str, expected: dict) -> str | None:
    return next((key for key in expected if name == key or name.endswith(f".{key}")), None)


def by_name(constants: dict, expected: dict) -> dict[str, np.ndarray]:
    keys = {name: key_of(name, expected) for name in constants}
    return {key: numpy_helper.to_array(constants[name]) for name, key in keys.items() if key is not None}


def linears(model: onnx.GraphProto, constants: dict) -> list[tuple[str, str]]:
    """Products with a constant matrix, in order: the names of the matrix and of the bias that is added."""
    biases = {}
    for node in model.node:
        if node.op_type == "Add":
            for product, bias in (tuple(node.input), tuple(node.input)[::-1]):
                if bias in constants:
                    biases[product] = bias
    return [(node.input[1], biases[node.output[0]]) for node in model.node
            if node.op_type == "MatMul" and node.input[1] in constants and node.output[0] in biases]


def matrices_by_bias(model: onnx.GraphProto, constants: dict, expected: dict) -> dict[str, np.ndarray]:
    found = {}
    for matrix, bias in linears(model, constants):
        key = key_of(bias, expected)
        if key is not None:
            found[key.removesuffix("bias") + "weight"] = numpy_helper.to_array(constants[matrix]).T
    return found


def by_order(model: onnx.GraphProto, constants: dict) -> dict[str, np.ndarray]:
    def value(name: str) -> np.ndarray:
        return numpy_helper.to_array(constants[name])

    found = {}
    for i, (matrix, bias) in enumerate(linears(model, constants)):
        key = f"encoder.layer.{i // len(MATRICES)}.{MATRICES[i % len(MATRICES)]}"
        found |= {f"{key}.weight": value(matrix).T, f"{key}.bias": value(bias)}
    norms = [node for node in model.node if node.op_type == "LayerNormalization"]
    for i, node in enumerate(norms):
        key = "embeddings.LayerNorm" if i == 0 else f"encoder.layer.{(i - 1) // 2}.{NORMS[(i - 1) % 2]}"
        found |= {f"{key}.weight": value(node.input[1]), f"{key}.bias": value(node.input[2])}
    for node in model.node:
        if node.op_type == "Gather" and node.input[0] in constants and len(constants[node.input[0]].dims) == 2:
            # What is neither looked up by token nor by type is looked up by position.
            table = TABLES.get(node.input[1], "position_embeddings")
            found[f"embeddings.{table}.weight"] = value(node.input[0])
    return found
