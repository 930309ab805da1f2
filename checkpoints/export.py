"""Turns trained master weights into a checkpoint in the official DeepSeek-V4 layout.

    python3 checkpoints/export.py --masters DIR --out checkpoints/tiny

DIR holds masters-*.safetensors (full-precision weights, the training configuration in their metadata) and tok.json
(BPE merges as pairs of hex strings). The output depends on these alone and is the same byte for byte on every run.
"""

import argparse
import collections
import glob
import json
import os
import re

import numpy as np

import layout
import pack
import safetensors_io
import tokenizer_json

# What the official names call differently from the masters; everything else keeps its name less ".weight".
RENAMED = {
    "norm": "hc_head.norm",
    "mtp.0.norm": "mtp_head.norm",
    "mtp.0.enorm": "enorm",
    "mtp.0.hnorm": "hnorm",
    "mtp.0.e_proj": "e_proj",
    "mtp.0.h_proj": "h_proj",
}
PATTERNS = [
    (r"^mtp\.0\.hc_head_", "mtp_head."),
    (r"^mtp\.0\.", "mtp."),
    (r"hc_(head|attn|ffn)_(fn|base|scale)$", r"hc_\1.\2"),
    (r"ffn\.gate\.(bias|tid2eid)$", r"ffn.\1"),
    (r"ffn\.shared_experts\.w([123])$", r"ffn.s\1"),
]


def master_name(name):
    """The master tensor behind an official logical tensor, and the expert index within it or None."""
    name = name[: -len(".weight")] if name.endswith(".weight") else name
    if name in RENAMED:
        return RENAMED[name], None
    for pattern, to in PATTERNS:
        name = re.sub(pattern, to, name)
    expert = re.fullmatch(r"(.*ffn)\.experts\.(\d+)\.(w[123])", name)
    if expert:
        return f"{expert[1]}.{expert[3]}", int(expert[2])
    return name, None


def read_masters(folder):
    """Returns (dict name -> f32 or integer array, training configuration)."""
    files = sorted(glob.glob(os.path.join(folder, "masters-*.safetensors")))
    if not files:
        raise SystemExit(f"{folder}: no masters-*.safetensors here; --masters names the folder that training wrote")
    masters, config = {}, None
    for file in files:
        tensors, metadata = safetensors_io.read(file)
        for name, (dtype, array) in tensors.items():
            masters[name] = pack.from_bf16(array) if dtype == "BF16" else array
        config = json.loads(metadata["config"])
    return masters, config


def official_config(trained):
    """config.json from the training configuration: the keys of the real one, the sizes of this model."""
    fixed = {
        "architectures": ["DeepseekV4ForCausalLM"],
        "attention_bias": False,
        "attention_dropout": 0.0,
        "bos_token_id": 0,
        "eos_token_id": 1,
        "expert_dtype": "fp4",
        "hidden_act": "silu",
        "model_type": "deepseek_v4",
        "norm_topk_prob": True,
        "num_key_value_heads": 1,
        "quantization_config": {
            "activation_scheme": "dynamic",
            "fmt": "e4m3",
            "quant_method": "fp8",
            "scale_fmt": "ue8m0",
            "weight_block_size": [layout.FP8_BLOCK, layout.FP8_BLOCK],
        },
        "tie_word_embeddings": False,
        "topk_method": "noaux_tc",
        "torch_dtype": "bfloat16",
        "use_cache": True,
    }
    sizes = {key: trained[key] for key in trained if key not in ("rope_theta", "compress_rope_theta")}
    thetas = {key: int(trained[key]) for key in ("rope_theta", "compress_rope_theta")}
    return dict(sorted({**fixed, **sizes, **thetas}.items()))


def encode(tensor, value):
    """Stored tensors of one logical tensor: dict name -> (dtype, array)."""
    names = layout.stored(tensor)
    if tensor.kind == "fp4":
        arrays = pack.encode_fp4(value)
    elif tensor.kind == "fp8":
        arrays = pack.encode_fp8(value)
    elif tensor.kind == "bf16":
        arrays = (pack.to_bf16(value),)
    else:
        arrays = (value.astype(safetensors_io.NUMPY_DTYPE[names[0].dtype]),)
    return {stored.name: (stored.dtype, array) for stored, array in zip(names, arrays)}


def convert(masters, config):
    """All stored tensors of the checkpoint; raises SystemExit if masters and layout do not match one to one."""
    result, used = {}, set()
    for tensor in layout.tensors(config):
        source, expert = master_name(tensor.name)
        if source not in masters:
            raise SystemExit(f"the masters hold no {source}, needed for {tensor.name}")
        value = masters[source] if expert is None else masters[source][expert]
        if value.shape != tensor.shape:
            raise SystemExit(f"{source} is {value.shape}; {tensor.name} needs {tensor.shape}")
        if not np.isfinite(value).all():
            raise SystemExit(f"{source} holds a value that is not finite")
        used.add(source)
        result.update(encode(tensor, value))
    if masters.keys() - used:
        raise SystemExit(f"masters without a place in the layout: {', '.join(sorted(masters.keys() - used))}")
    return result


def write_json(path, value):
    with open(path, "w", encoding="utf-8", newline="\n") as file:
        json.dump(value, file, ensure_ascii=False, indent=2)
        file.write("\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--masters", required=True, metavar="DIR")
    parser.add_argument("--out", required=True, metavar="DIR")
    options = parser.parse_args()

    masters, trained = read_masters(options.masters)
    config = official_config(trained)
    tensors = convert(masters, config)
    with open(os.path.join(options.masters, "tok.json"), encoding="utf-8") as file:
        merges = [(bytes.fromhex(a), bytes.fromhex(b)) for a, b in json.load(file)]
    tokenizer = tokenizer_json.build(merges)
    if len(tokenizer["model"]["vocab"]) != config["vocab_size"]:
        raise SystemExit(f"{len(tokenizer['model']['vocab'])} tokens for a vocabulary of {config['vocab_size']}")

    os.makedirs(options.out, exist_ok=True)
    safetensors_io.write(os.path.join(options.out, "model.safetensors"), tensors)
    write_json(os.path.join(options.out, "config.json"), config)
    write_json(
        os.path.join(options.out, "generation_config.json"),
        {"bos_token_id": 0, "do_sample": False, "eos_token_id": 1},
    )
    write_json(os.path.join(options.out, "tokenizer.json"), tokenizer)
    write_json(
        os.path.join(options.out, "tokenizer_config.json"),
        tokenizer_json.build_config(config["max_position_embeddings"]),
    )

    by_dtype = collections.Counter()
    for dtype, array in tensors.values():
        by_dtype[dtype] += array.nbytes
    for dtype in safetensors_io.NUMPY_DTYPE:
        print(f"{dtype:8} {by_dtype[dtype]:>12,} bytes")
    print(f"{'total':8} {sum(by_dtype.values()):>12,} bytes in {len(tensors)} tensors")


if __name__ == "__main__":
    main()
