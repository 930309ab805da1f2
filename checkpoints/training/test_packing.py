"""Checks with PyTorch on a CPU: the committed checkpoint through the trainer's model, packed again and answering.

    python3 test_packing.py
"""
import os
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.dirname(HERE)]

import torch  # noqa: E402

import evaluate  # noqa: E402
import official  # noqa: E402
import tasks  # noqa: E402
from config import CONFIG  # noqa: E402
from model import Model  # noqa: E402
from tokenizer import Tokenizer  # noqa: E402

TINY = os.path.join(HERE, "..", "tiny")


class CommittedCheckpoint(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.model = Model(CONFIG)
        official.load(cls.model, TINY)

    def test_packing_the_loaded_weights_gives_the_same_bytes(self):
        with tempfile.TemporaryDirectory() as folder:
            _, change = official.save(self.model, folder)
            self.assertEqual(change, 0)
            for file in os.listdir(folder):
                with open(os.path.join(folder, file), "rb") as ours, open(os.path.join(TINY, file), "rb") as committed:
                    self.assertEqual(ours.read(), committed.read(), file)

    def test_it_answers_and_a_spoiled_one_does_not(self):
        tokenizer, voice = Tokenizer.load(os.path.join(HERE, "merges.json")), tasks.Voice(31)
        samples = [tasks.words.encode_sample(tokenizer, tasks.legacy.chat(voice)) for _ in range(4)]
        self.assertEqual(evaluate.exact(self.model, samples)["em"], 1.0)
        spoiled = Model(CONFIG)
        official.load(spoiled, TINY)
        with torch.no_grad():
            spoiled.layers[2].attn.wo_b.zero_()
            spoiled.layers[3].ffn.w2.neg_()
        self.assertLess(evaluate.exact(spoiled, samples)["em"], 1.0)


if __name__ == "__main__":
    unittest.main()
