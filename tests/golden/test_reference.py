"""Checks of the reference itself by other means than its own formulas; run with `python3 -m unittest test_reference`."""
import math
import os
import sys
import unittest

import numpy as np
import torch

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from reference import attention, formats, moe, ops, rope  # noqa: E402
from reference import safetensors_io as st  # noqa: E402
from reference.arith import Arith  # noqa: E402

YARN = {"type": "yarn", "factor": 16, "original_max_position_embeddings": 65536, "beta_fast": 32, "beta_slow": 1}


def nearest_even(x, magnitudes):
    """Exhaustive nearest code in float64; ties to the even index (code 0, 2, 4, ...)."""
    distance = np.abs(np.abs(x.astype(np.float64))[:, None] - magnitudes[None, :])
    best = distance.min(1, keepdims=True)
    tied = distance == best
    even = tied & (np.arange(magnitudes.size) % 2 == 0)
    pick = np.where(even.any(1), even.argmax(1), tied.argmax(1))
    return np.copysign(magnitudes[pick], x)


class Formats(unittest.TestCase):
    def test_rounding_equals_exhaustive_search(self):
        rng = np.random.default_rng(0)
        e4m3 = formats.E4M3_TABLE[:127].astype(np.float64)
        e2m1 = formats.E2M1_TABLE[:8].astype(np.float64)
        for grid, rounder in ((e4m3, formats.e4m3_rne), (e2m1, formats.e2m1_rne)):
            middles = (grid[1:] + grid[:-1]) / 2
            values = np.concatenate([grid, middles, np.nextafter(middles.astype(np.float32), np.float32(0)),
                                     np.nextafter(middles.astype(np.float32), np.float32(1e9)),
                                     rng.uniform(0, grid[-1], 20000), np.exp2(rng.uniform(-14, np.log2(grid[-1]), 20000))])
            values = np.concatenate([values, -values]).astype(np.float32)
            got = rounder(torch.from_numpy(values)).numpy()
            self.assertTrue(np.array_equal(got, nearest_even(values, grid)))

    def test_scale_is_smallest_sufficient_power_of_two(self):
        rng = np.random.default_rng(1)
        amax = np.exp2(rng.uniform(-13, 60, 20000)).astype(np.float32)
        amax[:60] = 448.0 * np.exp2(np.arange(-15, 45))
        amax = np.maximum(amax, np.float32(1e-4))
        for limit in (448, 6):
            t = (amax * np.float32(1 / limit)).astype(np.float32)
            scale = formats.ceil_pow2(torch.from_numpy(t)).numpy().astype(np.float64)
            self.assertTrue((scale >= t).all() and (scale / 2 < t).all())
            self.assertTrue((np.frexp(scale)[0] == 0.5).all())

    def test_short_last_block_equals_separate_quantisation(self):
        x = formats.bf16(torch.randn(3, 200, generator=torch.Generator().manual_seed(2)))
        whole = formats.sim8(x, 64)
        parts = torch.cat([formats.sim8(x[:, a:b].clone(), b - a) for a, b in ((0, 64), (64, 128), (128, 192), (192, 200))], 1)
        self.assertTrue(torch.equal(whole, parts))

    def test_fp8_times_scale_is_bf16_exact(self):
        x = torch.randn(50, 128, generator=torch.Generator().manual_seed(3)) * 37
        self.assertTrue(torch.equal(formats.q8(x, 64)[2], formats.sim8(x, 64)))

    def test_codes_round_trip(self):
        for table, encode in ((formats.E4M3_TABLE, formats.e4m3_codes), (formats.E2M1_TABLE, formats.e2m1_codes)):
            codes = np.arange(table.size, dtype=np.uint8)
            keep = ~np.isnan(table)
            self.assertTrue(np.array_equal(encode(table[keep]), codes[keep]))
        codes = np.arange(255, dtype=np.uint8)
        self.assertTrue(np.array_equal(formats.e8m0_codes(formats.E8M0_TABLE[:255].astype(np.float64)), codes))
        nibbles = np.arange(16, dtype=np.uint8)[None]
        self.assertTrue(np.array_equal(formats.unpack_fp4(formats.pack_fp4(nibbles)), nibbles))
        self.assertEqual(formats.pack_fp4(np.array([[3, 12]], np.uint8))[0, 0], 3 | 12 << 4)

    def test_known_values(self):
        for code, value in ((0x7E, 448.0), (0x01, 2.0**-9), (0x38, 1.0), (0xB8, -1.0), (0x08, 2.0**-6)):
            self.assertEqual(formats.E4M3_TABLE[code], value)
        self.assertTrue(np.isnan(formats.E4M3_TABLE[[0x7F, 0xFF]]).all())
        self.assertEqual(formats.E8M0_TABLE[127], 1.0)
        self.assertEqual(formats.E8M0_TABLE[0], 2.0**-127)

    def test_file_round_trip(self):
        path = os.path.join(os.environ.get("TMPDIR", "/tmp"), f"golden_roundtrip_{os.getpid()}.safetensors")
        rng = np.random.default_rng(4)
        tensors = {"b": st.Stored("BF16", rng.integers(0, 65536, (3, 5)).astype(np.uint16)), "e": st.Stored("F32", np.zeros((0, 4), np.float32)),
                   "i": st.Stored("I64", rng.integers(-9, 9, (7,))), "q": st.Stored("I8", rng.integers(-128, 128, (2, 3)).astype(np.int8)),
                   "s": st.Stored("F8_E8M0", rng.integers(0, 256, (2, 1)).astype(np.uint8))}
        try:
            st.write(path, tensors, {"note": "x"})
            back = st.read(path)
        finally:
            os.remove(path)
        self.assertEqual(list(back), list(tensors))
        for name, tensor in tensors.items():
            self.assertEqual(back[name].dtype, tensor.dtype)
            self.assertTrue(np.array_equal(back[name].data, tensor.data))


class Rope(unittest.TestCase):
    def test_yarn_range_of_the_real_configuration(self):
        self.assertEqual(rope.yarn_range(64, 160000, YARN), (15, 25))
        freqs = rope.frequencies(64, 160000, YARN)
        self.assertEqual(freqs[0], 1.0)
        self.assertAlmostEqual(float(freqs[31]) * 16, 160000 ** (-62 / 64), places=10)
        middle = 160000 ** (-40 / 64)
        self.assertAlmostEqual(float(freqs[20]), middle / 32 + middle / 2, places=8)

    def test_pairs_and_inverse(self):
        true = Arith("f32")
        freqs = rope.frequencies(4, 10000)
        x = torch.tensor([[9.0, 1.0, 0.0, 0.0, 1.0]], dtype=torch.float64)
        y = rope.rotate(true, x, torch.tensor([3]), freqs)
        angle = float(torch.tensor(3.0) * freqs[1])
        expected = [9.0, math.cos(3), math.sin(3), -math.sin(angle), math.cos(angle)]
        self.assertTrue(np.allclose(y[0].numpy(), expected, atol=1e-12))
        self.assertTrue(np.allclose(rope.rotate(true, y, torch.tensor([3]), freqs, inverse=True).numpy(), x.numpy(), atol=1e-12))


class Mixing(unittest.TestCase):
    def test_hadamard_matrix(self):
        n = 32
        signs = np.array([[(-1) ** bin(i & j).count("1") for j in range(n)] for i in range(n)]) / np.sqrt(n)
        x = torch.randn(4, n, dtype=torch.float64, generator=torch.Generator().manual_seed(5))
        self.assertTrue(np.allclose(ops.hadamard(Arith("f32"), x).numpy(), x.numpy() @ signs.T, atol=1e-12))

    def test_comb_is_nearly_doubly_stochastic_and_columns_are_last(self):
        g = torch.Generator().manual_seed(6)
        h = torch.randn(3, 4, 8, generator=g)
        _, _, comb = ops.hc_mix(Arith("f32"), h, torch.randn(24, 32, generator=g) * 0.2, torch.randn(24, generator=g), torch.ones(3), 20)
        self.assertLess(float((comb.sum(-2) - 1).abs().max()), 1e-5)
        self.assertLess(float((comb.sum(-1) - 1).abs().max()), 1e-2)


class Attention(unittest.TestCase):
    def test_streaming_compressor_equals_whole(self):
        for arith in (Arith("reference"), Arith("f32")):
            for ratio, dim, tokens in ((4, 6, 23), (128, 5, 261), (8, 3, 20)):
                g = torch.Generator().manual_seed(ratio)
                width = 2 * dim if ratio == 4 else dim
                kv, score = torch.randn(tokens, width, generator=g), torch.randn(tokens, width, generator=g) * 3
                ape = torch.randn(ratio, width, generator=g)
                kv, score = kv.to(arith.dtype), score.to(arith.dtype)
                whole = attention.pool(arith, kv, attention.add_ape(arith, score, ape), ratio)
                self.assertTrue(np.allclose(whole.numpy(), streamed(kv, score, ape, ratio), rtol=1e-6, atol=1e-7))

    def test_sink_attention_by_loops(self):
        g = torch.Generator().manual_seed(7)
        q, rows, sink = torch.randn(2, 3, 4, generator=g), torch.randn(5, 4, generator=g), torch.randn(3, generator=g)
        mask = torch.tensor([[1, 1, 0, 0, 0], [0, 1, 1, 1, 1]], dtype=torch.bool)
        got = attention.sink_attention(Arith("f32"), q.double(), [(rows[:2], mask[:, :2]), (rows[2:].repeat(2, 1, 1), mask[:, 2:])], sink, 0.5)
        for t in range(2):
            for h in range(3):
                keep = [i for i in range(5) if mask[t, i]]
                weights = [math.exp(0.5 * float(q[t, h] @ rows[i])) for i in keep]
                total = sum(weights) + math.exp(float(sink[h]))
                expected = sum(w * rows[i].numpy() for w, i in zip(weights, keep)) / total
                self.assertTrue(np.allclose(got[t, h].numpy(), expected, atol=1e-6))

    def test_selection_takes_lowest_index_on_ties(self):
        scores = torch.tensor([[1.0, 2.0, 2.0, 2.0, 5.0], [1.0, 2.0, 2.0, 2.0, 5.0]])
        chosen, valid = attention.index_select(scores, torch.tensor([4, 2]), 3)
        self.assertEqual(chosen[0].tolist(), [1, 2, 3])
        self.assertEqual([c for c, v in zip(chosen[1].tolist(), valid[1]) if v], [1, 0])


def streamed(kv, score, ape, ratio):
    """Compressed rows token by token with an explicit tail state, in plain numpy."""
    kv, score, ape = kv.double().numpy(), score.double().numpy(), ape.double().numpy()
    dim = kv.shape[1] // (2 if ratio == 4 else 1)
    previous, current, out = None, [], []
    for position in range(kv.shape[0]):
        current.append((kv[position], score[position] + ape[position % ratio]))
        if len(current) < ratio:
            continue
        if ratio == 4:
            candidates = [(k[:dim], s[:dim]) for k, s in previous or []] + [(k[dim:], s[dim:]) for k, s in current]
        else:
            candidates = current
        values, gates = (np.stack(part) for part in zip(*candidates))
        weights = np.exp(gates - gates.max(0))
        out.append((weights / weights.sum(0) * values).sum(0))
        previous, current = current, []
    return np.stack(out)


class Experts(unittest.TestCase):
    def test_duplicate_expert_counts_twice(self):
        true = Arith("f32")
        scores = torch.tensor([[1.0, 3.0]], dtype=torch.float64)
        weights = moe.route_weights(true, scores, torch.tensor([[1, 1, 0]]), 1.5)
        self.assertTrue(np.allclose(weights.numpy(), [[1.5 * 3 / 7, 1.5 * 3 / 7, 1.5 / 7]]))

    def test_router_ties_and_bias(self):
        arith = Arith("reference")
        ids = moe.route_select(arith, torch.tensor([[1.0, 1.0, 1.0, 0.5]]), torch.tensor([0.0, 0.0, 0.0, 1.0]), 3)
        self.assertEqual(ids[0].tolist(), [3, 0, 1])
        self.assertAlmostEqual(float(moe.route_scores(arith, torch.tensor([[0.0]]))), math.sqrt(math.log(2)), places=6)

    def test_clamp_is_one_sided_for_the_gate(self):
        gate, up = torch.tensor([[30.0, -30.0]]), torch.tensor([[-50.0, 50.0]])
        y = moe.swiglu(Arith("f32"), gate.double(), up.double(), 10.0)
        self.assertAlmostEqual(float(y[0, 0]), -100.0 / (1 + math.exp(-10)), places=9)
        self.assertAlmostEqual(float(y[0, 1]), -300.0 / (1 + math.exp(30)), places=15)


if __name__ == "__main__":
    unittest.main()
