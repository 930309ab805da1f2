"""Writes tiny_encode.jsonl: texts and their token ids under checkpoints/tiny/tokenizer.json.

The ids come from checkpoints/bpe.py, a slow encoder written independently of the engine's. Python must know
Unicode 14 or later; no text here uses a code point that Unicode 15 or later assigned.

    python3 tests/golden/text/make_tiny_encode.py
"""

import json
import pathlib
import random
import sys

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[2]
sys.path.insert(0, str(ROOT / "checkpoints"))
import bpe  # noqa: E402

ALPHABETS = [
    "abcdefgh ABC",
    " \t\n\r\x0b\x0c\x85\xa0\u1680\u180e\u2000\u200a\u200b\u2028\u2029\u202f\u205f\u3000x",
    "0123456789٣४Ⅷ½ a",
    "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~ aZ\n",
    "一龥龦ぁゟ゠ヿㇰ漢字 a1",
    "éèñüßæøαβγωЖя़́̈ािคำ🙂👩\u200d🇫",
    "\x00\x01\x1f\x7f\xad\u0378\ue000\U0010ffff a",
]


def texts():
    """Vectors of the model's definition, then pseudo-random strings that mix the classes of the splits."""
    with open(HERE / "model_vectors.jsonl", encoding="utf-8") as file:
        for line in file:
            yield json.loads(line)["text"]
    yield ""
    yield "<｜begin▁of▁sentence｜>You are terse.<｜User｜>Hi<｜Assistant｜></think>"
    yield "<｜User｜<｜User｜>｜DSML｜｜DSML｜<think></think><think"
    rng = random.Random(20)
    for index in range(300):
        letters = ALPHABETS[index % len(ALPHABETS)] + rng.choice(ALPHABETS)
        yield "".join(rng.choice(letters) for _ in range(rng.randrange(1, 60)))
    words = "the needle of line 42 is def return value = (x + 1) -- in a forest, {'key': \"text\"}\n".split(" ")
    for _ in range(40):
        yield " ".join(rng.choice(words) for _ in range(30))


def main():
    tokenizer = bpe.Tokenizer(ROOT / "checkpoints/tiny/tokenizer.json")
    with open(HERE / "tiny_encode.jsonl", "w", encoding="utf-8") as file:
        for text in texts():
            row = {"text": text, "ids": tokenizer.encode(text)}
            file.write(json.dumps(row, ensure_ascii=True, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
