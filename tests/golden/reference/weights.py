"""Turns the stored tensors of a checkpoint into the matrices and vectors of the forward pass (spec 2.1, 2.2).

A tensor's stored dtype alone decides how it is used: I8 with E8M0 scales is FP4, F8_E4M3 with E8M0 scales is FP8, and
anything else is multiplied without activation quantisation.
"""
import torch

from . import formats
from .ops import Linear


class Weights:
    """Named tensors of a checkpoint, decoded on request."""

    def __init__(self, stored):
        self.stored = stored

    def has(self, name):
        """Whether the tensor exists."""
        return name in self.stored

    def values(self, name):
        """Numbers of an unquantised tensor: float32 (BF16 widened) or int64."""
        tensor = self.stored[name]
        if tensor.dtype == "BF16":
            return formats.from_bf16_bits(tensor.data)
        if tensor.dtype in ("F32", "I64", "F16", "I32"):
            value = torch.from_numpy(tensor.data.copy())
            return value.long() if tensor.dtype[0] == "I" else value.float()
        raise ValueError(f"{name}: dtype {tensor.dtype} is a quantised matrix or not a number")

    def linear(self, name):
        """Matrix `name`.weight as a Linear."""
        tensor = self.stored[name + ".weight"]
        if tensor.dtype == "F8_E4M3":
            return Linear(formats.dequant_fp8(tensor.data, self.stored[name + ".scale"].data), True)
        if tensor.dtype == "I8":
            return Linear(formats.dequant_fp4(tensor.data, self.stored[name + ".scale"].data), True)
        return Linear(self.values(name + ".weight"), False)
