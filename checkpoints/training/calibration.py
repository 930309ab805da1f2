"""Calibration text for pruning: rows of the training mixture, as reap.py observes them, as JSON lines for `ds4-sweep reap
observe`. Without speeches (train.py --speeches), so that the file depends on this folder alone.

    python3 calibration.py --out calibration.jsonl
"""
import argparse
import hashlib
import json
import os

import tasks
from tokenizer import Tokenizer

HERE = os.path.dirname(os.path.abspath(__file__))
ROWS, LENGTH, SEED, DOCUMENTS = 64, 2048, 11, 0.4  # as evaluate.py asks of reap.observe


def lines():
    with open(os.path.join(HERE, "merges.json"), encoding="utf-8") as f:
        tokenizer = Tokenizer([(bytes.fromhex(a), bytes.fromhex(b)) for a, b in json.load(f)])
    pool = tasks.filler.token_pool(tasks.Voice(55), tokenizer, 1500)
    v = tasks.Voice(SEED)
    for _ in range(ROWS):
        ids = tasks.row(v, tokenizer, pool, LENGTH, DOCUMENTS)[0][:LENGTH]
        yield json.dumps({"text": tokenizer.decode(ids)}, ensure_ascii=False) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", required=True)
    options = parser.parse_args()
    data = "".join(lines()).encode()
    with open(options.out, "wb") as f:
        f.write(data)
    print(f"{options.out}: {ROWS} rows, {len(data):,} bytes, sha256 {hashlib.sha256(data).hexdigest()}")


if __name__ == "__main__":
    main()
