"""Learns the merges from a draw of the training mixture:  python3 make_tokenizer.py [speeches.jsonl ...]"""
import os
import sys

import tasks
from config import CONFIG
from tokenizer import Tokenizer, learn

HERE = os.path.dirname(os.path.abspath(__file__))


def corpus(speeches, n=5000):
    v, out = tasks.Voice(5), []
    english = tasks.filler.english(speeches, held=False)
    out += [tasks.filler.line(v) for _ in range(4 * n)]
    out += v.sample(english, min(len(english), n // 2))
    out += ["".join(text for text, _ in tasks.short(v)) for _ in range(n)]
    for make in (tasks.needle.facts, tasks.legacy.facts):
        for statement, question, answer in (f for _ in range(n // 4) for f in make(v, 2)):
            out += [statement, question, answer]
    out += ["\n".join(tasks.review.function(v, "none")[0]) for _ in range(n // 2)]
    bytes_only = Tokenizer([])
    out += [bytes_only.decode(tasks.topic.sample(v, bytes_only, [bytes_only.encode("\n")], 1200)[0]) for _ in range(n // 25)]
    return "\n".join(out)


if __name__ == "__main__":
    text = corpus(sys.argv[1:])
    made = learn(text, CONFIG["vocab_size"])
    made.save(os.path.join(HERE, "merges.json"))
    sample = text[: 1 << 20]
    print(f"{len(text)} characters, {made.size} tokens, {len(sample.encode()) / len(made.encode(sample)):.2f} bytes per token")
