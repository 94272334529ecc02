"""usage: sentence_transformers_peer.py <directory> <fp32 | bf16> <threads>"""

import importlib.metadata
import sys

import torch
from peer import Encode, serve
from sentence_transformers import SentenceTransformer

directory, dtype, threads = sys.argv[1], sys.argv[2], int(sys.argv[3])
BATCH_SIZES = (16, 32, 64)
torch.set_num_threads(threads)


def plain(model: SentenceTransformer, batch_size: int) -> Encode:
    return lambda texts: model.encode(texts, batch_size=batch_size, show_progress_bar=False)


def autocast(model: SentenceTransformer, batch_size: int) -> Encode:
    encode = plain(model, batch_size)

    def run(texts: list[str]):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            return encode(texts)

    return run


def load(precision: torch.dtype) -> SentenceTransformer:
    return SentenceTransformer(
        directory, device="cpu", local_files_only=True, model_kwargs={"dtype": precision}
    )


settings: dict[str, Encode] = {}
if dtype == "fp32":
    model = load(torch.float32)
    settings = {f"batches of {size}": plain(model, size) for size in BATCH_SIZES}
else:
    # Weights in bf16 and autocast are what users do; which one is faster depends on the CPU.
    whole, mixed = load(torch.bfloat16), load(torch.float32)
    for size in BATCH_SIZES:
        settings[f"weights in bf16, batches of {size}"] = plain(whole, size)
        settings[f"autocast, batches of {size}"] = autocast(mixed, size)

names = ("sentence-transformers", "transformers", "torch")
serve({"python": sys.version.split()[0], **{name: importlib.metadata.version(name) for name in names},
       "torch": torch.__version__}, settings)
