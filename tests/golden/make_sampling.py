"""Writes vectors/sampling.json: tokens that the sampling chain must draw, by a second implementation of
its definition (engine/ops/sampling.h) in plain Python, whose floats are IEEE doubles and whose integers
have no limit. Needs no package. Logits come from a formula that the test repeats."""

import json
import math
import os

MASK32, MASK64 = (1 << 32) - 1, (1 << 64) - 1
LOG2E = float.fromhex("0x1.71547652b82fep+0")
LN2_HIGH = float.fromhex("0x1.62e42feep-1")
LN2_LOW = float.fromhex("0x1.a39ef35793c76p-33")


def make_logits(vocab, salt, spread):
    """Multiples of 1/256 in +-spread, exact as float32, with many ties; every 97th is NaN or -inf."""
    out = []
    for i in range(vocab):
        h = (i * 2654435761 + salt * 40503) & MASK32
        h ^= h >> 15
        h = (h * 2246822519) & MASK32
        h ^= h >> 13
        logit = ((h % (512 * spread)) - 256 * spread) / 256.0
        if i % 97 == 96:
            logit = math.nan if (i // 97) % 2 else -math.inf
        out.append(logit)
    return out


def philox(counter, key):
    c, k = list(counter), list(key)
    for _ in range(10):
        a, b = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
        c = [(b >> 32) ^ c[1] ^ k[0], b & MASK32, (a >> 32) ^ c[3] ^ k[1], a & MASK32]
        k = [(k[0] + 0x9E3779B9) & MASK32, (k[1] + 0xBB67AE85) & MASK32]
    return c


def random_number(seed, sequence, position):
    c = philox([position & MASK32, position >> 32, sequence & MASK32, sequence >> 32],
               [seed & MASK32, seed >> 32])
    return (c[0] << 32 | c[1]) >> 11


def exp_negative(x):
    if not x >= -708:
        return 0.0
    k = math.floor(x * LOG2E + 0.5)
    r = (x - k * LN2_HIGH) - k * LN2_LOW
    p = 1.0 / math.factorial(13)
    for n in range(12, -1, -1):
        p = p * r + 1.0 / math.factorial(n)
    return p * 2.0 ** k


def draw(logits, position, s, history, n_prompt):
    z = [-math.inf if math.isnan(x) else x for x in logits]
    for token, bias in s.get("logit_bias", []):
        z[token] += bias
    r = s.get("repetition_penalty", 1.0)
    for token in set(history):
        z[token] = z[token] / r if z[token] > 0 else z[token] * r
    generated = history[n_prompt:]
    for token in set(generated):
        z[token] = z[token] - s.get("frequency_penalty", 0.0) * generated.count(token)
        z[token] = z[token] - s.get("presence_penalty", 0.0)
    top = max(z)
    if s.get("temperature", 0.0) == 0.0:
        return z.index(top)
    w = [2**40 if x == top else math.floor(exp_negative((x - top) / s["temperature"]) * 2**40) for x in z]
    order = sorted(range(len(w)), key=lambda i: (-w[i], i))
    keep = set(order)
    if s.get("top_k", 0):
        keep = set(order[:s["top_k"]])
    w = [x if i in keep and x >= s.get("min_p", 0.0) * 2**40 else 0 for i, x in enumerate(w)]
    if s.get("top_p", 1.0) < 1.0:
        share = math.ceil(s["top_p"] * float(sum(w)))
        order = sorted(range(len(w)), key=lambda i: (-w[i], i))
        kept, count = 0, 0
        while kept < share:
            kept += w[order[count]]
            count += 1
        for i in order[count:]:
            w[i] = 0
    # Integers: floor(random * sum / 2^53) without rounding.
    target = random_number(s.get("seed", 0), s.get("sequence", 0), position) * sum(w) >> 53
    run = 0
    for i, x in enumerate(w):
        run += x
        if run > target:
            return i


def main():
    for i in range(2000):
        x = -i * 0.37 - i * i * 1e-4
        if x > -700:
            assert abs(exp_negative(x) / math.exp(x) - 1) < 5e-16, x
    history = [(7 * i * i + 3) % 1500 for i in range(60)] + [5, 5, 5, 9]
    settings = [
        {},
        {"temperature": 1.0},
        {"temperature": 0.7, "seed": 3},
        {"temperature": 1.0, "top_p": 0.9, "seed": (1 << 40) + 5},
        {"temperature": 1.3, "top_k": 40, "sequence": 7},
        {"temperature": 1.0, "top_k": 1},
        {"temperature": 1.0, "top_k": 100000},
        {"temperature": 1.0, "min_p": 0.05},
        {"temperature": 2.5, "min_p": 0.3, "top_p": 0.95},
        {"temperature": 0.9, "top_k": 50, "min_p": 0.02, "top_p": 0.8, "seed": 11, "sequence": 1 << 33},
        {"temperature": 1.0, "top_p": 1e-9},
        {"repetition_penalty": 1.7},
        {"temperature": 1.0, "repetition_penalty": 0.8, "top_k": 20},
        {"temperature": 0.8, "presence_penalty": 1.5, "frequency_penalty": 0.3, "top_p": 0.7},
        {"frequency_penalty": -2.0},
        {"presence_penalty": -30.0},
        {"temperature": 1.0, "logit_bias": [[17, 100.0], [4, -1000.0], [17, -99.0], [1200, 8.5]], "top_k": 3},
        {"temperature": 1.1, "logit_bias": [[30, 6.0]], "repetition_penalty": 1.2, "presence_penalty": 0.4,
         "frequency_penalty": 0.2, "top_k": 200, "min_p": 0.001, "top_p": 0.97, "seed": 99},
    ]
    cases = []
    for n, s in enumerate(settings):
        for vocab, spread in ((1500, 4), (3000, 9), (1025, 1)):
            h = [t for t in history if t < vocab]
            n_prompt = 30 if vocab != 1025 else len(h)
            logits = make_logits(vocab, n, spread)
            # Bias and history name tokens of the smallest vocabulary only where they exist.
            s_case = dict(s)
            if "logit_bias" in s:
                s_case["logit_bias"] = [b for b in s["logit_bias"] if b[0] < vocab]
            positions = [len(h), 1, 77, (1 << 32) + 2] if s.get("temperature") else [len(h)]
            tokens = [draw(logits, p, s_case, h, n_prompt) for p in positions]
            cases.append({"vocab": vocab, "salt": n, "spread": spread, "settings": s_case, "history": h,
                          "n_prompt": n_prompt, "positions": positions, "tokens": tokens})
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "vectors", "sampling.json")
    with open(path, "w", encoding="utf-8") as out:
        out.write('{"format": 1, "cases": [\n' + ",\n".join(json.dumps(c) for c in cases) + "\n]}\n")
    print(len(cases), "cases,", sum(len(c["tokens"]) for c in cases), "draws")


if __name__ == "__main__":
    main()
