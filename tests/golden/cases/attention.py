"""Cases of the compressor, the indexer, sink attention and the output projection (spec 3.4 to 3.6)."""
import torch

from reference import attention, formats, rope
from reference import safetensors_io as st
from reference.arith import Arith

from .book import EXACT, STRICT, TRUE, Maker, bf16_check, chained_check, close, i64, prefixed, with_true
from .mixing import YARN

KV_BF16 = Arith("reference", kv_dtype="bf16")
INDEX_BF16 = Arith("reference", index_dtype="bf16")


def add_all(book):
    """Every case of this module."""
    compressors(book)
    index_queries(book)
    scores(book)
    selections(book)
    sink_attention(book)
    outputs(book)


def rows_of(arith, kv, score, ape, norm, ratio, freqs, index):
    """Pooled values and finished rows."""
    pooled = attention.pool(arith, kv.to(arith.dtype), attention.add_ape(arith, score.to(arith.dtype), ape), ratio)
    return pooled, attention.finish_rows(arith, pooled, norm, 0, ratio, freqs, 1e-6, index)


def compressors(book):
    # label, ratio, D, rope dims, tokens, indexer keys?
    settings = [("csa_odd", 4, 40, 8, 23, False), ("csa_three", 4, 40, 8, 3, False), ("csa_index", 4, 16, 8, 41, True),
                ("csa_real", 4, 512, 64, 9, False), ("csa_index_real", 4, 128, 64, 12, True), ("csa_long", 4, 24, 8, 130, False),
                ("hca_odd", 128, 40, 8, 300, False), ("hca_short", 128, 24, 4, 127, False), ("hca_real", 128, 512, 64, 131, False)]
    for seed, (label, ratio, dim, rope_dim, tokens, index) in enumerate(settings):
        maker = Maker(600 + seed)
        width = 2 * dim if ratio == 4 else dim
        # The projections are stored on the BF16 grid to keep the files small; the operation takes any float32.
        kv, score = maker.heavy(tokens, width), maker.bf16(tokens, width, std=3.0)
        ape, norm = maker.normal(ratio, width, std=2.0), maker.gain(dim)
        if label == "hca_real":
            ape = formats.bf16(ape)
        freqs = rope.frequencies(rope_dim, 160000, YARN)
        params = {"ratio": ratio, "dim": dim, "rope_dim": rope_dim, "theta": 160000, "scaling": YARN, "eps": 1e-6,
                  "indexer": index, "chunks": [[tokens], [1] * tokens, chunked(tokens, 7), chunked(tokens, 3)]}
        inputs = {"kv": st.stored_bf16(kv), "score": st.stored_bf16(score),
                  "ape": st.stored_bf16(ape) if label == "hca_real" else st.stored_f32(ape),
                  "norm": st.stored_bf16(norm), "freqs": st.stored_f32(freqs)}
        pooled, rows = rows_of(STRICT, kv, score, ape, norm, ratio, freqs, index)
        plain = rows_of(INDEX_BF16 if index else KV_BF16, kv, score, ape, norm, ratio, freqs, index)[1]
        true = rows_of(TRUE, kv, score, ape, norm, ratio, freqs, index)[1]
        if not pooled.numel():
            book.add("compressor", label, params, inputs, {"rows": (st.stored_bf16(rows), EXACT)})
            continue
        largest = float(rows.abs().max())
        book.add("compressor", label, params, inputs, {
            "pooled": (st.stored_f32(pooled), close(1e-5)),
            "rows": (st.stored_bf16(rows), chained_check(rows, 0.3 * largest if index else 0.1 * largest)),
            "rows_bf16": (st.stored_bf16(plain), chained_check(plain, 0.02 * largest)),
            "rows_true": (st.stored_bf16(formats.bf16(true)), close(1e-2))})


def chunked(tokens, size):
    """Chunk lengths that cover the tokens."""
    return [size] * (tokens // size) + ([tokens % size] if tokens % size else [])


def index_queries(book):
    for seed, (tokens, heads, dim, rope_dim) in enumerate([(5, 3, 16, 8), (3, 4, 128, 64)]):
        maker = Maker(700 + seed)
        iq, freqs = maker.heavy(tokens, heads, dim), rope.frequencies(rope_dim, 160000, YARN)
        positions = maker.integers(70000, tokens)
        strict = attention.index_query(STRICT, iq, positions, freqs)
        plain = attention.index_query(INDEX_BF16, iq, positions, freqs)
        largest = float(strict.abs().max())
        book.add("index_query", f"{tokens}x{heads}x{dim}", {"rope_dim": rope_dim, "theta": 160000, "scaling": YARN},
                 {"iq": st.stored_bf16(iq), "positions": i64(positions), "freqs": st.stored_f32(freqs)},
                 {"y": (st.stored_bf16(strict), chained_check(strict, 0.3 * largest)),
                  "y_bf16": (st.stored_bf16(plain), chained_check(plain, 0.02 * largest))})
        projected = maker.bf16(tokens, heads, std=2.0)
        book.add("index_weights", f"{tokens}x{heads}x{dim}", {"heads": heads, "dim": dim}, {"projected": st.stored_bf16(projected)},
                 {"y": (st.stored_bf16(attention.index_weights(STRICT, projected, heads, dim)), EXACT)})


def scores(book):
    for seed, (tokens, heads, dim, rows) in enumerate([(4, 3, 16, 37), (3, 4, 128, 70), (2, 64, 32, 20)]):
        maker = Maker(720 + seed)
        iq, keys = formats.sim4(maker.bf16(tokens, heads, dim)), formats.sim4(maker.bf16(rows, dim))
        weights = formats.bf16(maker.normal(tokens, heads) * (dim * heads) ** -0.5)
        strict = attention.index_scores(STRICT, iq, keys, weights)
        true = attention.index_scores(TRUE, iq.double(), keys.double(), weights.double())
        book.add("index_scores", f"{tokens}x{heads}x{dim}x{rows}", {},
                 {"iq": st.stored_bf16(iq), "keys": st.stored_bf16(keys), "weights": st.stored_bf16(weights)},
                 with_true(strict, true, bf16_check(strict, 0.05)))


def selections(book):
    for seed, (tokens, rows, k) in enumerate([(9, 40, 8), (6, 33, 16), (4, 300, 64), (3, 5, 8)]):
        maker = Maker(740 + seed)
        values = maker.bf16(tokens, rows)
        if seed % 2 == 0:  # coarse grid: many exact ties, also across the selection boundary
            values = torch.round(values * 2) / 2
        visible = maker.integers(rows + 1, tokens)
        visible[0], visible[-1] = 0, rows
        chosen, valid = attention.index_select(values, visible, k)
        ids = torch.where(valid, chosen, torch.full_like(chosen, rows)).sort(-1)[0]
        ids = torch.where(ids == rows, torch.full_like(ids, -1), ids)
        book.add("index_select", f"{tokens}x{rows}k{k}", {"k": k}, {"scores": st.stored_f32(values), "visible": i64(visible)},
                 {"ids": (i64(ids), EXACT)})


def sink_attention(book):
    # label, T, H, D, raw rows, window, compressed rows, selected per query (0: all visible), ratio
    settings = [("swa", 9, 3, 40, 30, 24, 0, 0, 0), ("csa", 7, 2, 40, 60, 24, 15, 5, 4), ("hca", 6, 3, 24, 300, 24, 2, 0, 128),
                ("start", 5, 2, 40, 5, 8, 1, 1, 4), ("real_csa", 3, 2, 512, 130, 128, 32, 16, 4), ("real_hca", 2, 4, 512, 128, 128, 1, 0, 128)]
    for seed, (label, tokens, heads, dim, raw_rows, window, rows, k, ratio) in enumerate(settings):
        maker = Maker(760 + seed)
        q = maker.bf16(tokens, heads, dim, std=2.0)
        raw, compressed = maker.bf16(raw_rows, dim), maker.bf16(rows, dim)
        scale = dim**-0.5
        positions = torch.arange(raw_rows - tokens, raw_rows)
        back = positions[:, None] - torch.arange(raw_rows)[None, :]
        mask = (back >= 0) & (back < window)
        # In float64: the last bits of float32 sums hang on the machine, and this is an input.
        logits = torch.einsum("thd,kd->thk", q.double(), raw.double()) * scale
        sink = (logits.amax(dim=(0, 2)) - 1.0 + maker.normal(heads)).float()
        parts = [(raw, mask)]
        inputs = {"q": st.stored_bf16(q), "raw": st.stored_bf16(raw), "positions": i64(positions), "sink": st.stored_f32(sink)}
        if rows:
            visible = torch.clamp((positions + 1) // ratio, max=rows)
            inputs["compressed"], inputs["visible"] = st.stored_bf16(compressed), i64(visible)
            if k:
                chosen, valid = attention.index_select(maker.normal(tokens, rows), visible, k)
                ids = torch.where(valid, chosen, torch.full_like(chosen, -1))
                inputs["ids"] = i64(ids)
                parts.append((compressed[chosen], valid))
            else:
                parts.append((compressed, torch.arange(rows)[None, :] < visible[:, None]))
        strict = attention.sink_attention(STRICT, q, parts, sink, scale)
        true = attention.sink_attention(TRUE, q, parts, sink, scale)
        # P is rounded to BF16 before the sum, so an engine that walks blocks with a running maximum differs by about 2^-9.
        check = {"rtol": 2.0**-7, "atol": 4e-3 * float(strict.abs().max()), "unequal": 1.0, "outside": 0.0, "outlier": 0.0}
        book.add("sink_attention", label, {"window": window, "ratio": ratio, "scale": scale}, inputs,
                 with_true(strict, true, check))


def outputs(book):
    settings = [("odd_fp8", 5, 4, 40, 2, 20, 72, "fp8"), ("odd_bf16", 3, 6, 24, 3, 12, 44, "bf16"), ("real", 2, 2, 512, 1, 32, 64, "fp8")]
    for seed, (label, tokens, heads, dim, groups, rank, hidden, kind) in enumerate(settings):
        maker = Maker(780 + seed)
        o = maker.heavy(tokens, heads, dim)
        wo_a, a_tensors = maker.matrix(kind, groups * rank, heads // groups * dim)
        wo_b, b_tensors = maker.matrix(kind, hidden, groups * rank)
        strict = attention.grouped_output(STRICT, o, wo_a, wo_b, groups)
        true = attention.grouped_output(TRUE, o, wo_a, wo_b, groups)
        book.add("grouped_output", label, {"groups": groups},
                 {"o": st.stored_bf16(o), **prefixed("wo_a", a_tensors), **prefixed("wo_b", b_tensors)},
                 with_true(strict, true, chained_check(strict, 0.05 * float(strict.abs().max()))))
