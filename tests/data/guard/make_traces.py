#!/usr/bin/env python3
"""Writes the synthetic traces of this folder: python3 tests/data/guard/make_traces.py. README.md says what each is."""
import json
import pathlib

GIB = 1 << 30
FOLDER = pathlib.Path(__file__).parent


def write(name, end_s, rate_hz, sample, events=()):
    """One line a sample, holding what changed, as a guard writes it. `sample`: time -> fields."""
    lines, last = [], {}
    pending = sorted(events)
    for i in range(round(end_s * rate_hz) + 1):
        t = i / rate_hz
        while pending and pending[0][0] <= t:
            lines.append({"t": pending[0][0], "event": pending.pop(0)[1]})
        fields = {key: value if key == "phase" else int(value) for key, value in sample(t).items()}
        lines.append({"t": round(t, 3), **{k: v for k, v in fields.items() if last.get(k) != v}})
        last = fields
    text = "".join(json.dumps(line, separators=(",", ":")) + "\n" for line in lines)
    (FOLDER / name).write_text(text)


def collapse(t):
    """29 to 2.5 GiB in 9 s, then nothing left to fall."""
    return {"phase": "load", "total": 121.69 * GIB, "available": max(29 - 26.5 / 9 * t, 2.5) * GIB}


def leak(t):
    """20 MiB/s until memory is gone, seen from 2.5 GiB above the floor."""
    return {"phase": "decode", "total": 121.69 * GIB, "available": 8.5 * GIB - 20 * (1 << 20) * t}


def page_cache(t):
    """A file of 102 GiB is written at 3 GB/s: MemFree goes, what is available stays, processes wait for the disk."""
    cached = min(3e9 * t, 102 * GIB)
    return {
        "phase": "load",
        "total": 121.69 * GIB,
        "available": 115.8 * GIB - 0.002 * cached,
        "free": 103.25 * GIB - cached,
        "cached": 12 * GIB + cached,
        "psi_full_us": 0.7e6 * t,
        "pages_scanned": 3e5 * t,
    }


def deaf(t):
    """Two gigabytes into the floor, and nothing changes when it is told to end."""
    return {"phase": "prefill", "total": 121.69 * GIB, "available": (7.5 if t < 2 else 5.2) * GIB}


def listener(t):
    """The same, but the target ends when told to."""
    return {"phase": "prefill", "total": 121.69 * GIB, "available": (7.5 if t < 2 else 5.2 if t < 3 else 110) * GIB}


def healthy_load(t):
    """Weights of K160 come in at 3 GiB/s until 9.4 GiB are left, as on one Spark."""
    return {"phase": "load", "total": 121.69 * GIB, "available": max(114.01 - 3 * t, 9.4) * GIB}


def thrash(t):
    """Tight without crossing the floor, while every process waits for memory half of the time."""
    return {"phase": "decode", "total": 121.69 * GIB, "available": 7 * GIB, "psi_full_us": 0.5e6 * t}


write("collapse.jsonl", 12, 10, collapse)
write("slow_leak.jsonl", 140, 5, leak)
write("page_cache.jsonl", 40, 5, page_cache)
write("deaf_target.jsonl", 10, 10, deaf)
write("listening_target.jsonl", 6, 10, listener, [(2.9, "ended")])
write("healthy_load.jsonl", 40, 10, healthy_load)
write("thrash.jsonl", 5, 10, thrash)
