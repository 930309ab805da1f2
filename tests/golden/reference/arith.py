"""The two precisions of the reference, as one object: where values are rounded and in which type sums run.

`reference` follows the rounding points of the original implementation: values live in float32, every sum of products
runs in float64 and is rounded to float32 once, then to BF16 where the model says so. `f32` has no rounding points and
no FP8/FP4 simulation at all and computes everything in float64, so it is the true value of the formulas.
"""
import torch

from . import formats


class Arith:
    """Rounding rules of one precision. `faults` names deliberate mistakes, used only to measure test sensitivity."""

    def __init__(self, precision="reference", kv_dtype="fp8", index_dtype="fp4", faults=()):
        if precision not in ("reference", "f32"):
            raise ValueError(f"unknown precision {precision}")
        if kv_dtype not in ("fp8", "bf16") or index_dtype not in ("fp4", "bf16"):
            raise ValueError("kv_dtype is fp8 or bf16, index_dtype is fp4 or bf16")
        self.strict = precision == "reference"
        self.dtype = torch.float32 if self.strict else torch.float64
        self.kv_dtype = kv_dtype
        self.index_dtype = index_dtype
        self.faults = frozenset(faults)

    def settle(self, x):
        """End of a float64 computation: round to the working type."""
        return x.to(self.dtype)

    def bf(self, x):
        """A BF16 rounding point."""
        return formats.bf16(x) if self.strict else x

    def fn(self, function, x):
        """A transcendental function: evaluated in float64, rounded to the working type."""
        return self.settle(function(x.double()))

    def total(self, x, dim, keepdim=False):
        """Sum along a dim in float64, rounded to the working type."""
        return self.settle(x.double().sum(dim, keepdim=keepdim))

    def matmul(self, a, b):
        """Matrix product accumulated in float64, rounded to the working type."""
        return self.settle(a.double() @ b.double())

    def act8(self, x):
        """Activation quantisation in front of FP8 and FP4 weights: Q8 with blocks of 128, dequantised (exact)."""
        return formats.q8(x, 128)[2] if self.strict else x

    def sim_kv(self, x):
        """FP8 simulation of KV values, blocks of 64."""
        return formats.sim8(x, 64) if self.strict and self.kv_dtype == "fp8" else x

    def sim_index(self, x):
        """FP4 simulation of indexer queries and keys, blocks of 32."""
        return formats.sim4(x) if self.strict and self.index_dtype == "fp4" else x
