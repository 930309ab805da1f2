"""The trained model as a checkpoint folder in the official layout, and back. Packing itself is checkpoints/pack.py's."""
import json
import os
import sys

import numpy as np
import torch

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.dirname(HERE))
import layout  # noqa: E402
import pack  # noqa: E402
import safetensors_io  # noqa: E402
import tokenizer_json  # noqa: E402
from tokenizer import Tokenizer  # noqa: E402

SHARD_BYTES = (16 << 20) - (256 << 10)  # data of one shard; its header stays below the rest of 16 MiB


def _locate(state, name):
    """The model's tensor behind an official logical name (a view: writing to it writes the model)."""
    name = name[: -len(".weight")] if name.endswith(".weight") else name
    head, _, tail = name.rpartition("ffn.")
    part = tail.split(".")
    if part[0] == "experts":
        return state[f"{head}ffn.{part[2]}"][int(part[1])]
    if part[0] == "shared_experts":
        return state[f"{head}ffn.s{part[1][1]}"]
    if part[0] == "gate" and len(part) > 1:
        return state[f"{head}ffn.{part[1]}"]
    return state[name]


def encode(tensor, value):
    """Stored tensors of one logical tensor (layout.Tensor): dict name -> (dtype, array)."""
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


def decode(kind, arrays):
    """Inverse of encode: the f32 (or integer) values of one logical tensor."""
    if kind == "fp4":
        return pack.decode_fp4(*arrays)
    if kind == "fp8":
        return pack.decode_fp8(*arrays)
    return pack.from_bf16(arrays[0]) if kind == "bf16" else np.array(arrays[0])


def stored_tensors(model):
    """All tensors of the checkpoint in the order of the layers: dict stored name -> (dtype, array)."""
    state, out = model.state_dict(), {}
    for tensor in layout.tensors(model.c):
        value = _locate(state, tensor.name).detach()
        value = value.cpu().numpy() if tensor.kind == "i64" else value.float().cpu().numpy()
        if not np.isfinite(value).all():
            raise SystemExit(f"{tensor.name} holds a value that is not finite; the training diverged")
        out.update(encode(tensor, value))
    return out


@torch.no_grad()
def fill(model, tensors):
    """Loads stored tensors into the model; returns the largest change of any value."""
    state, change = model.state_dict(), 0.0
    for tensor in layout.tensors(model.c):
        value = torch.from_numpy(decode(tensor.kind, [tensors[s.name][1] for s in layout.stored(tensor)]))
        target = _locate(state, tensor.name)
        change = max(change, (target.cpu().double() - value.double()).abs().max().item())
        target.copy_(value)
    return change


def shards(tensors):
    """Tensor names in their order, cut into shards of at most SHARD_BYTES."""
    out, used = [[]], 0
    for name, (_, array) in tensors.items():
        if used + array.nbytes > SHARD_BYTES:
            out.append([])
            used = 0
        out[-1].append(name)
        used += array.nbytes
    return out


def _write_json(folder, file, value):
    with open(os.path.join(folder, file), "w", encoding="utf-8", newline="\n") as f:
        json.dump(value, f, ensure_ascii=False, indent=2)
        f.write("\n")


def save(model, folder):
    """Writes a whole checkpoint folder, whose bytes depend on the weights alone; returns (bytes of tensor data,
    largest change of any weight by packing). Packing is applied to the model too, so that what is evaluated next is
    what was written."""
    os.makedirs(folder, exist_ok=True)
    tensors = stored_tensors(model)
    parts = shards(tensors)
    total, index = 0, {}
    for i, names in enumerate(parts, 1):
        file = f"model-{i:05d}-of-{len(parts):05d}.safetensors"
        total += safetensors_io.write(os.path.join(folder, file), {n: tensors[n] for n in names})
        index.update({n: file for n in names})
    _write_json(folder, "model.safetensors.index.json",
                {"metadata": {"total_size": total}, "weight_map": dict(sorted(index.items()))})
    merges = Tokenizer.load(os.path.join(HERE, "merges.json")).merges
    bos, eos = model.c["bos_token_id"], model.c["eos_token_id"]
    _write_json(folder, "config.json", dict(sorted(model.c.items())))
    _write_json(folder, "generation_config.json", {"bos_token_id": bos, "do_sample": False, "eos_token_id": eos})
    _write_json(folder, "tokenizer.json", tokenizer_json.build(merges))
    _write_json(folder, "tokenizer_config.json", tokenizer_json.build_config(model.c["max_position_embeddings"]))
    return total, fill(model, tensors)


def load(model, folder):
    return fill(model, safetensors_io.read_checkpoint(folder))
