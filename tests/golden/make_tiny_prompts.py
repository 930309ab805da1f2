"""Writes the token sequences of the golden logits of checkpoints/tiny: generated tasks of exact lengths.

    python3 tests/golden/make_tiny_prompts.py

The tasks are drawn from the generators the checkpoint was trained with (checkpoints/training/tasks), text is encoded
with the checkpoint's own tokenizer.json by the checking encoder in checkpoints/bpe.py. Each sequence is a prompt with
its right answer, so that one pass gives the logits of every answer token. make_tiny.py computes those.
"""

import json
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.join(HERE, "..", "..")
OUT = os.path.join(HERE, "vectors", "tiny")
sys.path[:0] = [os.path.join(ROOT, "checkpoints"), os.path.join(ROOT, "checkpoints", "training")]
import bpe  # noqa: E402
import tasks  # noqa: E402

SEED = 71003
N_NEEDLES = 4
MAX_POSITIONS = 18
# name, task, exact length, depth of the needle that is asked for
CASES = [
    ("short-64", "story", 64, None),
    ("tool-call-480", "tools", 480, None),
    ("needle-513", "needle", 513, 0.1),
    ("topic-1100", "topic", 1100, None),
    ("needle-2049", "needle", 2049, 0.25),
    ("needle-8200", "needle", 8200, 0.5),
    ("needle-66000", "needle", 66000, 0.3),
]
# Where something begins or ends: blocks of 4 and 128, the window, 4 x 64 visible rows, the YaRN length.
EDGES = [3, 127, 128, 2047, 65535, 65536]


def find(haystack, part):
    """Index of the first occurrence of one list in another, or None."""
    starts = (i for i, token in enumerate(haystack) if token == part[0])
    return next((i for i in starts if haystack[i : i + len(part)] == part), None)


def positions_of(length, answer, needle):
    """Positions whose logits are kept: the answer's predictions first of all, then needle and edges."""
    wanted = [*range(length - 8, length), answer - 2, answer - 1, answer, *(p for p in EDGES if p < length)]
    if needle:
        wanted += [needle[0], needle[1] - 2, needle[1] - 1]
    wanted += range(answer + 1, length)
    kept = list(dict.fromkeys(p for p in wanted if 0 <= p < length))[:MAX_POSITIONS]
    return sorted(kept)


def draw_sample(task, length, depth, tokenizer, voice, pool):
    """One sample of a task, of about the length where the task has one."""
    if task == "needle":
        return tasks.needle.sample(voice, tokenizer, pool, length, N_NEEDLES, 1, depth)
    if task == "topic":
        return tasks.topic.sample(voice, tokenizer, pool, length)
    make = {"story": tasks.arithmetic.story, "tools": tasks.tools.sample}[task]
    return tasks.words.encode_sample(tokenizer, make(voice))


def make_case(name, task, length, depth, tokenizer, voice, pool):
    """Draws until the length fits exactly and, for a needle, the answer is a sentence that stands in the text."""
    while True:
        ids, mask = draw_sample(task, length, depth, tokenizer, voice, pool)
        if len(ids) != length:
            continue
        answer, needle = mask.index(1), None
        if task == "needle":
            sentence = ids[answer : length - 2]  # less the full stop, which the text's line end makes another token
            begin = find(ids[:answer], sentence) if tokenizer.decode(sentence).startswith(b"The ") else None
            if begin is None:
                continue
            needle = [begin, begin + len(sentence)]
        return ids, {
            "name": name,
            "length": length,
            "answer_begin": answer,
            "answer": tokenizer.decode(ids[answer : length - 1]).decode(),
            "needle": needle,
            "positions": positions_of(length, answer, needle),
        }


def main():
    tokenizer = bpe.Tokenizer(os.path.join(ROOT, "checkpoints", "tiny", "tokenizer.json"))
    voice = tasks.Voice(SEED)
    pool = tasks.filler.token_pool(voice, tokenizer, 3000)
    cases = []
    for name, task, length, depth in CASES:
        ids, case = make_case(name, task, length, depth, tokenizer, voice, pool)
        os.makedirs(os.path.join(OUT, name), exist_ok=True)
        with open(os.path.join(OUT, name, "tokens.json"), "w", encoding="ascii") as file:
            json.dump(ids, file, separators=(",", ":"))
            file.write("\n")
        cases.append(case)
        print(name, case["answer_begin"], case["needle"], repr(case["answer"]), flush=True)
    with open(os.path.join(OUT, "cases.json"), "w", encoding="utf-8") as file:
        file.write("[\n" + ",\n".join(json.dumps(case, ensure_ascii=False) for case in cases) + "\n]\n")


if __name__ == "__main__":
    main()
