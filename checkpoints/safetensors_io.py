"""Reads and writes safetensors files with numpy, byte for byte as the official shards are laid out.

Values stay in their stored encoding (BF16 as uint16, FP8, E8M0 and packed FP4 as uint8); decoding is pack.py's.
"""

import json
import os
import struct

import numpy as np

# In the order in which the official shards store them; within a dtype, tensors are ordered by name as a string.
NUMPY_DTYPE = {
    "I64": np.dtype("<i8"),
    "F32": np.dtype("<f4"),
    "BF16": np.dtype("<u2"),
    "F8_E8M0": np.dtype("u1"),
    "F8_E4M3": np.dtype("u1"),
    "I8": np.dtype("u1"),
}
READ_ONLY_DTYPE = {"I16": np.dtype("<i2"), "I32": np.dtype("<i4"), "U8": np.dtype("u1")}
DTYPE_ORDER = {name: rank for rank, name in enumerate(NUMPY_DTYPE)}
MAX_HEADER_BYTES = 100 << 20


def data_order(name, dtype):
    """Sort key of the official data order."""
    return DTYPE_ORDER[dtype], name


def read_header(path):
    """Returns (header without __metadata__, metadata, data start, file size); raises ValueError if malformed."""
    size = os.path.getsize(path)
    with open(path, "rb") as file:
        prefix = file.read(8)
        length = struct.unpack("<Q", prefix)[0] if len(prefix) == 8 else -1
        if not 2 <= length <= min(MAX_HEADER_BYTES, size - 8):
            raise ValueError(f"{path}: not a safetensors file: header length {length} in a file of {size} bytes")
        header = json.loads(file.read(length).decode("utf-8"))
    metadata = header.pop("__metadata__", {})
    return header, metadata, 8 + length, size


def read(path):
    """Returns (dict name -> (dtype, array in stored encoding), metadata); the arrays are views of the mapped file."""
    header, metadata, start, size = read_header(path)
    data = np.memmap(path, dtype=np.uint8, mode="r", offset=start) if size > start else np.zeros(0, np.uint8)
    known = {**NUMPY_DTYPE, **READ_ONLY_DTYPE}
    result = {}
    for name, entry in header.items():
        begin, end = entry["data_offsets"]
        if entry["dtype"] not in known:
            raise ValueError(f"{path}: {name}: dtype {entry['dtype']} is not one this reader knows")
        array = np.asarray(data[begin:end]).view(known[entry["dtype"]])
        result[name] = (entry["dtype"], array.reshape(entry["shape"]))
    return result, metadata


def read_checkpoint(folder):
    """Reads every *.safetensors file of a folder into one dict name -> (dtype, array)."""
    result = {}
    for file in sorted(os.listdir(folder)):
        if file.endswith(".safetensors"):
            tensors, _ = read(os.path.join(folder, file))
            twice = result.keys() & tensors.keys()
            if twice:
                raise ValueError(f"{folder}: {sorted(twice)[0]} is in more than one file")
            result.update(tensors)
    if not result:
        raise ValueError(f"{folder}: no .safetensors file")
    return result


def write(path, tensors):
    """Writes dict name -> (dtype, array in stored encoding) gap-free in the official order; returns data bytes.

    The header is compact JSON in data order without __metadata__, padded with spaces to a multiple of 8, as the
    official shards have it, so the bytes depend on the tensors alone.
    """
    header, offset, order = {}, 0, sorted(tensors, key=lambda name: data_order(name, tensors[name][0]))
    for name in order:
        dtype, array = tensors[name]
        if array.dtype != NUMPY_DTYPE[dtype]:
            raise ValueError(f"{name}: array of {array.dtype} cannot be stored as {dtype}")
        header[name] = {
            "dtype": dtype,
            "shape": list(array.shape),
            "data_offsets": [offset, offset + array.nbytes],
        }
        offset += array.nbytes
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode("utf-8")
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)))
        file.write(text)
        for name in order:
            file.write(np.ascontiguousarray(tensors[name][1]).tobytes())
    return offset
