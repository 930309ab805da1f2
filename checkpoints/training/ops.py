"""The memory-bound operations of the model in plain PyTorch: the definition that the Triton kernels are checked against.

`use_kernels()` replaces entries of the table `fast` by kernels that pass `check_kernels.py`'s comparison; whatever fails
stays as it is here, so training still runs, only slower. Shapes: N tokens, 4 streams, D hidden, E experts, I inner.
"""
import math

import torch
import torch.nn.functional as F

EPS = 1e-6


def rms(x, weight=None):
    """Root-mean-square norm over the last dim in float32, one rounding at the end."""
    y = x.float()
    y = y * torch.rsqrt(y.square().mean(-1, keepdim=True) + EPS)
    if weight is not None:
        y = y * weight
    return y.to(x.dtype)


def rope(x, cos, sin):
    """Rotates the last 2*cos.shape[-1] dims of x [B, S, H, D] as interleaved pairs; cos, sin [B or 1, S, pairs]."""
    pairs = cos.shape[-1]
    plain, turned = x[..., : -2 * pairs], x[..., -2 * pairs :].float()
    a, b = turned[..., 0::2], turned[..., 1::2]
    c, s = cos.unsqueeze(2), sin.unsqueeze(2)
    out = torch.stack([a * c - b * s, a * s + b * c], -1).flatten(-2)
    return torch.cat([plain, out.to(x.dtype)], -1)


def hc_mix(x, fn):
    """Projection of the four streams, scaled by their rms: x [N, 4, D] -> [N, rows of fn] float32."""
    v = x.reshape(x.shape[0], -1).float()
    return F.linear(v, fn) * torch.rsqrt(v.square().mean(-1, keepdim=True) + EPS)


def hc_collapse(x, pre, weight):
    """Weighted sum of the streams, then rms norm: x [N, 4, D], pre [N, 4] -> [N, D]."""
    return rms((pre.unsqueeze(-1) * x.float()).sum(1).to(x.dtype), weight)


def hc_expand(x, y, post, comb):
    """New streams: out[k] = post[k] * y + sum_j comb[j, k] * x[j]."""
    mixed = torch.einsum("njk,njd->nkd", comb, x.float())
    return (post.unsqueeze(-1) * y.float().unsqueeze(1) + mixed).to(x.dtype)


def sinkhorn(logits, iterations):
    """Row softmax, then alternating column and row normalisation; logits [N, 4, 4], ends on a column step."""
    c = torch.softmax(logits, -1) + EPS
    c = c / (c.sum(-2, keepdim=True) + EPS)
    for _ in range(iterations - 1):
        c = c / (c.sum(-1, keepdim=True) + EPS)
        c = c / (c.sum(-2, keepdim=True) + EPS)
    return c


def expert_act(gate, up, weight, limit, simulate):
    """Clamped SwiGLU times the route weight: gate, up [N, E, I], weight [N, E]; zero where the weight is zero."""
    g, u = gate.float().clamp(max=limit), up.float().clamp(-limit, limit)
    out = (F.silu(g) * u * weight.unsqueeze(-1)).to(gate.dtype)
    return sim8(out, 128) if simulate else out


def sink_softmax(local, far, sink, visible, scale):
    """Softmax over raw-window and compressed scores with a sink in the denominator.

    local [B, n, H, C, 2C]: chunk i of C queries against chunks i-1 and i; far [B, n, H, C, T] or None; visible bool
    [B or 1, n, 1, C, T]. Returns both probability tensors in the scores' type.
    """
    n, chunk = local.shape[1], local.shape[3]
    i = torch.arange(chunk, device=local.device)[:, None]
    j = torch.arange(2 * chunk, device=local.device)[None]
    seen = ((j > i) & (j <= i + chunk))[None].repeat(n, 1, 1)
    seen[0, :, :chunk] = False
    a = (local.float() * scale).masked_fill(~seen[None, :, None], -math.inf)
    top = a.amax(-1, keepdim=True)
    if far is not None:
        b = (far.float() * scale).masked_fill(~visible, -math.inf)
        top = torch.maximum(top, b.amax(-1, keepdim=True))
    s = sink.view(1, 1, -1, 1, 1)
    top = torch.maximum(top, s).detach()
    pa = torch.exp(a - top)
    z = pa.sum(-1, keepdim=True) + torch.exp(s - top)
    if far is None:
        return (pa / z).to(local.dtype), None
    pb = torch.exp(b - top)
    z = z + pb.sum(-1, keepdim=True)
    return (pa / z).to(local.dtype), (pb / z).to(local.dtype)


# ---- rounding that the engine does at run time (straight-through in training) ----
def _pow2_ceil(t):
    return torch.exp2(torch.ceil(torch.log2(t)))


def round_e4m3(y):
    step = torch.exp2(torch.floor(torch.log2(y.abs().clamp(min=2.0**-6))) - 3)
    return (torch.round(y / step) * step).clamp(-448, 448)


def round_e2m1(y):
    step = torch.exp2(torch.floor(torch.log2(y.abs().clamp(min=1.0))) - 1)
    return (torch.round(y / step) * step).clamp(-6, 6)


class _Straight(torch.autograd.Function):
    """Rounds forward; the gradient passes as if it had not."""

    @staticmethod
    def forward(ctx, x, rounding, *arguments):
        return rounding(x, *arguments)

    @staticmethod
    def backward(ctx, g):
        return g, None, None


def _sim8(x, block):
    y = x.float().unflatten(-1, (-1, block))
    s = _pow2_ceil(y.abs().amax(-1, keepdim=True).clamp(min=1e-4) / 448)
    y = y / s
    r = y.to(torch.float8_e4m3fn).float() if y.is_cuda else round_e4m3(y)
    return (r * s).flatten(-2).to(x.dtype)


def _sim4(x):
    y = x.float().unflatten(-1, (-1, 32))
    s = _pow2_ceil(y.abs().amax(-1, keepdim=True).clamp(min=6 * 2.0**-126) / 6)
    return (round_e2m1(y / s) * s).flatten(-2).to(x.dtype)


def sim8(x, block):
    """model.md sim8: blocks of the last dim to E4M3 with a power-of-two scale, and back."""
    return _Straight.apply(x, _sim8, block)


def sim4(x):
    """model.md sim4: blocks of 32 to E2M1 with a power-of-two scale, and back."""
    return _Straight.apply(x, lambda z, _: _sim4(z), None)


def hadamard(n, device):
    h = torch.ones(1, 1, device=device)
    while h.shape[0] < n:
        h = torch.cat([torch.cat([h, h], 1), torch.cat([h, -h], 1)], 0)
    return h / n**0.5


class fast:
    """The table the model calls; class attributes so that a kernel can take an entry's place."""

    rms, rope, hc_mix, hc_collapse, hc_expand = map(staticmethod, (rms, rope, hc_mix, hc_collapse, hc_expand))
    sinkhorn, expert_act, sink_softmax = map(staticmethod, (sinkhorn, expert_act, sink_softmax))
