"""Rotary embedding on the last dims of a vector (spec 3.3): frequency tables, plain or YaRN, and the rotation."""
import math

import torch


def frequencies(rope_dim, theta, scaling=None):
    """f_i for i = 0..rope_dim/2-1: evaluated in double precision, rounded once to float32.

    `scaling` is config.json's rope_scaling (YaRN without magnitude factor) or None for plain RoPE.
    """
    half = rope_dim // 2
    base = [float(theta) ** (-2.0 * i / rope_dim) for i in range(half)]
    if scaling is not None:
        low, high = yarn_range(rope_dim, theta, scaling)
        factor = float(scaling["factor"])
        ramps = [min(max((i - low) / max(high - low, 1e-3), 0.0), 1.0) for i in range(half)]
        base = [g / factor * ramp + g * (1.0 - ramp) for g, ramp in zip(base, ramps)]
    return torch.tensor(base, dtype=torch.float64).float()


def yarn_range(rope_dim, theta, scaling):
    """(low, high) pair indices between which YaRN blends; 15 and 25 for the real configuration."""
    original = scaling["original_max_position_embeddings"]

    def index_of(rotations):
        return rope_dim * math.log(original / (rotations * 2 * math.pi)) / (2 * math.log(theta))

    low = math.floor(index_of(scaling["beta_fast"]))
    high = math.ceil(index_of(scaling["beta_slow"]))
    return max(low, 0), min(high, rope_dim - 1)


def rotate(arith, x, positions, freqs, inverse=False):
    """x [T, ..., dim] with its last 2*len(freqs) dims rotated by positions [T]; result rounded to BF16.

    The angle is the float32 product of position and frequency in both precisions (it is part of the definition).
    """
    rope_dim = 2 * freqs.numel()
    angle = (positions.float()[:, None] * freqs[None, :]).double()
    cos, sin = arith.settle(torch.cos(angle)).double(), arith.settle(torch.sin(angle)).double()
    shape = [x.shape[0]] + [1] * (x.dim() - 2) + [freqs.numel()]
    cos, sin = cos.reshape(shape), sin.reshape(shape)
    if inverse:
        sin = -sin
    tail = x[..., -rope_dim:].double()
    a, b = tail[..., 0::2], tail[..., 1::2]
    rotated = torch.stack((a * cos - b * sin, a * sin + b * cos), dim=-1).flatten(-2)
    return torch.cat((x[..., :-rope_dim], arith.bf(arith.settle(rotated))), dim=-1)
