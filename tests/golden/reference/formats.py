"""Element formats BF16, E4M3, E2M1 and E8M0 emulated exactly on float32, and the block quantisers built on them.

Values are always held as float32 tensors lying on the format's grid; byte codes appear only where data is stored.
This is not a fast path: clarity and bit-exactness are the point.
"""
import numpy as np
import torch

E4M3_MAX = 448.0
E2M1_MAX = 6.0
E2M1_MAGNITUDES = (0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0)


def bf16(x):
    """Round float32 to the nearest BF16 (ties to even), kept in float32."""
    return x.float().to(torch.bfloat16).float()


def bf16_bits(x):
    """BF16 bit patterns (numpy uint16) of values that lie on the BF16 grid."""
    bits = np.ascontiguousarray(x.detach().float().numpy()).view(np.uint32)
    if (bits & 0xFFFF).any():
        raise ValueError("value is not on the BF16 grid")
    return (bits >> 16).astype(np.uint16)


def from_bf16_bits(bits):
    """float32 tensor from BF16 bit patterns (numpy uint16)."""
    return torch.from_numpy((bits.astype(np.uint32) << 16).view(np.float32))


def _e4m3_table():
    values = np.empty(256, dtype=np.float32)
    for code in range(256):
        exponent, mantissa = (code >> 3) & 15, code & 7
        if exponent == 15 and mantissa == 7:
            magnitude = float("nan")
        elif exponent == 0:
            magnitude = mantissa * 2.0**-9
        else:
            magnitude = (8 + mantissa) * 2.0 ** (exponent - 10)
        values[code] = -magnitude if code & 128 else magnitude
    return values


E4M3_TABLE = _e4m3_table()
E2M1_TABLE = np.array(E2M1_MAGNITUDES + tuple(-m for m in E2M1_MAGNITUDES), dtype=np.float32)
E8M0_TABLE = np.array([2.0 ** (b - 127) for b in range(255)] + [float("nan")], dtype=np.float32)


def _pow2(exponent):
    """2^exponent as float32 from int32 in [-126, 127], built from the bits: no library power function is trusted."""
    return ((exponent + 127) << 23).view(torch.float32)


def _round_to_grid(x, mantissa_bits, min_exponent):
    """Nearest-even rounding of float32 to a binary float grid; the caller has clamped to the largest value."""
    _, exponent = torch.frexp(x)  # |x| = m * 2^exponent with m in [0.5, 1)
    exponent = torch.clamp(exponent - 1, min=min_exponent)
    step = _pow2(exponent - mantissa_bits)
    return torch.round(x / step) * step  # torch.round is half-to-even; both scalings are exact


def e4m3_rne(x):
    """Round float32 in [-448, 448] to E4M3 (subnormal step 2^-9)."""
    return _round_to_grid(x, 3, -6)


def e2m1_rne(x):
    """Round float32 in [-6, 6] to E2M1; ties go to the even code."""
    return _round_to_grid(x, 1, 0)


def ceil_pow2(t):
    """Smallest power of two >= t for positive float32, read from the bits as the original kernels do."""
    bits = t.contiguous().view(torch.int32)
    exponent = ((bits >> 23) & 255) - 127
    exponent = exponent + ((bits & 0x7FFFFF) != 0).int()
    return _pow2(exponent)


def _blocks(x, block):
    """Pad the last dim with zeros to whole blocks; zeros change neither the maximum nor any other element."""
    n = x.shape[-1]
    padded = torch.nn.functional.pad(x, (0, -n % block))
    return padded.reshape(*x.shape[:-1], padded.shape[-1] // block, block), n


def _quantise(x, block, floor, limit, rounder):
    blocks, n = _blocks(x.float(), block)
    amax = torch.clamp(blocks.abs().amax(dim=-1, keepdim=True), min=floor)
    reciprocal = torch.tensor(1.0 / limit, dtype=torch.float32)
    scale = ceil_pow2(amax * reciprocal)
    q = rounder(torch.clamp(blocks / scale, -limit, limit))
    return q.flatten(-2)[..., :n], scale.squeeze(-1), (q * scale).flatten(-2)[..., :n]


def q8(x, block):
    """Spec 3.0 Q8: returns (E4M3 values q, power-of-two scales per block, q * scale); the last block may be short."""
    return _quantise(x, block, 1e-4, E4M3_MAX, e4m3_rne)


def q4(x, block=32):
    """Spec 3.0 Q4: as q8 with E2M1 values and floor 6 * 2^-126."""
    return _quantise(x, block, 6.0 * 2.0**-126, E2M1_MAX, e2m1_rne)


def sim8(x, block):
    """Quantise-dequantise in place through E4M3, rounded to BF16."""
    return bf16(q8(x, block)[2])


def sim4(x, block=32):
    """Quantise-dequantise in place through E2M1, rounded to BF16."""
    return bf16(q4(x, block)[2])


def e4m3_codes(values):
    """E4M3 bytes of values on the grid. Negative zero keeps its sign."""
    v = np.asarray(values.detach().numpy() if torch.is_tensor(values) else values, dtype=np.float32)
    codes = np.searchsorted(E4M3_TABLE[:127], np.abs(v)).astype(np.uint8)
    if not np.array_equal(E4M3_TABLE[codes], np.abs(v)):
        raise ValueError("value is not on the E4M3 grid")
    return codes | (np.signbit(v).astype(np.uint8) << 7)


def e2m1_codes(values):
    """E2M1 codes 0..15 of values on the grid. Negative zero keeps its sign."""
    v = np.asarray(values.detach().numpy() if torch.is_tensor(values) else values, dtype=np.float32)
    codes = np.searchsorted(E2M1_TABLE[:8], np.abs(v)).astype(np.uint8)
    if not np.array_equal(E2M1_TABLE[codes], np.abs(v)):
        raise ValueError("value is not on the E2M1 grid")
    return codes | (np.signbit(v).astype(np.uint8) << 3)


def e8m0_codes(scales):
    """E8M0 bytes of exact powers of two."""
    v = np.asarray(scales.detach().numpy() if torch.is_tensor(scales) else scales, dtype=np.float64)
    mantissa, exponent = np.frexp(v)
    if (mantissa != 0.5).any() or exponent.min() < -126 or exponent.max() > 128:
        raise ValueError("scale is not an E8M0 power of two")
    return (exponent - 1 + 127).astype(np.uint8)


def pack_fp4(codes):
    """Pairs of E2M1 codes to bytes: logical column 2c in the low nibble, 2c+1 in the high one."""
    if codes.shape[-1] % 2:
        raise ValueError("FP4 rows need an even number of columns")
    return (codes[..., 0::2] | (codes[..., 1::2] << 4)).astype(np.uint8)


def unpack_fp4(packed):
    """Inverse of pack_fp4: numpy bytes [..., c] to codes [..., 2c]."""
    packed = packed.view(np.uint8)
    out = np.empty(packed.shape[:-1] + (packed.shape[-1] * 2,), dtype=np.uint8)
    out[..., 0::2] = packed & 15
    out[..., 1::2] = packed >> 4
    return out


def dequant_fp8(codes, scales, block=128):
    """Weight from E4M3 bytes [out, in] and E8M0 bytes [ceil(out/block), ceil(in/block)], as float64 (exact)."""
    rows, cols = codes.shape
    expect = (-(-rows // block), -(-cols // block))
    if scales.shape != expect:
        raise ValueError(f"scale shape {scales.shape}, expected {expect}")
    s = E8M0_TABLE[scales].repeat(block, 0)[:rows].repeat(block, 1)[:, :cols]
    return torch.from_numpy(E4M3_TABLE[codes].astype(np.float64) * s)


def dequant_fp4(packed, scales, block=32):
    """Weight from packed bytes [out, in/2] and E8M0 bytes [out, ceil(in/block)], as float64 (exact)."""
    codes = unpack_fp4(packed)
    rows, cols = codes.shape
    expect = (rows, -(-cols // block))
    if scales.shape != expect:
        raise ValueError(f"scale shape {scales.shape}, expected {expect}")
    s = E8M0_TABLE[scales].repeat(block, 1)[:, :cols]
    return torch.from_numpy(E2M1_TABLE[codes].astype(np.float64) * s)


def quant_fp8_weight(w, block=128):
    """Nearest FP8 block weight of a float matrix: (codes uint8, scale codes uint8)."""
    w = np.asarray(w, dtype=np.float32)
    rows, cols = w.shape
    codes = np.empty((rows, cols), np.uint8)
    scales = np.empty((-(-rows // block), -(-cols // block)), np.uint8)
    for r in range(scales.shape[0]):
        for c in range(scales.shape[1]):
            tile = w[r * block:(r + 1) * block, c * block:(c + 1) * block]
            q, s, _ = q8(torch.from_numpy(tile.reshape(1, -1).copy()), tile.size)
            codes[r * block:(r + 1) * block, c * block:(c + 1) * block] = e4m3_codes(q).reshape(tile.shape)
            scales[r, c] = e8m0_codes(s)[0, 0]
    return codes, scales


def quant_fp4_weight(w, block=32):
    """Nearest MXFP4 weight of a float matrix: (packed uint8 [out, in/2], scale codes uint8)."""
    q, s, _ = q4(torch.from_numpy(np.asarray(w, dtype=np.float32)), block)
    return pack_fp4(e2m1_codes(q)), e8m0_codes(s)
