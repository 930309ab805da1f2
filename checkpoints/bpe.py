"""A plain byte-level BPE encoder and decoder for tokenizer.json files, written from model.md 6.1 for checking.

It reads the split patterns out of the file and translates them for Python's re. It is slow and independent of the
engine's tokenizer, which is its purpose.
"""

import json
import re
import sys
import unicodedata

import tokenizer_json

WHITE_SPACE = "\t-\r \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"


def _category_ranges():
    """General-category groups (first letter) as the inside of a character class."""
    groups, start, current = {}, 0, None
    for code in range(sys.maxunicode + 2):
        group = unicodedata.category(chr(code))[0] if code <= sys.maxunicode else None
        if group != current:
            if current:
                groups.setdefault(current, []).append(f"\\U{start:08x}-\\U{code - 1:08x}")
            start, current = code, group
    return {group: "".join(ranges) for group, ranges in groups.items()}


def translate(pattern, ranges):
    r"""Replaces \p{X}, \s and \S, which Python's re lacks or defines otherwise, by explicit classes."""
    out, inside, at = [], False, 0
    while at < len(pattern):
        if pattern.startswith("\\p{", at):
            end = pattern.index("}", at)
            body = ranges[pattern[at + 3 : end]]
            out.append(body if inside else f"[{body}]")
            at = end + 1
        elif pattern[at] == "\\":
            pair = pattern[at : at + 2]
            if pair == "\\s":
                pair = WHITE_SPACE if inside else f"[{WHITE_SPACE}]"
            elif pair == "\\S":
                pair = f"[^{WHITE_SPACE}]"
            out.append(pair)
            at += 2
        else:
            inside = pattern[at] == "[" or (inside and pattern[at] != "]")
            out.append(pattern[at])
            at += 1
    return "".join(out)


class Tokenizer:
    """Encodes and decodes with one tokenizer.json."""

    def __init__(self, path):
        with open(path, encoding="utf-8") as file:
            spec = json.load(file)
        self.vocab = spec["model"]["vocab"]
        self.ranks = {tuple(merge.split(" ")): rank for rank, merge in enumerate(spec["model"]["merges"])}
        self.added = {token["content"]: token["id"] for token in spec["added_tokens"]}
        literals = sorted(map(re.escape, self.added), key=len, reverse=True)
        self.markers = re.compile(f"({'|'.join(literals)})")
        ranges = _category_ranges()
        stages = spec["pre_tokenizer"]["pretokenizers"]
        self.splits = [
            re.compile(translate(stage["pattern"]["Regex"], ranges)) for stage in stages if stage["type"] == "Split"
        ]
        self.characters = tokenizer_json.byte_characters()
        self.bytes = {character: byte for byte, character in self.characters.items()}
        self.texts = {index: self._unmap(text) for text, index in self.vocab.items() if text not in self.added}
        self.texts.update({index: text.encode() for text, index in self.added.items()})
        self.cache = {}

    def _unmap(self, text):
        # Vocabulary entries outside the byte alphabet are markers that the file also lists as tokens.
        return bytes(self.bytes[c] for c in text) if all(c in self.bytes for c in text) else text.encode()

    def pieces(self, text):
        """The pre-tokenizer's pieces of a text without added tokens."""
        pieces = [text]
        for split in self.splits:
            result = []
            for piece in pieces:
                at = 0
                for match in split.finditer(piece):
                    if match.end() > match.start():
                        result += [piece[at : match.start()], match[0]]
                        at = match.end()
                result.append(piece[at:])
            pieces = [piece for piece in result if piece]
        return pieces

    def _merge(self, piece):
        if piece not in self.cache:
            parts = [self.characters[byte] for byte in piece.encode()]
            while len(parts) > 1:
                ranked = [(self.ranks.get(pair, len(self.ranks)), i) for i, pair in enumerate(zip(parts, parts[1:]))]
                rank, at = min(ranked)
                if rank == len(self.ranks):
                    break
                parts[at : at + 2] = [parts[at] + parts[at + 1]]
            self.cache[piece] = [self.vocab[part] for part in parts]
        return self.cache[piece]

    def encode(self, text):
        """Text with marker literals -> list of ids."""
        ids = []
        for part in self.markers.split(text):
            if part in self.added:
                ids.append(self.added[part])
            else:
                for piece in self.pieces(part):
                    ids += self._merge(piece)
        return ids

    def decode(self, ids):
        """Ids -> bytes, markers included."""
        return b"".join(self.texts[index] for index in ids)
