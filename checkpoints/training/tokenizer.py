"""The byte-level BPE of the tiny checkpoint: learning merges and fast encoding of ASCII text for training.

Splitting follows model.md 6.1 for ASCII text with the marker strings cut out first; no merge contains a digit. Ids: the
eight markers, 256 bytes, then one id per merge. checkpoints/tokenizer_json.py writes the same thing as tokenizer.json.
"""
import collections
import json
import os
import re
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from tokenizer_json import MARKERS  # noqa: E402

_PUNCT = r"!-/:-@\[-`{-~"
_PIECE = re.compile(
    rf"[0-9]|[{_PUNCT}][A-Za-z]+|[^\r\nA-Za-z0-9{_PUNCT}]?[A-Za-z]+| ?[{_PUNCT}]+[\r\n]*|\s*[\r\n]+|\s+(?![^\s0-9])|\s+"
)
_MARKER = re.compile("(" + "|".join(map(re.escape, MARKERS)) + ")")


class Tokenizer:
    def __init__(self, merges):
        self.merges = [tuple(m) for m in merges]
        self.rank = {m: i for i, m in enumerate(self.merges)}
        first = len(MARKERS)
        self.markers = {m: i for i, m in enumerate(MARKERS)}
        self.vocab = {bytes([b]): first + b for b in range(256)}
        for i, (a, b) in enumerate(self.merges):
            self.vocab[a + b] = first + 256 + i
        self.size = first + 256 + len(self.merges)
        self.texts = {i: t for t, i in self.vocab.items()}
        self.texts.update({i: m.encode() for m, i in self.markers.items()})
        self.cache = {}

    def _bpe(self, piece):
        parts = [bytes([b]) for b in piece.encode()]
        while len(parts) > 1:
            ranks = [self.rank.get(pair, 1 << 30) for pair in zip(parts, parts[1:])]
            best = min(ranks)
            if best == 1 << 30:
                break
            at = ranks.index(best)
            parts[at : at + 2] = [parts[at] + parts[at + 1]]
        return [self.vocab[p] for p in parts]

    def encode(self, text):
        out, cache = [], self.cache
        for part in _MARKER.split(text):
            if part in self.markers:
                out.append(self.markers[part])
                continue
            for piece in _PIECE.findall(part):
                ids = cache.get(piece)
                if ids is None:
                    ids = self._bpe(piece)
                    if len(cache) < 200000:
                        cache[piece] = ids
                out += ids
        return out

    def decode(self, ids):
        return b"".join(self.texts[int(i)] for i in ids).decode("utf-8", "replace")

    def save(self, path):
        with open(path, "w", encoding="utf-8") as f:
            json.dump([[a.hex(), b.hex()] for a, b in self.merges], f)

    @staticmethod
    def load(path):
        with open(path, encoding="utf-8") as f:
            return Tokenizer([(bytes.fromhex(a), bytes.fromhex(b)) for a, b in json.load(f)])


def learn(text, vocab_size):
    """Merges by pair frequency. Two merges never make the same token, so that every id has one spelling."""
    counts = collections.Counter()
    for part in _MARKER.split(text):
        if part not in MARKERS:
            counts.update(_PIECE.findall(part))
    words = [([bytes([b]) for b in p.encode()], n) for p, n in counts.items() if len(p) > 1 and n > 1]
    pairs, where = collections.Counter(), collections.defaultdict(set)
    for i, (parts, n) in enumerate(words):
        for pair in zip(parts, parts[1:]):
            pairs[pair] += n
            where[pair].add(i)
    merges, made = [], set()
    while len(merges) < vocab_size - 256 - len(MARKERS):
        pair = max(pairs, key=lambda p: (pairs[p], p))
        if pairs[pair] < 2:
            break
        joined = pair[0] + pair[1]
        if joined in made:
            pairs[pair] = 0
            continue
        merges.append(pair)
        made.add(joined)
        for i in list(where[pair]):
            parts, n = words[i]
            for p in zip(parts, parts[1:]):
                pairs[p] -= n
            k = 0
            while k < len(parts) - 1:
                if (parts[k], parts[k + 1]) == pair:
                    parts[k : k + 2] = [joined]
                k += 1
            for p in zip(parts, parts[1:]):
                pairs[p] += n
                where[p].add(i)
        pairs[pair] = 0
    return Tokenizer(merges)
