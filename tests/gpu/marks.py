#!/usr/bin/env python3
"""Prints what the CUDA back end reaches beside what it should, from the output of `ds4-sweep breakdown --json`.

marks.py GPU_NAME SHORT.json LONG.json [LOAD.txt]

SHORT and LONG were taken behind about 8K and 186K tokens; all ceilings are those of the same runs. LOAD is the output of
bench_load, where there is one. A file that is missing or empty makes its rows "not measured".
"""
import json
import re
import sys


def read(path):
    try:
        with open(path, encoding="utf-8") as file:
            return json.load(file)
    except (OSError, ValueError):
        return None


def step_bytes(step):
    """What a decode step cannot do without: weights, and the cache rows and keys that attention and selection read."""
    reads_cache = ("attend", "select")
    return sum(op["weight_bytes"] if not op["name"].startswith(reads_cache) else op["bytes"]
               for op in step["operations"])


def decode_row(run, name, mark):
    if run is None:
        return name, "not measured", f"{mark:.2f}", ""
    step = run["decode"]
    share = step_bytes(step) / run["read_rate"] / step["seconds"]
    value = f"{share:.3f} of {run['read_rate'] / 1e9:,.0f} GB/s ({1 / step['seconds']:.1f} tok/s)"
    return f"{name}, behind {run['context']:,} tokens", value, f"{mark:.2f}", verdict(share >= mark)


def prompt_row(run):
    mark = 1.0
    if run is None:
        return "a prompt of 8K, to its first token", "not measured", f"{mark:.1f} s", ""
    seconds = run["prompt_s"]
    name = f"a prompt of {run['prompt_tokens']:,}, to its first token"
    return name, f"{seconds:.3f} s", f"{mark:.1f} s", verdict(seconds <= mark)


def prefill_row(run):
    mark = 6000
    if run is None:
        return "prefill, average", "not measured", f"{mark:,} tok/s", ""
    rate = run["prompt_tokens"] / run["prompt_s"]
    return f"prefill to {run['prompt_tokens']:,}, average", f"{rate:,.0f} tok/s", f"{mark:,} tok/s", verdict(rate >= mark)


def memory_row(run):
    mark = 3.0
    name = "device memory above weights + KV"
    if run is None or not run["memory"]["device_bytes"]:
        return name, "not measured", f"{mark:.0f} GiB", ""
    memory = run["memory"]
    counted = sum(memory["planned"][part] for part in ("weights", "raw KV", "compressed KV", "indexer keys"))
    above = (memory["device_bytes"] - counted) / 2**30
    return name, f"{above:.2f} GiB", f"{mark:.0f} GiB", verdict(above <= mark)


def plan_row(run):
    mark = 0.02
    name = "planned memory against taken"
    if run is None or not run["memory"]["device_bytes"]:
        return name, "not measured", f"{mark:.0%}", ""
    memory = run["memory"]
    off = memory["planned_bytes"] / memory["device_bytes"] - 1
    return name, f"{off:+.1%} of {memory['device_bytes'] / 2**30:.2f} GiB", f"{mark:.0%}", verdict(abs(off) <= mark)


def load_row(path):
    mark = 0.7
    name = "load, share of direct reads"
    try:
        with open(path, encoding="utf-8") as file:
            found = re.search(r"load over direct reads, the best of each: ([0-9.]+)", file.read())
    except OSError:
        found = None
    if not found:
        return name, "not measured", f"{mark:.2f}", ""
    share = float(found.group(1))
    return name, f"{share:.2f}", f"{mark:.2f}", verdict(share >= mark)


def generate_row(run):
    name = "decoded one behind the other"
    if run is None or not run["generated_tokens"]:
        return name, "not measured", "", ""
    rate = run["generated_tokens"] / run["generated_s"]
    return f"{run['generated_tokens']} tokens behind {run['context'] + 1:,}", f"{rate:.1f} tok/s", "", ""


def launch_row(run):
    if run is None or "launches" not in run["decode"]:
        return "launches of a decode step", "not measured", "", ""
    step = run["decode"]
    value = f"{step['launches']:,}, the GPU busy {step['gpu_busy']:.1%} of the step"
    return "launches of a decode step", value, "", ""


def verdict(reached):
    return "reached" if reached else "missed"


def main():
    if len(sys.argv) < 4:
        sys.exit(__doc__)
    gpu, short, long = sys.argv[1], read(sys.argv[2]), read(sys.argv[3])
    load = sys.argv[4] if len(sys.argv) > 4 else ""
    rows = [decode_row(short, "decode, share of the read ceiling", 0.55),
            decode_row(long, "decode, share of the read ceiling", 0.45),
            prompt_row(short), prefill_row(long), memory_row(long), plan_row(long), load_row(load), launch_row(short),
            generate_row(long)]
    checkpoint = next((run["checkpoint"] for run in (short, long) if run), "")
    print(f"marks on one {gpu}, {checkpoint}, one sequence")
    widths = [max(len(row[i]) for row in rows) for i in range(4)]
    for row in [("", "measured", "mark", ""), *rows]:
        print("  ".join(text.ljust(width) for text, width in zip(row, widths)).rstrip())


if __name__ == "__main__":
    main()
