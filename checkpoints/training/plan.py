"""REAP plans from the scores in a results.json:  python3 plan.py results.json --keep 23 --out plan.json"""
import argparse
import json

from config import CONFIG


def plan(scores, keep):
    """dict block prefix -> the `keep` experts of the largest score, ascending."""
    prefixes = [f"layers.{n}." for n in range(CONFIG["num_hidden_layers"])] + ["mtp.0."]
    best = lambda row: sorted(sorted(range(len(row)), key=lambda e: -row[e])[:keep])
    return {prefix: best(row) for prefix, row in zip(prefixes, scores)}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("results")
    parser.add_argument("--keep", type=int, required=True)
    parser.add_argument("--out", required=True)
    options = parser.parse_args()
    with open(options.results, encoding="utf-8") as f:
        scores = json.load(f)["reap/scores"]
    with open(options.out, "w", encoding="utf-8", newline="\n") as f:
        json.dump({"score": "mean over routed tokens of route weight times expert output norm", "keep": options.keep,
                   "kept": plan(scores, options.keep)}, f, indent=1)
        f.write("\n")


if __name__ == "__main__":
    main()
