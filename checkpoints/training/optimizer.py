"""Muon for the matrices, AdamW for the rest, and the weight rounding of quantisation-aware training.

Masters are float32. With `qat` on, the live weights are the masters rounded to what the checkpoint stores, so gradients
are taken at the stored values (straight-through).
"""
import torch

import ops
from attention import COMPUTE

FP8 = ("wq_a", "wq_b", "attn.wkv", "wo_a", "wo_b", "s1", "s2", "s3", "e_proj", "h_proj")
ADAM = ("embed", "head", "weights_proj", "gate", "fn", "ape")


def stored_as(name):
    """fp4, fp8 or bf16 for a matrix of the model by its parameter name (model.md 2.1)."""
    if name.endswith(("ffn.w1", "ffn.w2", "ffn.w3")):
        return "fp4"
    return "fp8" if name.endswith(FP8) and "compressor" not in name else "bf16"


def round_stored(w, kind):
    """Values of w [..., rows, cols] float32 on the grid of its stored type."""
    if kind == "fp4":
        y = w.unflatten(-1, (-1, 32))
        s = torch.exp2(torch.ceil(torch.log2(y.abs().amax(-1, keepdim=True).clamp(min=1e-30) / 6)))
        return (ops.round_e2m1(y / s) * s).flatten(-2)
    if kind == "fp8":
        r, c = w.shape[-2:]
        y = w.unflatten(-1, (-1, min(128, c))).unflatten(-3, (-1, min(128, r)))  # [..., R, r, C, c]
        s = torch.exp2(torch.ceil(torch.log2(y.abs().amax((-3, -1), keepdim=True).clamp(min=1e-30) / 448)))
        return (ops.round_e4m3(y / s) * s).reshape(w.shape)
    return w.to(torch.bfloat16).float()


def orthogonalise(g):
    """Five quintic Newton-Schulz steps: about the nearest semi-orthogonal matrix, batched over leading dims."""
    x = g.to(COMPUTE)
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    tall = x.shape[-2] > x.shape[-1]
    x = x.transpose(-1, -2) if tall else x
    for _ in range(5):
        a = x @ x.transpose(-1, -2)
        x = 3.4445 * x + (-4.7750 * a + 2.0315 * (a @ a)) @ x
    return (x.transpose(-1, -2) if tall else x).float()


class Optimizer:
    def __init__(self, model, adam_lr):
        groups, rest = {}, []
        for name, p in model.named_parameters():
            if p.dtype == COMPUTE and p.dim() >= 2 and not name.endswith(ADAM):
                groups.setdefault((tuple(p.shape), stored_as(name)), []).append(p)
            else:
                rest.append((name, p))
        self.groups = []
        for (_, kind), ps in groups.items():
            master = torch.stack([p.data.float() for p in ps])
            self.groups.append({"ps": ps, "kind": kind, "master": master, "moment": torch.zeros_like(master)})
        self.rest = [p for _, p in rest]
        tables = [p for name, p in rest if name in ("embed", "head")]
        others = [p for name, p in rest if name not in ("embed", "head")]
        sets = [{"params": tables, "weight_decay": 0.01}, {"params": others, "weight_decay": 0.0}]
        more = {"fused": True} if torch.cuda.is_available() else {}
        self.adam = torch.optim.AdamW(sets, lr=adam_lr, betas=(0.9, 0.95), eps=1e-8, **more)

    @torch.no_grad()
    def publish(self, qat):
        """Masters to live weights."""
        for g in self.groups:
            w = round_stored(g["master"], g["kind"]) if qat and g["kind"] != "bf16" else g["master"]
            for p, x in zip(g["ps"], w.to(COMPUTE).unbind(0)):
                p.data.copy_(x)

    @torch.no_grad()
    def step(self, lr, adam_lr, momentum, qat):
        torch.nn.utils.clip_grad_norm_(self.rest, 1.0)
        for group in self.adam.param_groups:
            group["lr"] = adam_lr
        self.adam.step()
        for g in self.groups:
            grad = torch.stack([p.grad for p in g["ps"]]).float()
            g["moment"].mul_(momentum).add_(grad, alpha=1 - momentum)
            u = grad * (1 - momentum) + g["moment"] * momentum
            u = orthogonalise(u.flatten(0, -3)).view_as(u)
            g["master"].mul_(1 - lr * 0.05).add_(u, alpha=-lr * max(1.0, u.shape[-2] / u.shape[-1]) ** 0.5)
        self.publish(qat)


@torch.no_grad()
def round_model(model):
    """Rounds every parameter in place to the value that the exported checkpoint will hold."""
    float32 = ("_fn", "_base", "_scale", "ape", "attn_sink")
    for name, p in model.named_parameters():
        if not name.endswith(float32):
            kind = stored_as(name) if p.dim() >= 2 else "bf16"
            p.data.copy_(round_stored(p.data.float(), kind))
