"""What an exact engine may legitimately differ by: the same formulas with single-precision sums or jittered sums."""
import torch

from reference.arith import Arith


class Float32Sums(Arith):
    """Sums in float32 instead of float64, as an engine accumulates; in `f32` precision everything runs in float32."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.dtype = torch.float32

    def total(self, x, dim, keepdim=False):
        return self.settle(x.float().sum(dim, keepdim=keepdim))

    def matmul(self, a, b):
        return self.settle(a.float() @ b.float())


class Jitter(Arith):
    """Sums moved at random by about one float32 rounding of the largest value of their row."""

    def __init__(self, seed, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.generator = torch.Generator().manual_seed(seed)

    def _move(self, x):
        largest = x.abs().amax(-1, keepdim=True) if x.dim() and x.numel() else x.abs()
        return x + 3e-8 * (largest + x.abs()) * torch.randn(x.shape, generator=self.generator, dtype=x.dtype)

    def total(self, x, dim, keepdim=False):
        return self._move(super().total(x, dim, keepdim))

    def matmul(self, a, b):
        return self._move(super().matmul(a, b))
