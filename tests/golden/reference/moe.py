"""Routing and expert computation (spec 3.7)."""
import torch

from . import ops


def route_scores(arith, logits):
    """sqrt(softplus(logits)), softplus being the identity above 20."""
    soft = arith.fn(lambda v: torch.where(v > 20, v, torch.log1p(torch.exp(torch.clamp(v, max=20)))), logits)
    return soft if "no_sqrt" in arith.faults else arith.fn(torch.sqrt, soft)


def route_select(arith, scores, bias, k):
    """Expert ids [T, k] by biased score, best first, ties to the lowest id."""
    return ops.top_k(scores + bias.to(arith.dtype), k)


def route_weights(arith, scores, ids, factor, normalise=True, bias=None):
    """Weights of the chosen experts from their unbiased scores; duplicates count twice in the normaliser."""
    if "bias_in_weights" in arith.faults and bias is not None:
        scores = scores + bias.to(arith.dtype)
    chosen = torch.gather(scores, 1, ids)
    if normalise:
        chosen = chosen / arith.total(chosen, -1, keepdim=True)
    return chosen * torch.tensor(factor, dtype=arith.dtype)


class Expert:
    """Three matrices of one gated expert."""

    def __init__(self, w1, w2, w3):
        self.w1, self.w2, self.w3 = w1, w2, w3

    def __call__(self, arith, x, weight, limit):
        """weight [T] multiplies before w2; limit None leaves the activations unclamped."""
        a = swiglu(arith, self.w1(arith, x), self.w3(arith, x), limit)
        if "route_weight_after_w2" in arith.faults:
            return self.w2(arith, arith.bf(a)) * weight[:, None]
        return self.w2(arith, arith.bf(weight[:, None] * a))


def swiglu(arith, gate, up, limit):
    """silu(min(gate, limit)) * clamp(up, -limit, limit), not rounded to BF16."""
    if limit is not None:
        gate = torch.clamp(gate, max=limit)
        up = torch.clamp(up, -limit, limit)
    return arith.fn(lambda v: v * torch.sigmoid(v), gate) * up


def combine(arith, x, ids, weights, experts, shared, limit):
    """Sum of the routed experts' outputs and the shared expert's, rounded once."""
    routed_limit = None if "no_routed_clamp" in arith.faults else limit
    shared_limit = None if "no_shared_clamp" in arith.faults else limit
    one = torch.ones(x.shape[0], dtype=arith.dtype)
    total = shared(arith, x, one, shared_limit).double()
    for expert in range(len(experts)):
        token, slot = torch.where(ids == expert)
        if token.numel():
            y = experts[expert](arith, x[token], weights[token, slot], routed_limit)
            total.index_add_(0, token, y.double())
    return arith.bf(arith.settle(total))
