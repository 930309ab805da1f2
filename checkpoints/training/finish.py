"""Completes the shards that train.py wrote to a whole checkpoint folder: index, config.json, tokenizer.

    python3 finish.py TRAINED_DIR --out DIR [--keep reap-plan.json]

With `--keep` (the file plan.py writes) the checkpoint is pruned on the way: experts, routers, biases and hash tables.
"""
import argparse
import json
import os
import re

import numpy as np

import official
import layout
import safetensors_io
import tokenizer_json
from config import CONFIG
from export import official_config, write_json

HERE = os.path.dirname(os.path.abspath(__file__))


def pruned(tensors, plan):
    """Stored tensors with only the plan's experts. plan: block prefix -> ascending expert ids."""
    out = {}
    for name, (dtype, array) in tensors.items():
        block = re.match(r"(?:layers|mtp)\.\d+\.", name)
        kept = plan[block[0]] if block else None
        expert = re.match(r"(.*ffn\.experts\.)(\d+)(\..*)", name)
        if expert:
            if int(expert[2]) not in kept:
                continue
            name = f"{expert[1]}{kept.index(int(expert[2]))}{expert[3]}"
        elif name.endswith(("ffn.gate.weight", "ffn.gate.bias")):
            array = np.ascontiguousarray(array[kept])
        elif name.endswith("ffn.gate.tid2eid"):
            array = remap(array, kept)
        out[name] = (dtype, array)
    return out


def remap(table, kept):
    """The hash table in kept experts' new numbers; a hidden entry becomes a kept one that the row lacks (as reap.py)."""
    out = np.empty_like(table)
    for token, row in enumerate(table.tolist()):
        for slot, expert in enumerate(row):
            if expert not in kept:
                spare = [e for e in kept if e not in row]
                row[slot] = spare[(token + slot) % len(spare)]
        out[token] = [kept.index(e) for e in row]
    return out


def write_shards(folder, tensors, config):
    """Shards of at most 16 MiB, cut in the order of the layers, and their index."""
    order = [stored.name for tensor in layout.tensors(config) for stored in layout.stored(tensor)]
    if set(order) != set(tensors):
        raise SystemExit(f"not the tensors that config.py describes: {sorted(set(order) ^ set(tensors))[:3]} ...")
    parts, index, total = official.shards({name: tensors[name] for name in order}), {}, 0
    for i, names in enumerate(parts, 1):
        file = f"model-{i:05d}-of-{len(parts):05d}.safetensors"
        total += safetensors_io.write(os.path.join(folder, file), {n: tensors[n] for n in names})
        index.update({n: file for n in names})
    write_json(
        os.path.join(folder, "model.safetensors.index.json"),
        {"metadata": {"total_size": total}, "weight_map": dict(sorted(index.items()))},
    )
    return total


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("trained")
    parser.add_argument("--out", required=True)
    parser.add_argument("--keep")
    options = parser.parse_args()
    os.makedirs(options.out, exist_ok=True)
    tensors, config = safetensors_io.read_checkpoint(options.trained), official_config(CONFIG)
    if options.keep:
        with open(options.keep, encoding="utf-8") as f:
            plan = json.load(f)["kept"]
        tensors = pruned(tensors, plan)
        config["n_routed_experts"] = len(next(iter(plan.values())))
    total = write_shards(options.out, tensors, config)
    with open(os.path.join(HERE, "merges.json"), encoding="utf-8") as f:
        merges = [(bytes.fromhex(a), bytes.fromhex(b)) for a, b in json.load(f)]
    write_json(os.path.join(options.out, "config.json"), config)
    write_json(os.path.join(options.out, "generation_config.json"), {"bos_token_id": 0, "do_sample": False, "eos_token_id": 1})
    write_json(os.path.join(options.out, "tokenizer.json"), tokenizer_json.build(merges))
    write_json(
        os.path.join(options.out, "tokenizer_config.json"),
        tokenizer_json.build_config(config["max_position_embeddings"]),
    )
    print(f"{total:,} bytes of tensors in {len(tensors)} tensors")


if __name__ == "__main__":
    main()
