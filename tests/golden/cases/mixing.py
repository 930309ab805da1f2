"""Cases of hyper-connections and RoPE (spec 3.2, 3.3, 3.8)."""
import torch

from reference import ops, rope
from reference import safetensors_io as st

from .book import EXACT, STRICT, TRUE, Maker, bf16_check, close, i64, with_true

YARN = {"type": "yarn", "factor": 16, "original_max_position_embeddings": 65536, "beta_fast": 32, "beta_slow": 1}
POSITIONS = [0, 1, 127, 65535, 65536, 200000, 1048575]


def add_all(book):
    """Every case of this module."""
    hyper_connections(book)
    ropes(book)


def hyper_connections(book):
    for seed, (tokens, n, dim, iterations) in enumerate([(5, 4, 72, 20), (3, 4, 33, 20), (2, 4, 256, 20), (3, 2, 40, 3)]):
        maker = Maker(400 + seed)
        mixes = 2 * n + n * n
        h = maker.heavy(tokens, n, dim, std=2.0)
        fn = maker.normal(mixes, n * dim, std=2.0 * (n * dim) ** -0.5)
        base, scale = maker.normal(mixes), 0.5 + maker.uniform(3)
        label = f"{tokens}x{n}x{dim}"
        params = {"hc_mult": n, "iterations": iterations, "hc_eps": 1e-6, "norm_eps": 1e-6}
        pre, post, comb = ops.hc_mix(STRICT, h, fn, base, scale, iterations)
        book.add("hc_mix", label, params,
                 {"h": st.stored_bf16(h), "fn": st.stored_f32(fn), "base": st.stored_f32(base), "scale": st.stored_f32(scale)},
                 {"pre": (st.stored_f32(pre), close(5e-6)), "post": (st.stored_f32(post), close(5e-6)),
                  "comb": (st.stored_f32(comb), close(1e-5))})
        x = ops.hc_reduce(STRICT, h, pre)
        book.add("hc_reduce", label, {}, {"h": st.stored_bf16(h), "pre": st.stored_f32(pre)},
                 with_true(x, ops.hc_reduce(TRUE, h, pre), bf16_check(x)))
        y = maker.heavy(tokens, dim)
        out = ops.hc_expand(STRICT, y, h, post, comb)
        book.add("hc_expand", label, {},
                 {"y": st.stored_bf16(y), "h": st.stored_bf16(h), "post": st.stored_f32(post), "comb": st.stored_f32(comb)},
                 {"out": (st.stored_bf16(out), bf16_check(out))})
        head_fn, head_base, head_scale = maker.normal(n, n * dim, std=(n * dim) ** -0.5), maker.normal(n), maker.uniform(1) + 0.5
        strict = ops.hc_head(STRICT, h, head_fn, head_base, head_scale)
        true = ops.hc_head(TRUE, h, head_fn, head_base, head_scale)
        book.add("hc_head", label, {"hc_mult": n, "hc_eps": 1e-6, "norm_eps": 1e-6},
                 {"h": st.stored_bf16(h), "fn": st.stored_f32(head_fn), "base": st.stored_f32(head_base),
                  "scale": st.stored_f32(head_scale)}, with_true(strict, true, bf16_check(strict)))


def ropes(book):
    settings = [("plain64", 64, 10000, None), ("yarn64", 64, 160000, YARN), ("plain8", 8, 10000, None), ("yarn8", 8, 160000, YARN),
                ("yarn32", 32, 160000, YARN)]
    positions = torch.tensor(POSITIONS)
    for seed, (label, rope_dim, theta, scaling) in enumerate(settings):
        maker = Maker(500 + seed)
        freqs = rope.frequencies(rope_dim, theta, scaling)
        params = {"rope_dim": rope_dim, "theta": theta, "scaling": scaling}
        if scaling:
            params["low"], params["high"] = rope.yarn_range(rope_dim, theta, scaling)
        book.add("rope_frequencies", label, params, {}, {"freqs": (st.stored_f32(freqs), EXACT)})
        for heads, dim in ((2, rope_dim + 32), (1, rope_dim + 5)):
            x = maker.heavy(len(POSITIONS), heads, dim)
            for inverse in (False, True):
                strict = rope.rotate(STRICT, x, positions, freqs, inverse)
                true = rope.rotate(TRUE, x.double(), positions, freqs, inverse)
                book.add("rope", f"{label}_{heads}x{dim}{'_inverse' if inverse else ''}", {**params, "inverse": inverse},
                         {"x": st.stored_bf16(x), "positions": i64(positions), "freqs": st.stored_f32(freqs)},
                         with_true(strict, true, bf16_check(strict)))
