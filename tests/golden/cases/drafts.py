"""Cases of the operations that only drafting needs (spec 5.4)."""
import torch

from reference import attention
from reference import safetensors_io as st

from .book import STRICT, TRUE, Maker, bf16_check, close, i64, prefixed, with_true


def add_all(book):
    """Every case of this module."""
    stream_means(book)
    markov_biases(book)
    block_attention(book)


def stream_means(book):
    for seed, (tokens, streams, dim) in enumerate([(5, 4, 72), (3, 2, 33), (2, 3, 40)]):
        h = Maker(900 + seed).heavy(tokens, streams, dim, std=2.0)
        strict, true = (arith.bf(arith.total(h, 1) / streams) for arith in (STRICT, TRUE))
        book.add("stream_mean", f"{tokens}x{streams}x{dim}", {}, {"h": st.stored_bf16(h)}, with_true(strict, true, bf16_check(strict)))


def markov_biases(book):
    for seed, (vocab, rank, previous, kind) in enumerate([(59, 11, 0, "bf16"), (129, 64, 128, "bf16"), (31, 7, 5, "f32")]):
        maker = Maker(910 + seed)
        logits = maker.normal(vocab, std=3.0)
        w1, first = maker.matrix(kind, vocab, rank, 1.0)
        w2, second = maker.matrix(kind, vocab, rank)
        y = logits.double() + w2.exact(TRUE, w1.weight[previous:previous + 1])[0]
        book.add("markov_bias", f"{vocab}x{rank}", {"previous": previous},
                 {"logits": st.stored_f32(logits), **prefixed("w1", first), **prefixed("w2", second)},
                 {"y": (st.stored_f32(y.float()), close(1e-5))})


def block_attention(book):
    # label, first position of the block, its rows, H, D, window
    settings = [("odd", 60, 5, 3, 40, 24), ("start", 1, 4, 2, 40, 24), ("edge", 24, 5, 2, 24, 24), ("one", 30, 1, 2, 40, 8),
                ("real", 140, 5, 2, 512, 128)]
    for seed, (label, first, count, heads, dim, window) in enumerate(settings):
        maker = Maker(920 + seed)
        q, raw = maker.bf16(count, heads, dim, std=2.0), maker.bf16(first + count, dim)
        logits = torch.einsum("thd,kd->thk", q.double(), raw.double()) * dim**-0.5  # as for sink_attention
        sink = (logits.amax(dim=(0, 2)) - 1.0 + maker.normal(heads)).float()
        rows = raw[max(0, first - window):]
        parts = [(rows, torch.ones(count, rows.shape[0], dtype=torch.bool))]
        strict, true = (attention.sink_attention(arith, q, parts, sink, dim**-0.5) for arith in (STRICT, TRUE))
        check = {"rtol": 2.0**-7, "atol": 4e-3 * float(strict.abs().max()), "unequal": 1.0, "outside": 0.0, "outlier": 0.0}
        book.add("block_attention", label, {"window": window},
                 {"q": st.stored_bf16(q), "raw": st.stored_bf16(raw), "first": i64(torch.tensor([first])), "sink": st.stored_f32(sink)},
                 with_true(strict, true, check))
