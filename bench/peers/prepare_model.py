"""Lays out one model so that every contender loads the same weights and cuts texts at the same length.

usage: prepare_model.py <model directory> <output directory>

The model directory has config.json, tokenizer.json and onnx/model.onnx (fp32); modules.json, 1_Pooling/config.json and
sentence_bert_config.json where the model is a sentence-transformers one. What torch needs and is not there is made:
model.safetensors from the ONNX graph's own weights, checked against ONNX Runtime; and for transformers.js
onnx/model_quantized.onnx, in the way that its published models are quantised.
"""

import json
import shutil
import sys
from pathlib import Path

WEIGHTS = ("model.safetensors", "pytorch_model.bin")
COPIED = ("config.json", "special_tokens_map.json", "vocab.txt", "modules.json", "1_Pooling/config.json",
          "sentence_bert_config.json", "config_sentence_transformers.json")


def read_json(path: Path) -> dict | list:
    return json.loads(path.read_text()) if path.exists() else {}


def write_json(path: Path, value: dict | list) -> None:
    path.write_text(json.dumps(value, indent=2) + "\n")


def describe(source: Path) -> dict:
    """Pooling, normalisation and lengths as sentence-transformers would read them from the model's files."""
    config = read_json(source / "config.json")
    pooling = read_json(source / "1_Pooling" / "config.json")
    mode = pooling.get("pooling_mode", "mean")
    if pooling.get("pooling_mode_cls_token"):
        mode = "cls"
    if mode not in ("mean", "cls"):
        sys.exit(f"{source} pools by {mode}: only mean and cls are known to all contenders.")
    modules = [module["type"].rsplit(".", 1)[-1] for module in read_json(source / "modules.json")]
    tokenizer = read_json(source / "tokenizer_config.json")
    limits = (
        read_json(source / "sentence_bert_config.json").get("max_seq_length"),
        tokenizer.get("model_max_length"),
        config.get("max_position_embeddings"),
    )
    graph = (source / "onnx" / "model.onnx").stat()
    return {
        "source": f"{source} {graph.st_size} {graph.st_mtime_ns}",
        "dimensions": config["hidden_size"],
        "layers": config["num_hidden_layers"],
        "pooling": mode,
        "normalize": "Normalize" in modules,
        "maxTokens": min(limit for limit in limits if limit),
    }


def lay_out(source: Path, target: Path, spec: dict) -> None:
    """The small files; the tokenizer's own padding and truncation give way to the model's limit."""
    for folder in ("onnx", "1_Pooling"):
        (target / folder).mkdir(parents=True, exist_ok=True)
    for name in COPIED:
        if (source / name).exists():
            shutil.copyfile(source / name, target / name)
    tokenizer = read_json(source / "tokenizer.json")
    write_json(target / "tokenizer.json", {**tokenizer, "truncation": None, "padding": None})
    defaults = {"tokenizer_class": "BertTokenizer", "pad_token": "[PAD]"}
    config = {**defaults, **read_json(source / "tokenizer_config.json"), "model_max_length": spec["maxTokens"]}
    write_json(target / "tokenizer_config.json", config)
    for name in ("model.onnx", "model.onnx_data", "model.onnx.data", "model_int8.onnx", "model_quantized.onnx"):
        link(source / "onnx" / name, target / "onnx" / name)
    for name in WEIGHTS:
        link(source / name, target / name)


def link(source: Path, target: Path) -> None:
    target.unlink(missing_ok=True)
    if source.exists():
        target.symlink_to(source)


def write_weights(target: Path) -> None:
    import torch
    from onnx_weights import read_weights
    from safetensors.torch import save_file
    from transformers import AutoConfig, BertModel

    config = AutoConfig.from_pretrained(target)
    if config.model_type != "bert":
        sys.exit(f"The model is a {config.model_type}: put model.safetensors beside its config.json, "
                 "only a BERT's weights are read from ONNX.")
    model = BertModel(config, add_pooling_layer=False).eval()
    expected = model.state_dict()
    weights = read_weights(target / "onnx" / "model.onnx", expected)
    missing = [key for key in expected if key not in weights and not key.endswith(("position_ids", "token_type_ids"))]
    if missing:
        sys.exit(f"{target / 'onnx' / 'model.onnx'} has no constant for {', '.join(missing[:5])} ({len(missing)} in all).")
    tensors = {key: torch.tensor(value).contiguous() for key, value in weights.items()}
    model.load_state_dict(tensors, strict=False)
    compare_with_graph(model, target / "onnx" / "model.onnx")
    save_file(tensors, target / "model.safetensors", metadata={"format": "pt"})


def compare_with_graph(model, graph: Path) -> None:
    """Token by token, on random token ids of two lengths in one batch; ends the program below a cosine of 0.9999."""
    import numpy as np
    import onnxruntime
    import torch

    session = onnxruntime.InferenceSession(str(graph), providers=["CPUExecutionProvider"])
    ids = np.random.default_rng(1).integers(1, model.config.vocab_size, (2, 48))
    mask = np.ones_like(ids)
    mask[1, 20:] = 0
    feeds = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
    wanted = {each.name for each in session.get_inputs()}
    there = session.run(["last_hidden_state"], {name: value for name, value in feeds.items() if name in wanted})[0]
    with torch.inference_mode():
        tensors = {name: torch.from_numpy(value) for name, value in feeds.items()}
        here = model(**tensors).last_hidden_state.numpy()
    a, b = here[mask == 1], there[mask == 1]
    cosine = ((a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)).min()
    print(f"torch against ONNX Runtime, token by token: smallest cosine {cosine:.7f}", file=sys.stderr)
    if not cosine >= 0.9999:
        sys.exit("The weights read from the ONNX graph do not compute what the graph computes.")


def quantize(target: Path) -> None:
    """8 bits as transformers.js publishes them: dynamic, signed weights, one scale a matrix, all integer operators."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    quantize_dynamic(
        target / "onnx" / "model.onnx",
        target / "onnx" / "model_quantized.onnx",
        weight_type=QuantType.QInt8,
        extra_options={"MatMulConstBOnly": True, "EnableSubgraph": True},
    )


def main() -> None:
    source, target = Path(sys.argv[1]).resolve(), Path(sys.argv[2]).resolve()
    for name in ("config.json", "tokenizer.json", "onnx/model.onnx"):
        if not (source / name).exists():
            sys.exit(f"{source / name} is missing: give a directory with the fp32 model in ONNX form.")
    spec = describe(source)
    if read_json(target / "spec.json") == spec:
        return
    (target / "spec.json").unlink(missing_ok=True)
    lay_out(source, target, spec)
    if not any((target / name).exists() for name in WEIGHTS):
        write_weights(target)
    if not (target / "onnx" / "model_quantized.onnx").exists():
        quantize(target)
    write_json(target / "spec.json", spec)


main()
