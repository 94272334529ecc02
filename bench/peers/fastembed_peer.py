"""usage: fastembed_peer.py <directory> <mean | cls> <normalize: true | false> <dimensions> <threads>"""

import importlib.metadata
import sys

import numpy as np
from fastembed import TextEmbedding
from fastembed.common.model_description import ModelSource, PoolingType
from peer import Encode, serve

directory, pooling, normalize, dimensions, threads = sys.argv[1:6]
NAME = "bench/model"

TextEmbedding.add_custom_model(
    model=NAME,
    pooling=PoolingType.CLS if pooling == "cls" else PoolingType.MEAN,
    normalization=normalize == "true",
    # Never asked: the directory below has the files.
    sources=ModelSource(hf=NAME),
    dim=int(dimensions),
    model_file="onnx/model.onnx",
)
model = TextEmbedding(NAME, specific_model_path=directory, threads=int(threads), providers=["CPUExecutionProvider"])


def arriving(batch_size: int) -> Encode:
    return lambda texts: np.stack(list(model.embed(texts, batch_size=batch_size)))


def by_length(batch_size: int) -> Encode:
    encode = arriving(batch_size)

    def run(texts: list[str]):
        order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
        vectors = encode([texts[i] for i in order])
        result = np.empty_like(vectors)
        result[order] = vectors
        return result

    return run


settings: dict[str, Encode] = {"one by one": arriving(1), "batches of 32 as they come": arriving(32)}
for size in (8, 32):
    settings[f"batches of {size} by length"] = by_length(size)
serve({name: importlib.metadata.version(name) for name in ("fastembed", "onnxruntime")}, settings)
