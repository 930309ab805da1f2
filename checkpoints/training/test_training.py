"""Checks of the training data that need neither a GPU nor PyTorch: tokenizer against tokenizer.json, splits.

    python3 test_training.py
"""
import json
import os
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.dirname(HERE)]

import bpe  # noqa: E402
import tasks  # noqa: E402
import tokenizer_json  # noqa: E402
from tokenizer import Tokenizer  # noqa: E402


class TokenizerTest(unittest.TestCase):
    def test_training_encoding_equals_that_of_tokenizer_json(self):
        mine = Tokenizer.load(os.path.join(HERE, "merges.json"))
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "tokenizer.json")
            with open(path, "w", encoding="utf-8") as f:
                json.dump(tokenizer_json.build(mine.merges), f)
            other = bpe.Tokenizer(path)
        v = tasks.Voice(8)
        texts = ["".join(text for text, _ in tasks.short(v)) for _ in range(40)]
        texts += [tasks.filler.line(v) + "\n" for _ in range(200)] + ["a  5 b\n\n 12,5  ", "  \n x"]
        for text in texts:
            self.assertEqual(mine.encode(text), other.encode(text), text)
            self.assertEqual(mine.decode(mine.encode(text)), text)

    def test_no_merge_holds_a_digit(self):
        for a, b in Tokenizer.load(os.path.join(HERE, "merges.json")).merges:
            self.assertFalse(any(chr(c).isdigit() for c in a + b))


class SplitTest(unittest.TestCase):
    def test_held_out_phrasings_and_names_never_appear_in_training(self):
        train, held = tasks.Voice(1), tasks.Voice(1, held=True)
        drawn = {train.say(["a", "~b"]) for _ in range(50)}
        self.assertEqual(drawn, {"a"})
        self.assertEqual(held.say(["a", "~b"]), "b")
        self.assertFalse({train.name() for _ in range(3000)} & {held.name() for _ in range(3000)})

    def test_the_same_seed_draws_the_same_rows(self):
        mine = Tokenizer.load(os.path.join(HERE, "merges.json"))
        pool = tasks.filler.token_pool(tasks.Voice(2), mine, 50)
        rows = [tasks.row(tasks.Voice(9), mine, pool, 512, 0.5, 0.1) for _ in range(2)]
        self.assertEqual(rows[0], rows[1])
        self.assertEqual(len(rows[0][0]), 513)


if __name__ == "__main__":
    unittest.main()
