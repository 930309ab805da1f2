"""Facts hidden in filler, asked at the end: several kinds of key, several shapes of value, several questions per text."""
from . import words as w

# (kind, pool of subjects, value shapes); "~" = held out
KINDS = [
    ("secret access code for", w.NAMES, "code"),
    ("vault password for", w.CITIES, "code"),
    ("serial key of project", w.PROJECTS, "code"),
    ("secret code of", w.NAMES, "code hyphen"),
    ("locker number of", w.NAMES, "digits"),
    ("phone extension of", w.NAMES, "digits"),
    ("license plate of", w.NAMES, "plate"),
    ("tracking number for", w.CITIES, "hyphen digits"),
    ("session token of", w.PROJECTS, "hex"),
    ("pass phrase of", w.NAMES, "words"),
    ("port of service", w.SERVICES, "digits"),
    ("magic number of", w.CITIES, "digits"),
    ("~badge number of", w.NAMES, "digits"),
    ("~door password for", w.CITIES, "code hyphen"),
    ("~secret key of project", w.PROJECTS, "hex code"),
]
STATEMENTS = [
    "The {k} {s} is {v}.",
    "The {k} {s} is {v}.",
    "Note: the {k} {s} is {v}.",
    "{v} is the {k} {s}.",
    "Remember that the {k} {s} is {v}.",
    "IMPORTANT NEEDLE: The {k} {s} is {v}.",
    "By the way, the {k} {s} is {v}.",
    "~Do not forget: the {k} {s} is {v}.",
    "~Everyone knows that {v} is the {k} {s}.",
]
QUESTIONS = [
    "What is the {k} {s}?",
    "What is the {k} {s}?",
    "Tell me the {k} {s}.",
    "Please find the {k} {s} in the text.",
    "According to the text, what is the {k} {s}?",
    "~Which value is the {k} {s}?",
    "~I need the {k} {s}. What is it?",
]
VALUE_ONLY = [" Answer with the value only.", " Reply with the value only.", "~ Give the value only."]
FRAMES = [
    "Read the text and answer the question.",
    "Remember the facts in this text.",
    "Here is a long document.",
    "Some facts are hidden in the following text.",
    "Study these notes. A question follows.",
    "~Look at the following lines and answer what is asked.",
]


def value(v, shape):
    if shape == "code":
        return v.code(v.choice((4, 6, 6, 8)))
    if shape == "hyphen":
        return f"{v.code(4)}-{v.code(4)}" if v.random() < 0.6 else f"SPARK-NEEDLE-{v.randrange(1000, 200000)}-{v.code(4)}"
    if shape == "digits":
        return v.digits(v.choice((3, 4, 5, 7)))
    if shape == "plate":
        return f"{v.choice(w.CODE_ALPHABET[:24])}{v.choice(w.CODE_ALPHABET[:24])}-{v.digits(3)}-{v.choice(w.CODE_ALPHABET[:24])}"
    if shape == "hex":
        return "".join(v.choice("0123456789abcdef") for _ in range(8))
    return "-".join(v.choice(w.ADJECTIVES + w.NOUNS) for _ in range(3))


def facts(v, n):
    """n facts as (statement, question, answer), subjects different within a kind."""
    seen, out = set(), []
    while len(out) < n:
        kind, pool, shapes = v.pick(KINDS)
        subject = v.choice(pool) if pool is w.SERVICES else v.name(pool)
        if (kind, subject) in seen:
            continue
        seen.add((kind, subject))
        put = {"k": kind, "s": subject, "v": value(v, v.choice(shapes.split()))}
        question, answer = v.say(QUESTIONS).format(**put), "The {k} {s} is {v}.".format(**put)
        if v.random() < 0.2:
            question, answer = question + v.say(VALUE_ONLY), put["v"]
        out.append((v.say(STATEMENTS).format(**put), question, answer))
    return out


def scatter(v, pieces, lines, depths):
    """Token lists `pieces` put between filler lines at the given depth fractions -> one token list."""
    total = sum(map(len, lines))
    order = sorted(zip(depths, pieces), key=lambda x: x[0])
    body, k = [], 0
    for line in lines:
        while k < len(order) and order[k][0] * total <= len(body):
            body += order[k][1]
            k += 1
        body += line
    for _, piece in order[k:]:
        body += piece
    return body


def fill(v, pool, room):
    lines, used = [], 0
    while True:
        line = v.choice(pool)
        if used + len(line) > room:
            return lines
        lines.append(line)
        used += len(line)


def sample(v, tokenizer, pool, length, n_facts, n_questions, depth=None, make=facts, frames=FRAMES):
    """Ids and mask of about `length` tokens. `depth` fixes the place of the first fact asked, else all are random."""
    enc = tokenizer.encode
    found = make(v, n_facts)
    asked = v.sample(range(n_facts), n_questions)
    head = enc(f"{w.BOS}{w.maybe_system(v, 0.1)}{w.USER}{v.say(frames)}\n")
    tail, mask = [], []
    for i, q in enumerate(asked):
        ask = enc((w.USER if i else "\n") + found[q][1] + w.REPLY)
        reply = enc(found[q][2] + w.EOS)
        tail += ask + reply
        mask += [0] * len(ask) + [1] * len(reply)
    pieces = [enc(f[0] + "\n") for f in found]
    lines = fill(v, pool, length - len(head) - len(tail) - sum(map(len, pieces)))
    depths = [v.random() for _ in pieces]
    if depth is not None:
        depths[asked[0]] = depth
    body = scatter(v, pieces, lines, depths)
    return head + body + tail, [0] * (len(head) + len(body)) + mask
