"""Collects operation cases, writes one safetensors file per operation and the JSON manifest that describes them."""
import json
import os

import numpy as np
import torch

from reference import formats
from reference import safetensors_io as st
from reference.arith import Arith
from reference.ops import Linear

STRICT = Arith("reference")
TRUE = Arith("f32")

EXACT = {"rtol": 0.0, "atol": 0.0, "unequal": 0.0, "outside": 0.0, "outlier": 0.0}


def bf16_check(values, flips=0.01):
    """BF16 results of one long sum: nearly all equal, the rest off by one BF16 step (different summation order)."""
    largest = float(values.abs().max())
    return {"rtol": 2.0**-7, "atol": 1e-5 * largest, "unequal": max(flips, 2 / values.numel()), "outside": 0.0,
            "outlier": 0.0}


def chained_check(values, outlier):
    """Results behind several rounding points: a flipped rounding may move a few elements by a grid step."""
    return {"rtol": 2.0**-7, "atol": 1e-5 * float(values.abs().max()), "unequal": max(0.02, 3 / values.numel()),
            "outside": max(0.01, 2 / values.numel()), "outlier": outlier}


def close(relative):
    """max|difference| <= relative * max|expected|."""
    return {"rtol": 0.0, "atol_of_max": relative, "unequal": 1.0, "outside": 0.0, "outlier": 0.0}


class Book:
    """All cases so far, grouped by operation."""

    def __init__(self):
        self.cases = []
        self.files = {}

    def add(self, op, label, params, inputs, outputs):
        """inputs: name -> Stored; outputs: name -> (Stored, check)."""
        name = f"{op}_{label}"
        if any(case["name"] == name for case in self.cases):
            raise ValueError(f"case {name} exists")
        tensors = self.files.setdefault(op, {})
        case = {"name": name, "op": op, "file": f"{op}.safetensors", "params": params, "inputs": {}, "outputs": {}}
        for key, stored in inputs.items():
            tensors[f"{label}/{key}"] = stored
            case["inputs"][key] = f"{label}/{key}"
        for key, (stored, check) in outputs.items():
            tensors[f"{label}/{key}"] = stored
            case["outputs"][key] = {"tensor": f"{label}/{key}", "check": check}
        self.cases.append(case)

    def write(self, directory):
        """Write files and manifest; returns the total of bytes."""
        os.makedirs(directory, exist_ok=True)
        total = 0
        for op, tensors in self.files.items():
            path = os.path.join(directory, f"{op}.safetensors")
            st.write(path, tensors)
            total += os.path.getsize(path)
        path = os.path.join(directory, "manifest.json")
        with open(path, "w") as file:
            file.write('{"format": 1, "cases": [\n')
            file.write(",\n".join(json.dumps(case) for case in self.cases))
            file.write("\n]}\n")
        return total + os.path.getsize(path)


class Maker:
    """Random tensors of one seed, already on the grid of the dtype they are stored in."""

    def __init__(self, seed):
        self.generator = torch.Generator().manual_seed(seed)

    def normal(self, *shape, std=1.0):
        """Plain float32 normal values."""
        return torch.randn(*shape, generator=self.generator) * std

    def bf16(self, *shape, std=1.0):
        """Normal values on the BF16 grid."""
        return formats.bf16(self.normal(*shape, std=std))

    def heavy(self, *shape, std=1.0):
        """BF16 values with a wide spread of magnitudes per element, as real activations have."""
        return formats.bf16(self.normal(*shape, std=std) * torch.exp2(self.normal(*shape) * 2))

    def gain(self, n):
        """RMSNorm gain on the BF16 grid, clearly different from 1."""
        return formats.bf16(1.0 + 0.5 * self.normal(n))

    def uniform(self, *shape):
        """Uniform in [0, 1)."""
        return torch.rand(*shape, generator=self.generator)

    def integers(self, high, *shape):
        """Integers in [0, high)."""
        return torch.randint(high, shape, generator=self.generator)

    def matrix(self, kind, rows, cols, std=None):
        """A random weight as (Linear, {suffix: Stored}); kind fp8, fp4, bf16 or f32."""
        std = cols**-0.5 if std is None else std
        spread = torch.exp2(self.normal(rows, 1)) * torch.exp2(self.normal(1, cols) * 0.5)
        return stored_matrix(kind, self.normal(rows, cols, std=std) * spread)


def stored_matrix(kind, w):
    """Round a float matrix to a storage kind: (Linear, {"weight": Stored[, "scale": Stored]})."""
    if kind == "fp8":
        codes, scales = formats.quant_fp8_weight(w.numpy())
        tensors = {"weight": st.Stored("F8_E4M3", codes), "scale": st.Stored("F8_E8M0", scales)}
        return Linear(formats.dequant_fp8(codes, scales), True), tensors
    if kind == "fp4":
        packed, scales = formats.quant_fp4_weight(w.numpy())
        tensors = {"weight": st.Stored("I8", packed.view(np.int8)), "scale": st.Stored("F8_E8M0", scales)}
        return Linear(formats.dequant_fp4(packed, scales), True), tensors
    if kind == "bf16":
        w = formats.bf16(w)
        return Linear(w, False), {"weight": st.stored_bf16(w)}
    return Linear(w.float(), False), {"weight": st.stored_f32(w)}


def prefixed(prefix, tensors):
    """Tensor names of a matrix with its name in front: w1.weight, w1.scale."""
    return {f"{prefix}.{key}": value for key, value in tensors.items()}


def i64(x):
    """Integer tensor as I64."""
    return st.Stored("I64", np.ascontiguousarray(x.numpy().astype(np.int64)))


def with_true(strict, true, check, true_limit=1e-5):
    """Output pair: rounded y and the float64 truth (no rounding points) stored as F32."""
    return {"y": (st.stored_bf16(strict), check), "y_true": (st.stored_f32(true.numpy()), close(true_limit))}
