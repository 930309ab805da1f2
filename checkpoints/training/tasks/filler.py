"""Filler lines: the text around needles. Templated prose, log lines, code, records, and real English when a file is given."""
import json

from . import words as w


def prose(v):
    c, adj, noun, verb = v.choice, w.ADJECTIVES, w.NOUNS, w.VERBS
    return v.choice((
        lambda: f"The {c(adj)} {c(noun)} {c(verb)} the {c(adj)} {c(noun)} {c(w.PLACES)}.",
        lambda: f"{c(w.TIMES)}, {v.name()} {c(verb)} the {c(noun)} {c(w.PLACES)}.",
        lambda: f"{v.name()} said that the {c(noun)} was {c(adj)} and {c(adj)}.",
        lambda: f"Nobody in {v.name(w.CITIES)} {c(verb)} a {c(adj)} {c(noun)} again.",
        lambda: f"{c(w.TIMES)}, the {c(noun)} and the {c(noun)} were {c(adj)}.",
        lambda: f"It was a {c(adj)} day and the {c(noun)} looked {c(adj)}.",
        lambda: f"{v.name()} and {v.name()} walked to the {c(noun)} {c(w.PLACES)}.",
        lambda: f"A {c(adj)} {c(noun)} is often more {c(adj)} than a {c(adj)} {c(noun)}.",
        lambda: f"Why did {v.name()} think that the {c(noun)} {c(w.PLACES)} was {c(adj)}?",
        lambda: f"There were {v.randint(2, 90)} {c(noun)}s {c(w.PLACES)}, and {v.name()} {c(verb)} all of them.",
        lambda: "The grass is green. The sky is blue. The sun is yellow. Here we go. There and back again.",
    ))()


def log_line(v):
    c = v.choice
    head = f"[{c(w.LEVELS)}] {c(w.SERVICES)}:"
    return v.choice((
        lambda: f"{head} request {v.randrange(10000)} served in {v.randrange(1000)} ms",
        lambda: f"{head} retry {v.randrange(10)} after timeout on node {v.randrange(100)}",
        lambda: f"{head} {v.randrange(100)} items in queue, user {v.name()} connected from {v.name(w.CITIES)}",
        lambda: f"{head} cache hit for key {v.code(4)}",
        lambda: f"BLOCK {v.randrange(1000000):06d}: the {c(w.NOUNS)} is {c(w.ADJECTIVES)}. Nothing else happened here.",
    ))()


def code_line(v):
    c, var = v.choice, w.VARIABLES
    return v.choice((
        lambda: f"    {c(var)} = {c(w.FUNCTIONS)}({c(var)}, {v.randrange(100)})",
        lambda: f"    if {c(var)} > {v.randrange(100)}: return {c(var)}",
        lambda: f"    for {c(var)} in {c(w.FUNCTIONS)}({c(var)}):",
        lambda: f"    {c(var)} += {c(var)} * {v.randrange(10)}",
        lambda: f"def {c(w.FUNCTIONS)}({c(var)}, {c(var)}):",
        lambda: f"  for (int {c('ijk')} = 0; {c('ijk')} < {c(var)}; {c('ijk')}++)",
    ))()


def record_line(v):
    c = v.choice
    return v.choice((
        lambda: json.dumps({"user": v.name(), "city": v.name(w.CITIES), "visits": v.randrange(100)}),
        lambda: f"{v.randrange(1000)},{v.name()},{c(w.NOUNS)},{v.randrange(1000)}",
        lambda: f"{c(w.SERVICES)}.{c(w.VARIABLES)} = {v.randrange(1000)}",
        lambda: f"- {c(w.ADJECTIVES)} {c(w.NOUNS)}, {v.randrange(2, 60)} pieces",
        lambda: f"## {c(w.ADJECTIVES).capitalize()} {c(w.NOUNS)}",
        lambda: f"{v.name()}: I {c(w.VERBS)} the {c(w.NOUNS)} {c(w.PLACES)}.",
    ))()


def line(v):
    k = v.random()
    if k < 0.45:
        return prose(v)
    if k < 0.70:
        return log_line(v)
    if k < 0.88:
        return code_line(v)
    return record_line(v)


def english(paths, held):
    """Paragraph pieces of public-domain speeches (JSON lines with a `text` key); every fourth speech is held out."""
    out = []
    for path in paths:
        with open(path, encoding="utf-8") as f:
            for i, row in enumerate(f):
                if (i % 4 == 3) != held:
                    continue
                text = json.loads(row)["text"].encode("ascii", "ignore").decode()
                out += [p[i : i + 240].strip() for p in text.split("\n") for i in range(0, len(p), 240) if len(p) > 40]
    return out


def token_pool(voice, tokenizer, n, speeches=()):
    """n encoded filler lines, each ending in a newline; a sixth of them real English where speeches are given."""
    lines = [voice.choice(speeches) if speeches and voice.random() < 0.17 else line(voice) for _ in range(n)]
    return [tokenizer.encode(x + "\n") for x in lines]
