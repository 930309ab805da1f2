"""Checks any checkpoint folder against the official DeepSeek-V4 layout: files, inventory, codes, tokenizer.

    python3 checkpoints/verify.py checkpoints/tiny [--headers-only]

Everything demanded is derived from config.json by layout.py (model.md 1.1, 1.3, 2.1, 2.2). It judges whether the
files are well formed, not whether the weights are any good. Exit status 0 without findings, 1 with.
"""

import argparse
import json
import math
import os
import re
import sys

import numpy as np

import bpe
import layout
import pack
import safetensors_io

CONFIG_KEYS = """architectures model_type num_hidden_layers hidden_size vocab_size num_attention_heads
num_key_value_heads head_dim qk_rope_head_dim q_lora_rank o_groups o_lora_rank sliding_window compress_ratios
index_n_heads index_head_dim index_topk rope_theta compress_rope_theta rope_scaling max_position_embeddings
rms_norm_eps n_routed_experts num_experts_per_tok n_shared_experts moe_intermediate_size num_hash_layers
scoring_func topk_method norm_topk_prob routed_scaling_factor swiglu_limit hidden_act hc_mult hc_sinkhorn_iters
hc_eps quantization_config num_nextn_predict_layers bos_token_id eos_token_id tie_word_embeddings""".split()
MAX_FINDINGS = 20  # of one check; a wrong config would otherwise print the whole inventory
TEXTS = ["", "Hello, world!", "a  b\n\n\tc 123,456.78 ", "x->y; naïve 你好 🙂", "<｜User｜>hi<｜Assistant｜></think>"]


class Findings:
    """Collects what is wrong; prints at most MAX_FINDINGS of each check."""

    def __init__(self):
        self.counts = {}

    def add(self, check, text):
        self.counts[check] = self.counts.get(check, 0) + 1
        if self.counts[check] <= MAX_FINDINGS:
            print(f"{check}: {text}")

    def total(self):
        return sum(self.counts.values())


def check_header(file, header, data_bytes, findings):
    """Sizes match shapes; data is gap-free from 0 to the end of the file; order is the official one."""
    at, previous = 0, None
    for name, entry in sorted(header.items(), key=lambda item: (item[1]["data_offsets"], item[0])):
        dtype, shape, (begin, end) = entry["dtype"], entry["shape"], entry["data_offsets"]
        if dtype not in safetensors_io.NUMPY_DTYPE:
            findings.add("dtype", f"{file}: {name} is {dtype}")
            continue
        if end - begin != math.prod(shape) * safetensors_io.NUMPY_DTYPE[dtype].itemsize:
            findings.add("size", f"{file}: {name} has {end - begin} bytes for {dtype} {shape}")
        if begin != at:
            findings.add("gap", f"{file}: {name} begins at {begin}, the data before it ends at {at}")
        key = safetensors_io.data_order(name, dtype)
        if previous and key < previous:
            findings.add("order", f"{file}: {name} ({dtype}) is stored after {previous[1]}")
        at, previous = end, key
    if at != data_bytes:
        findings.add("size", f"{file}: tensors end at {at}, the file holds {data_bytes} data bytes")


def describe_mtp(names):
    """(number of MTP blocks, their flavour) from tensor names, since config does not tell (model.md 1.4)."""
    blocks = {int(match[1]) for match in (re.match(r"mtp\.(\d+)\.", name) for name in names) if match}
    flavour = "dspark" if "mtp.0.main_proj.weight" in names else "classic"
    return len(blocks), flavour


def check_inventory(config, found, findings):
    """`found`: dict name -> (dtype, shape). Expert counts are taken from the gates' rows, as a loader must."""
    experts = {
        name[: -len("ffn.gate.weight")]: shape[0] for name, (_, shape) in found.items() if name.endswith("ffn.gate.weight")
    }
    n_mtp, flavour = describe_mtp(found)
    expected = {}
    for tensor in layout.tensors(config, experts, n_mtp, flavour):
        expected.update({stored.name: (stored.dtype, tuple(stored.shape)) for stored in layout.stored(tensor)})
    for name in sorted(expected.keys() - found.keys()):
        findings.add("missing", f"{name} {expected[name]}")
    for name in sorted(found.keys() - expected.keys()):
        findings.add("unknown", f"{name} {found[name]}")
    for name in sorted(found.keys() & expected.keys()):
        if (found[name][0], tuple(found[name][1])) != expected[name]:
            findings.add("shape", f"{name} is {found[name]}, config.json asks for {expected[name]}")
    return experts


def check_config(config, findings):
    for key in CONFIG_KEYS:
        if key not in config:
            findings.add("config", f"config.json has no {key}")
    ratios, layers = config.get("compress_ratios", []), config.get("num_hidden_layers", 0)
    if len(ratios) < layers or any(ratios[layers:]) or set(ratios) - {0, 4, 128}:
        findings.add("config", f"compress_ratios {ratios} must give 0, 4 or 128 for {layers} layers, then zeros")
    if config.get("quantization_config", {}).get("weight_block_size") != [layout.FP8_BLOCK, layout.FP8_BLOCK]:
        findings.add("config", "quantization_config.weight_block_size is not [128, 128]")


def check_values(tensors, experts, findings):
    """Every code stands for a finite number; hash tables name experts that exist; encoding again changes nothing."""
    for name, (dtype, array) in tensors.items():
        if dtype == "F8_E8M0" and (array == 255).any():
            findings.add("scale", f"{name} holds the NaN code 255")
        elif dtype == "F8_E4M3" and ((array & 0x7F) == 0x7F).any():
            findings.add("code", f"{name} holds an E4M3 NaN")
        elif dtype == "BF16" and ((array & 0x7F80) == 0x7F80).any():
            findings.add("code", f"{name} holds a BF16 value that is not finite")
        elif dtype == "F32" and not np.isfinite(array).all():
            findings.add("code", f"{name} holds an F32 value that is not finite")
        elif dtype == "I64":
            limit = experts[name[: -len("ffn.gate.tid2eid")]]
            if array.min() < 0 or array.max() >= limit:
                findings.add("hash", f"{name} names experts {array.min()}..{array.max()}, the layer has {limit}")
    if findings.total():
        return
    for name, (dtype, array) in tensors.items():
        if dtype not in ("F8_E4M3", "I8"):
            continue
        decode, encode = (pack.decode_fp8, pack.encode_fp8) if dtype == "F8_E4M3" else (pack.decode_fp4, pack.encode_fp4)
        values = decode(array, tensors[name[: -len("weight")] + "scale"][1])
        again = decode(*encode(values))
        if (values.view(np.uint32) != again.view(np.uint32)).any():
            findings.add("round trip", f"{name} changes when it is decoded and encoded again")


def check_index(folder, located, data_bytes, findings):
    path = os.path.join(folder, "model.safetensors.index.json")
    if not os.path.exists(path):
        if len(set(located.values())) > 1:
            findings.add("index", "several shards but no model.safetensors.index.json")
        return
    with open(path, encoding="utf-8") as file:
        index = json.load(file)
    if index["weight_map"] != located:
        findings.add("index", "weight_map does not name the tensors that the shards hold")
    if index.get("metadata", {}).get("total_size", data_bytes) != data_bytes:
        findings.add("index", f"total_size is {index['metadata']['total_size']}, the shards hold {data_bytes} bytes")


def check_tokenizer(folder, config, findings):
    path = os.path.join(folder, "tokenizer.json")
    if not os.path.exists(path):
        findings.add("tokenizer", "there is no tokenizer.json")
        return
    with open(path, encoding="utf-8") as file:
        spec = json.load(file)
    tokenizer = bpe.Tokenizer(path)
    vocab, added = spec["model"]["vocab"], tokenizer.added
    ids = {**vocab, **added}
    if len(set(ids.values())) != len(ids) or min(ids.values()) < 0 or max(ids.values()) >= config["vocab_size"]:
        findings.add("tokenizer", "ids are not unique within 0..vocab_size-1")
    for text, index in added.items():
        if vocab.get(text, index) != index:
            findings.add("tokenizer", f"{text} has two ids: {index} and {vocab[text]}")
    for character in tokenizer.characters.values():
        if character not in vocab:
            findings.add("tokenizer", f"the byte character {character!r} is not in the vocabulary")
    for a, b in tokenizer.ranks:
        if not {a, b, a + b} <= vocab.keys():
            findings.add("tokenizer", f"merge {a!r} {b!r} joins or makes a token that is not in the vocabulary")
    names = {index: text for text, index in added.items()}
    expected = {"bos_token_id": "<｜begin▁of▁sentence｜>", "eos_token_id": "<｜end▁of▁sentence｜>"}
    for key, text in expected.items():
        if names.get(config.get(key)) != text:
            findings.add("tokenizer", f"{key} is {config.get(key)}, which is not {text}")
    for marker in ("<｜User｜>", "<｜Assistant｜>", "<think>", "</think>", "｜DSML｜"):
        if marker not in added:
            findings.add("tokenizer", f"{marker} is not an added token")
    if not findings.counts.get("tokenizer"):
        for text in TEXTS:
            if tokenizer.decode(tokenizer.encode(text)) != text.encode():
                findings.add("tokenizer", f"{text!r} does not survive encoding and decoding")


def verify(folder, headers_only=False):
    """Returns the Findings of one checkpoint folder; they have been printed."""
    findings = Findings()
    with open(os.path.join(folder, "config.json"), encoding="utf-8") as file:
        config = json.load(file)
    check_config(config, findings)
    shapes, located, tensors, total = {}, {}, {}, 0
    for file in sorted(name for name in os.listdir(folder) if name.endswith(".safetensors")):
        path = os.path.join(folder, file)
        try:
            header, _, start, size = safetensors_io.read_header(path)
        except ValueError as error:
            findings.add("file", str(error))
            continue
        check_header(file, header, size - start, findings)
        for name in header.keys() & located.keys():
            findings.add("file", f"{name} is in {located[name]} and in {file}")
        shapes.update({name: (entry["dtype"], entry["shape"]) for name, entry in header.items()})
        located.update({name: file for name in header})
        total += size - start
    if not located:
        findings.add("file", f"{folder} holds no readable .safetensors file")
    if not findings.total():
        experts = check_inventory(config, shapes, findings)
        check_index(folder, located, total, findings)
    if not findings.total() and not headers_only:
        for file in sorted(set(located.values())):
            tensors.update(safetensors_io.read(os.path.join(folder, file))[0])
        check_values(tensors, experts, findings)
    if not headers_only:
        check_tokenizer(folder, config, findings)
    if not findings.total():
        print(f"{folder}: {len(located)} tensors, {total:,} data bytes, no findings")
    return findings


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder")
    parser.add_argument("--headers-only", action="store_true", help="neither values nor tokenizer")
    options = parser.parse_args()
    sys.exit(1 if verify(options.folder, options.headers_only).total() else 0)


if __name__ == "__main__":
    main()
