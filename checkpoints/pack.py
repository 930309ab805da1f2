"""Number formats of the checkpoint: FP4 and FP8 block quantisation with power-of-two scales, and BF16.

Encoders round to nearest even on the grid that the quantisation-aware training rounded to; decoders are exact.
"""

import numpy as np

from layout import FP4_BLOCK, FP8_BLOCK, ceil_div

E2M1 = np.array([0, 0.5, 1, 1.5, 2, 3, 4, 6], dtype=np.float32)
E8M0_BIAS = 127
# Blocks of zeros have no magnitude to scale by. Any legal scale is right; this floor is the training's.
AMAX_FLOOR = 1e-30


def to_bf16(values):
    """f32 -> BF16 bits, nearest even. Finite values only."""
    bits = np.ascontiguousarray(values, dtype=np.float32).view(np.uint32).astype(np.uint64)
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.uint16)


def from_bf16(bits):
    return (bits.astype(np.uint32) << 16).view(np.float32)


def _ceil_log2(x):
    """Smallest integer e with 2^e >= x, exact for positive float64."""
    mantissa, exponent = np.frexp(x)
    return exponent - (mantissa == 0.5)


def scale_exponents(amax, largest):
    """Exponent of the power of two that brings a block's largest magnitude to at most `largest`."""
    return _ceil_log2(np.maximum(amax.astype(np.float64), AMAX_FLOOR) / largest)


def _e2m1_codes(y):
    magnitude = np.abs(y)
    # Neighbours of code c meet at these midpoints; a tie goes to the even code.
    middle = (E2M1[1:].astype(np.float64) + E2M1[:-1]) / 2
    low = np.searchsorted(middle, magnitude, side="left")
    high = np.searchsorted(middle, magnitude, side="right")
    code = np.where(low == high, low, np.where(low % 2 == 0, low, high))
    return (code | (np.signbit(y) << 3)).astype(np.uint8)


def encode_fp4(values):
    """[rows, cols] -> (packed codes [rows, cols/2], E8M0 [rows, ceil(cols/32)]); even columns in the low nibble."""
    rows, cols = values.shape
    if cols % 2:
        raise ValueError(f"an FP4 matrix needs an even number of columns, not {cols}")
    blocks = ceil_div(cols, FP4_BLOCK)
    padded = np.zeros((rows, blocks * FP4_BLOCK), dtype=np.float64)
    padded[:, :cols] = values
    padded = padded.reshape(rows, blocks, FP4_BLOCK)
    exponent = scale_exponents(np.abs(padded).max(-1), 6)
    codes = _e2m1_codes(padded * np.exp2(-exponent.astype(np.float64))[..., None])
    codes = codes.reshape(rows, -1)[:, :cols]
    return codes[:, 0::2] | (codes[:, 1::2] << 4), (exponent + E8M0_BIAS).astype(np.uint8)


def decode_fp4(packed, scale):
    """Inverse of encode_fp4, f32."""
    codes = np.stack([packed & 15, packed >> 4], axis=-1).reshape(packed.shape[0], -1)
    value = np.where(codes & 8, -E2M1[codes & 7], E2M1[codes & 7])
    return value * np.repeat(decode_e8m0(scale), FP4_BLOCK, axis=1)[:, : codes.shape[1]]


def _e4m3_codes(y):
    magnitude = np.abs(y)
    # Below 2^-6 the grid is the subnormal one (frexp calls the exponent of 0 zero, so bound the argument).
    exponent = np.frexp(np.maximum(magnitude, 2.0**-6))[1] - 1
    steps = np.rint(magnitude * np.exp2(3.0 - exponent)).astype(np.int64)  # units of 2^(exponent - 3), nearest even
    # Subnormals have exponent field 0 and 8 steps make the first normal, so fields simply add up and carry over.
    code = np.minimum((exponent + 6) * 8 + steps, 0x7E)
    return (code | (np.signbit(y).astype(np.int64) << 7)).astype(np.uint8)


def e4m3_table():
    """The 256 values of E4M3 (fn variant); 0x7F and 0xFF are NaN."""
    code = np.arange(256)
    field, mantissa = (code >> 3) & 15, code & 7
    value = np.where(field, (8 + mantissa) * np.exp2(field - 10.0), mantissa * np.exp2(-9.0))
    value[(code & 0x7F) == 0x7F] = np.nan
    return np.where(code & 0x80, -value, value).astype(np.float32)


def decode_e8m0(scale):
    return np.where(scale == 255, np.nan, np.exp2(scale.astype(np.float64) - E8M0_BIAS)).astype(np.float32)


def encode_fp8(values):
    """[rows, cols] -> (E4M3 codes [rows, cols], E8M0 [ceil(rows/128), ceil(cols/128)])."""
    rows, cols = values.shape
    r, c = ceil_div(rows, FP8_BLOCK), ceil_div(cols, FP8_BLOCK)
    padded = np.zeros((r * FP8_BLOCK, c * FP8_BLOCK), dtype=np.float64)
    padded[:rows, :cols] = values
    tiles = padded.reshape(r, FP8_BLOCK, c, FP8_BLOCK)
    exponent = scale_exponents(np.abs(tiles).max(axis=(1, 3)), 448)
    codes = _e4m3_codes(tiles * np.exp2(-exponent.astype(np.float64))[:, None, :, None])
    return codes.reshape(padded.shape)[:rows, :cols], (exponent + E8M0_BIAS).astype(np.uint8)


def decode_fp8(codes, scale):
    """Inverse of encode_fp8, f32."""
    rows, cols = codes.shape
    factor = decode_e8m0(scale).repeat(FP8_BLOCK, axis=0)[:rows].repeat(FP8_BLOCK, axis=1)[:, :cols]
    return e4m3_table()[codes] * factor
