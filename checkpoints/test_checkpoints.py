"""Tests of number formats, layout, tokenizer files and the verifier. Run: python3 checkpoints/test_checkpoints.py

Those that need reference data look for it in DS4_SHARED or in ../shared beside the repository and are skipped, with
the reason, where it is absent.
"""

import gzip
import json
import os
import shutil
import struct
import tempfile
import unittest
from unittest import mock

import numpy as np

import bpe
import layout
import pack
import safetensors_io
import verify

HERE = os.path.dirname(os.path.abspath(__file__))
TINY = os.path.join(HERE, "tiny")


def shared(*parts):
    """Path of reference data; skips the calling test where there is none."""
    root = os.environ.get("DS4_SHARED", os.path.join(HERE, "..", "..", "shared"))
    path = os.path.join(root, *parts)
    if not os.path.exists(path):
        raise unittest.SkipTest(f"no reference data {'/'.join(parts)} in DS4_SHARED or ../shared")
    return path


class Formats(unittest.TestCase):
    def test_fp4_ties_go_to_the_even_code(self):
        row = np.zeros((1, 32))
        row[0, :10] = [6, 0.25, 0.75, 1.25, 1.75, 2.5, 3.5, 5, -0.75, -0.0]
        packed, scale = pack.encode_fp4(row)
        self.assertEqual(scale.tolist(), [[127]])
        self.assertEqual(packed[0, 0], 0x07)  # even column in the low nibble: 6 is code 7, then 0.25 is code 0
        expected = [6, 0, 1, 1, 2, 2, 4, 4, -1, 0]
        self.assertEqual(pack.decode_fp4(packed, scale)[0, :10].tolist(), expected)
        self.assertEqual(packed[0, 4], 0x8A)  # -0 keeps its sign

    def test_fp8_codes_are_their_own_rounding(self):
        table = pack.e4m3_table()
        codes = np.array([range(0x7F), range(0x80, 0xFF)], dtype=np.uint8)  # all but the two NaNs, in one block
        encoded, scale = pack.encode_fp8(table[codes])
        self.assertEqual(scale.tolist(), [[127]])
        self.assertEqual(encoded.tolist(), codes.tolist())

    def test_fp8_rounds_to_the_nearest_and_ties_to_even(self):
        finite = np.sort(pack.e4m3_table()[:127]).astype(np.float64)
        draw = np.random.default_rng(1)
        middle = (finite[1:] + finite[:-1]) / 2
        values = np.concatenate([[448.0], middle, draw.uniform(0, 448, 400), draw.uniform(0, 2.0**-5, 497)])
        codes, scale = pack.encode_fp8(values.reshape(128, 8))  # one block, so the scale is 1
        decoded = pack.decode_fp8(codes, scale).reshape(-1)
        distance = np.abs(values[:, None] - finite)
        self.assertTrue((np.abs(decoded - values) == distance.min(1)).all())
        self.assertTrue((codes.reshape(-1)[1:127] % 2 == 0).all())

    def test_the_last_blocks_may_be_short(self):
        values = np.random.default_rng(2).normal(size=(130, 200)).astype(np.float32)
        codes, scale = pack.encode_fp8(values)
        self.assertEqual((codes.shape, scale.shape), ((130, 200), (2, 2)))
        self.assertLess(np.abs(pack.decode_fp8(codes, scale) - values).max(), np.abs(values).max() / 16)
        packed, scale = pack.encode_fp4(values[:, :70])
        self.assertEqual((packed.shape, scale.shape), ((130, 35), (130, 3)))
        self.assertEqual(pack.decode_fp4(packed, scale).shape, (130, 70))

    def test_zeros_stay_zeros(self):
        zeros = np.zeros((4, 64))
        self.assertFalse(pack.decode_fp8(*pack.encode_fp8(zeros)).any())
        self.assertFalse(pack.decode_fp4(*pack.encode_fp4(zeros)).any())

    def test_bf16_rounds_to_even(self):
        bits = np.array([0x3F808000, 0x3F818000, 0x3F808001], dtype=np.uint32)
        self.assertEqual(pack.to_bf16(bits.view(np.float32)).tolist(), [0x3F80, 0x3F82, 0x3F81])


class RealLayout(unittest.TestCase):
    def test_inventory_and_order_equal_the_real_headers(self):
        with open(shared("spec", "real-headers", "config.json"), encoding="utf-8") as file:
            config = json.load(file)
        with gzip.open(shared("spec", "real-headers", "k160-tensors.json.gz"), "rt", encoding="utf-8") as file:
            real = json.load(file)
        findings, found, header = verify.Findings(), {}, {}
        verify.check_config(config, findings)
        for shard in real["shards"]:
            header = {
                name: {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}
                for name, dtype, shape, begin, end in shard["tensors"]
            }
            verify.check_header(shard["file"], header, shard["data_bytes"], findings)
            found.update({name: (entry["dtype"], entry["shape"]) for name, entry in header.items()})
        verify.check_inventory(config, found, findings)
        self.assertEqual(findings.counts, {})
        self.assertEqual(len(found), 45821)

    def test_classic_mtp_block_has_the_published_number_of_tensors(self):
        with open(os.path.join(TINY, "config.json"), encoding="utf-8") as file:
            config = {**json.load(file), "n_routed_experts": 256}
        names = [s.name for t in layout.tensors(config) for s in layout.stored(t) if s.name.startswith("mtp.0.")]
        self.assertEqual(len(names), 1575)


class TokenizerJson(unittest.TestCase):
    def test_the_checking_encoder_agrees_with_real_vectors(self):
        tokenizer = bpe.Tokenizer(shared("data", "tokenizer", "tokenizer.json"))
        with open(shared("data", "tokenizer", "golden_encode.jsonl"), encoding="utf-8") as file:
            for line in file:
                case = json.loads(line)
                self.assertEqual(tokenizer.encode(case["text"]), case["ids"], case["text"])

    def test_stages_are_the_real_ones(self):
        with open(shared("data", "tokenizer", "tokenizer.json"), encoding="utf-8") as file:
            real = json.load(file)
        with open(os.path.join(TINY, "tokenizer.json"), encoding="utf-8") as file:
            ours = json.load(file)
        self.assertEqual(list(ours), list(real))
        for key in ("version", "normalizer", "pre_tokenizer", "post_processor", "decoder"):
            self.assertEqual(ours[key], real[key])
        self.assertEqual(list(ours["model"]), list(real["model"]))

    def test_markers_have_fixed_ids_and_digits_stand_alone(self):
        tokenizer = bpe.Tokenizer(os.path.join(TINY, "tokenizer.json"))
        text = "<｜begin▁of▁sentence｜><｜User｜>12<｜Assistant｜><think></think><｜DSML｜<｜end▁of▁sentence｜><｜▁pad▁｜>"
        digits, bracket = [8 + ord("1"), 8 + ord("2")], 8 + ord("<")
        self.assertEqual(tokenizer.encode(text), [0, 3, *digits, 4, 5, 6, bracket, 7, 1, 2])
        self.assertEqual(tokenizer.decode(tokenizer.encode(text)).decode(), text)


class Verifier(unittest.TestCase):
    """Each way of spoiling the tiny checkpoint must be found under its own heading."""

    def setUp(self):
        self.folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.folder)
        shutil.copytree(TINY, self.folder, dirs_exist_ok=True)
        self.path = os.path.join(self.folder, "model-00001-of-00002.safetensors")

    def check(self):
        with mock.patch("builtins.print"):
            return verify.verify(self.folder).counts.keys()

    def rewrite(self, change):
        tensors = {name: (dtype, array.copy()) for name, (dtype, array) in safetensors_io.read(self.path)[0].items()}
        change(tensors)
        safetensors_io.write(self.path, tensors)

    def test_the_committed_checkpoint_has_no_findings(self):
        self.assertEqual(self.check(), set())

    def test_the_committed_checkpoint_keeps_its_size_limits(self):
        sizes = {file: os.path.getsize(os.path.join(TINY, file)) for file in os.listdir(TINY) if file != "plans"}
        self.assertLessEqual(max(sizes.values()), 16 << 20)
        self.assertLessEqual(sum(sizes.values()), 24 << 20)

    def test_reading_and_writing_gives_the_same_bytes(self):
        with open(self.path, "rb") as file:
            before = file.read()
        self.rewrite(lambda tensors: None)
        with open(self.path, "rb") as file:
            self.assertEqual(file.read(), before)

    def test_missing_and_unknown_tensors(self):
        self.rewrite(lambda tensors: tensors.update(extra=tensors.pop("norm.weight")))
        self.assertEqual(self.check(), {"missing", "unknown", "index"})

    def test_wrong_shape(self):
        self.rewrite(lambda t: t.update({"norm.weight": ("BF16", t["norm.weight"][1][:128])}))
        self.assertEqual(self.check(), {"shape", "index"})

    def test_a_shard_that_the_index_does_not_name(self):
        os.rename(self.path, os.path.join(self.folder, "model-3.safetensors"))
        self.assertEqual(self.check(), {"index"})

    def test_shards_without_an_index(self):
        os.remove(os.path.join(self.folder, "model.safetensors.index.json"))
        self.assertEqual(self.check(), {"index"})

    def test_a_missing_expert(self):
        self.rewrite(lambda tensors: tensors.pop("layers.4.ffn.experts.3.w2.scale"))
        self.assertEqual(self.check(), {"missing", "index"})

    def test_nan_scale(self):
        self.rewrite(lambda tensors: tensors["layers.0.attn.wkv.scale"][1].fill(255))
        self.assertEqual(self.check(), {"scale"})

    def test_expert_id_out_of_range(self):
        self.rewrite(lambda tensors: tensors["layers.1.ffn.gate.tid2eid"][1].__setitem__((5, 1), 32))
        self.assertEqual(self.check(), {"hash"})

    def test_truncated_file(self):
        os.truncate(self.path, os.path.getsize(self.path) - 1)
        self.assertEqual(self.check(), {"size"})

    def test_header_length_beyond_the_file(self):
        with open(self.path, "r+b") as file:
            file.write(struct.pack("<Q", 1 << 60))
        self.assertIn("file", self.check())

    def test_gap(self):
        with open(self.path, "rb") as file:
            length = struct.unpack("<Q", file.read(8))[0]
            header, data = json.loads(file.read(length)), file.read()
        for entry in header.values():
            entry["data_offsets"] = [offset + 4 for offset in entry["data_offsets"]]
        text = json.dumps(header).encode()
        with open(self.path, "wb") as file:
            file.write(struct.pack("<Q", len(text)) + text + bytes(4) + data)
        self.assertEqual(self.check(), {"gap"})


if __name__ == "__main__":
    unittest.main()
