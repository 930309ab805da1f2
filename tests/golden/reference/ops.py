"""Small operations shared by all parts: norms, linears, Hadamard, top-k, hyper-connection mixing (spec 3.0, 3.2, 3.8)."""
import torch


def rsqrt(arith, mean, eps):
    """1/sqrt(mean + eps), the addition in the working type."""
    return arith.fn(torch.rsqrt, mean + torch.tensor(eps, dtype=arith.dtype))


def mean_square(arith, x):
    """Mean of squares over the last dim, kept as a dim of size 1."""
    return arith.settle((x.double() ** 2).sum(-1, keepdim=True)) / x.shape[-1]


def rms(arith, x, gain, eps=1e-6):
    """RMSNorm with one rounding, after the gain."""
    x = x.to(arith.dtype)
    return arith.bf(gain.to(arith.dtype) * (x * rsqrt(arith, mean_square(arith, x), eps)))


def q_head_norm(arith, q, eps=1e-6):
    """Gainless norm of each query head; strict form in BF16 arithmetic (spec 3.4 step 2)."""
    squares = arith.bf(q * q)
    mean = arith.bf(arith.total(squares, -1, keepdim=True) / q.shape[-1])
    shifted = arith.bf(mean + torch.tensor(eps, dtype=arith.dtype))
    return arith.bf(q * arith.bf(arith.fn(torch.rsqrt, shifted)))


class Linear:
    """A weight matrix [out, in] in float64 and whether its stored type asks for activation quantisation."""

    def __init__(self, weight, quantised):
        self.weight = weight.double()
        self.quantised = quantised

    def __call__(self, arith, x):
        """L8 / L4 / LB: BF16 result."""
        return arith.bf(self.exact(arith, arith.act8(x) if self.quantised else x))

    def exact(self, arith, x):
        """LF: no activation quantisation and no BF16 rounding of the result."""
        return arith.matmul(x, self.weight.t())


def hadamard(arith, x):
    """H x with the Sylvester matrix over sqrt(n), natural order; n must be a power of two."""
    n = x.shape[-1]
    if n & (n - 1):
        raise ValueError(f"Hadamard needs a power of two, got {n}")
    y = x.double()
    step = 1
    while step < n:
        y = y.reshape(*x.shape[:-1], n // (2 * step), 2, step)
        y = torch.stack((y[..., 0, :] + y[..., 1, :], y[..., 0, :] - y[..., 1, :]), dim=-2)
        y = y.reshape(x.shape)
        step *= 2
    return arith.bf(arith.settle(y * n**-0.5)) if "no_hadamard" not in arith.faults else x


def top_k(values, k):
    """Indices of the k largest along the last dim, best first; equal values: lowest index first."""
    return torch.sort(values, dim=-1, descending=True, stable=True)[1][..., :k]


def sigmoid(arith, x):
    """Logistic function."""
    return arith.fn(torch.sigmoid, x)


def hc_mix(arith, h, fn, base, scale, iterations, eps=1e-6, norm_eps=1e-6):
    """Hyper-connection coefficients of h [T, n, d]: pre [T, n], post [T, n], comb [T, n source, n destination]."""
    n = h.shape[1]
    v = h.flatten(1)
    m = arith.matmul(v, fn.t()) * rsqrt(arith, mean_square(arith, v), norm_eps)
    base, scale = base.to(arith.dtype), scale.to(arith.dtype)
    eps = torch.tensor(eps, dtype=arith.dtype)
    pre = sigmoid(arith, m[:, :n] * scale[0] + base[:n]) + eps
    post = 2 * sigmoid(arith, m[:, n:2 * n] * scale[1] + base[n:2 * n])
    comb = (m[:, 2 * n:] * scale[2] + base[2 * n:]).reshape(-1, n, n)
    comb = arith.fn(torch.exp, comb - comb.amax(-1, keepdim=True))
    comb = comb / arith.total(comb, -1, keepdim=True) + eps
    comb = comb / (arith.total(comb, -2, keepdim=True) + eps)
    for _ in range((1 if "sinkhorn_1" in arith.faults else iterations) - 1):
        comb = comb / (arith.total(comb, -1, keepdim=True) + eps)
        comb = comb / (arith.total(comb, -2, keepdim=True) + eps)
    if "hc_transposed" in arith.faults:
        comb = comb.transpose(-1, -2)
    return pre, post, comb


def hc_reduce(arith, h, pre):
    """Sublayer input: weighted sum of the streams."""
    return arith.bf(arith.total(h.double() * pre.double()[..., None], -2))


def hc_expand(arith, y, h, post, comb):
    """Stream update: new h[k] = post[k] * y + sum over sources j of comb[j][k] * h[j]."""
    mixed = torch.einsum("tjk,tjd->tkd", comb.double(), h.double())
    return arith.bf(arith.settle(post.double()[..., None] * y.double()[:, None, :] + mixed))


def hc_head(arith, h, fn, base, scale, eps=1e-6, norm_eps=1e-6):
    """Final mix of the streams: sigmoid weights only."""
    v = h.flatten(1)
    m = arith.matmul(v, fn.t()) * rsqrt(arith, mean_square(arith, v), norm_eps)
    pre = sigmoid(arith, m * scale.to(arith.dtype)[0] + base.to(arith.dtype)) + torch.tensor(eps, dtype=arith.dtype)
    return hc_reduce(arith, h, pre)
