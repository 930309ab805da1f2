"""Writes the token sequences of the golden logits of checkpoints/tiny: generated tasks of exact lengths.

    python3 tests/golden/make_tiny_prompts.py --generator DIR

DIR holds the task generator that the checkpoint was trained with (gen.py). Text is encoded with the checkpoint's own
tokenizer.json by the checking encoder in checkpoints/bpe.py. Each sequence is a prompt with its right answer, so
that one pass gives the logits of every answer token. make_tiny.py computes those.
"""

import argparse
import importlib
import json
import os
import random
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.join(HERE, "..", "..")
OUT = os.path.join(HERE, "vectors", "tiny")
sys.path.insert(0, os.path.join(ROOT, "checkpoints"))
import bpe  # noqa: E402

SEED = 71003
N_NEEDLES = 4
MAX_POSITIONS = 18
# name, exact length, depth of the needle that is asked for (None: a short task, drawn until the length fits)
CASES = [
    ("short-64", 64, None),
    ("tool-call-180", 180, None),
    ("needle-513", 513, 0.1),
    ("needle-2049", 2049, 0.25),
    ("needle-8200", 8200, 0.5),
    ("needle-66000", 66000, 0.3),
]
# Where something begins or ends: blocks of 4 and 128, the window, 4 x 64 visible rows, the YaRN length.
EDGES = [3, 127, 128, 2047, 65535, 65536]


def find(haystack, part):
    """Index of the first occurrence of one list in another."""
    return next(i for i in range(len(haystack)) if haystack[i : i + len(part)] == part)


def positions_of(length, answer, needle):
    """Positions whose logits are kept: the answer's predictions first of all, then needle and edges."""
    wanted = [*range(length - 8, length), answer - 2, answer - 1, answer, *(p for p in EDGES if p < length)]
    if needle:
        wanted += [needle[0], needle[1] - 2, needle[1] - 1]
    wanted += range(answer + 1, length)
    kept = list(dict.fromkeys(p for p in wanted if 0 <= p < length))[:MAX_POSITIONS]
    return sorted(kept)


def make_case(name, length, depth, gen, tokenizer, draw, pool):
    while True:
        if depth is not None:
            ids, mask = gen.needle(draw, length, tokenizer, pool, N_NEEDLES, 1, depth=depth)
        else:
            task = gen.toolcall(draw) if name.startswith("tool-call") else gen.arith(draw)
            ids, mask = gen.enc_sample(tokenizer, task)
        if len(ids) == length:
            break
    answer = mask.index(1)
    needle = None
    if depth is not None:
        begin = find(ids, ids[answer : length - 1])  # the sentence stands in the text as it stands in the answer
        needle = [begin, begin + length - 1 - answer]
    return ids, {
        "name": name,
        "length": length,
        "answer_begin": answer,
        "answer": tokenizer.decode(ids[answer : length - 1]).decode(),
        "needle": needle,
        "positions": positions_of(length, answer, needle),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--generator", required=True, metavar="DIR")
    options = parser.parse_args()
    sys.path.insert(0, options.generator)
    sys.dont_write_bytecode = True
    gen = importlib.import_module("gen")

    tokenizer = bpe.Tokenizer(os.path.join(ROOT, "checkpoints", "tiny", "tokenizer.json"))
    draw = random.Random(SEED)
    pool = gen.fill_pool(draw, tokenizer, 3000)
    cases = []
    for name, length, depth in CASES:
        ids, case = make_case(name, length, depth, gen, tokenizer, draw, pool)
        os.makedirs(os.path.join(OUT, name), exist_ok=True)
        with open(os.path.join(OUT, name, "tokens.json"), "w", encoding="ascii") as file:
            json.dump(ids, file, separators=(",", ":"))
            file.write("\n")
        cases.append(case)
        print(name, case["answer_begin"], case["needle"], repr(case["answer"]))
    with open(os.path.join(OUT, "cases.json"), "w", encoding="utf-8") as file:
        file.write("[\n" + ",\n".join(json.dumps(case, ensure_ascii=False) for case in cases) + "\n]\n")


if __name__ == "__main__":
    main()
