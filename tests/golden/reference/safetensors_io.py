"""A small numpy reader and writer of safetensors files: bit-exact bytes, all dtypes the checkpoints use, sharded index.

Tensors stay in their stored representation (`Stored`); converting to numbers is formats.py's and weights.py's job.
"""
import json
import os
import struct
from dataclasses import dataclass

import numpy as np

from . import formats

NUMPY_TYPE = {
    "F64": np.float64, "F32": np.float32, "BF16": np.uint16, "F16": np.float16, "F8_E4M3": np.uint8,
    "F8_E8M0": np.uint8, "I8": np.int8, "U8": np.uint8, "I32": np.int32, "I64": np.int64, "BOOL": np.uint8,
}


@dataclass
class Stored:
    """One tensor as stored: dtype name of the file format and an array of the raw representation."""
    dtype: str
    data: np.ndarray


def stored_f32(x):
    """Tensor or array as F32."""
    return Stored("F32", np.ascontiguousarray(np.asarray(x, dtype=np.float32)))


def stored_bf16(x):
    """Float tensor whose values lie on the BF16 grid, as BF16."""
    return Stored("BF16", formats.bf16_bits(x))


def write(path, tensors, metadata=None):
    """Write name -> Stored; compact JSON header, space padded so that the data starts at a multiple of 8."""
    header, offset = {}, 0
    if metadata:
        header["__metadata__"] = metadata
    for name, tensor in tensors.items():
        size = tensor.data.nbytes
        header[name] = {"dtype": tensor.dtype, "shape": list(tensor.data.shape), "data_offsets": [offset, offset + size]}
        offset += size
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for tensor in tensors.values():
            expected = np.dtype(NUMPY_TYPE[tensor.dtype])
            if tensor.data.dtype != expected:
                raise ValueError(f"{tensor.dtype} needs {expected}, got {tensor.data.dtype}")
            file.write(np.ascontiguousarray(tensor.data).tobytes())


def read(path):
    """Read one file to name -> Stored. Data stays mapped from the file."""
    size = os.path.getsize(path)
    with open(path, "rb") as file:
        (n,) = struct.unpack("<Q", file.read(8))
        if n > size - 8:
            raise ValueError(f"{path}: header of {n} bytes does not fit the file")
        header = json.loads(file.read(n))
    header.pop("__metadata__", None)
    raw = np.memmap(path, dtype=np.uint8, mode="r", offset=8 + n) if size > 8 + n else np.empty(0, np.uint8)
    out = {}
    for name, info in header.items():
        begin, end = info["data_offsets"]
        kind = np.dtype(NUMPY_TYPE[info["dtype"]])
        count = int(np.prod(info["shape"], dtype=np.int64))
        if end - begin != count * kind.itemsize or end > raw.size:
            raise ValueError(f"{path}: {name}: offsets {begin}..{end} do not match shape {info['shape']}")
        data = np.frombuffer(raw[begin:end].tobytes(), dtype=kind) if count else np.empty(0, kind)
        out[name] = Stored(info["dtype"], data.reshape(info["shape"]))
    return out


def read_checkpoint(directory):
    """All tensors of a checkpoint directory: model.safetensors, or the shards named by model.safetensors.index.json."""
    index = os.path.join(directory, "model.safetensors.index.json")
    if os.path.exists(index):
        with open(index) as file:
            mapping = json.load(file)["weight_map"]
        files = {shard: read(os.path.join(directory, shard)) for shard in sorted(set(mapping.values()))}
        return {name: files[shard][name] for name, shard in mapping.items()}
    return read(os.path.join(directory, "model.safetensors"))
