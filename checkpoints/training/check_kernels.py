"""Compares each Triton kernel with its plain definition on the same inputs, forward and backward, and
puts those that agree into ops.fast. Run alone it prints a table:  python3 check_kernels.py"""
import torch

import ops


def _cases():
    """name -> (inputs that need gradients, fixed arguments); bfloat16 activations and float32 parameters as in training."""
    r = lambda *s, dtype=torch.bfloat16: torch.randn(*s, device="cuda", dtype=dtype)
    f = torch.float32
    angle = torch.rand(1, 256, 32, device="cuda") * 6
    w = torch.rand(300, 9, device="cuda") * (torch.rand(300, 9, device="cuda") < 0.4)
    place = torch.arange(256, device="cuda")[:, None]
    visible = (torch.arange(40, device="cuda")[None] < (place + 1) // 6)[None].view(1, 2, 1, 128, 40)
    per_row = (visible & (torch.rand(3, 2, 1, 128, 40, device="cuda") < 0.5)).contiguous()
    soft = lambda v: ((r(3, 2, 4, 128, 256) * 4, r(3, 2, 4, 128, 40) * 4, r(4, dtype=f)), (v, 0.3))
    return {
        "rms": [((r(77, 5, 128), r(128, dtype=f)), ()), ((r(77, 256),), ())],
        "rope": [((r(3, 256, 4, 128),), (angle.cos(), angle.sin()))],
        "hc_mix": [((r(301, 4, 256), r(24, 1024, dtype=f) * 0.05), ())],
        "hc_collapse": [((r(301, 4, 256), torch.rand(301, 4, device="cuda"), r(256, dtype=f)), ())],
        "hc_expand": [((r(301, 4, 256), r(301, 256), r(301, 4, dtype=f), r(301, 4, 4, dtype=f)), ())],
        "sinkhorn": [((r(1000, 4, 4, dtype=f) * 2,), (20,))],
        "expert_act": [((r(300, 9, 128) * 6, r(300, 9, 128) * 6, w), (10.0, s)) for s in (False, True)],
        "sink_softmax": [soft(visible), soft(per_row), ((r(3, 2, 4, 128, 256) * 4, None, r(4, dtype=f)), (None, 0.3))],
    }


def _run(fn, inputs, fixed, seed):
    leaves = [None if t is None else t.detach().clone().requires_grad_() for t in inputs]
    out = [t for t in (lambda o: o if isinstance(o, tuple) else (o,))(fn(*leaves, *fixed)) if t is not None]
    g = torch.Generator(device="cuda").manual_seed(seed)
    weights = [torch.randn(t.shape, generator=g, device="cuda", dtype=torch.float32) for t in out]
    sum((t.float() * w).sum() for t, w in zip(out, weights)).backward()
    return [t.detach() for t in out] + [t.grad for t in leaves if t is not None]


def _error(name, mine, reference, inputs):
    worst = 0.0
    for k, (a, b) in enumerate(zip(mine, reference)):
        if name == "expert_act" and k == 3:  # gradient of the route weight counts only where an expert is routed
            a, b = a * (inputs[2] != 0), b * (inputs[2] != 0)
        worst = max(worst, ((a.double() - b.double()).norm() / (b.double().norm() + 1e-12)).item())
    return worst


def use_kernels(log=print, tolerance=1e-2):
    """Puts every kernel that agrees with its definition into ops.fast; returns the names of those left out."""
    import kernels
    import kernels_moe

    torch.manual_seed(1)
    left = []
    for name, cases in _cases().items():
        kernel = getattr(kernels, name, None) or getattr(kernels_moe, name)
        try:
            errors = [
                _error(name, _run(kernel, i, a, 5), _run(getattr(ops, name), i, a, 5), i) for i, a in cases
            ]
            good = all(e < tolerance for e in errors)  # NaN compares false
        except Exception as problem:  # a kernel that does not compile must not stop the training
            errors, good = repr(problem)[:600], False
        log(f"kernel {name}: {'ok' if good else 'NOT USED'} {errors}")
        if good:
            setattr(ops.fast, name, staticmethod(kernel))
        else:
            left.append(name)
    return left


if __name__ == "__main__":
    use_kernels()
