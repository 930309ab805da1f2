"""Word problems with worked steps, bare sums, and small comparisons. Final line "#### N", as in the suites."""
from . import words as w

THINGS = "apples pens books coins stamps eggs cards shells marbles tickets bottles stones buttons candles".split()
STARTS = [
    "{p} has {x} {t}.", "{p} starts with {x} {t}.", "There are {x} {t} on the table of {p}.",
    "At first {p} owns {x} {t}.", "{p} packs {x} {t} into a box.", "~In the morning {p} counts {x} {t}.",
    "~{p} keeps {x} {t} at home.",
]
GAINS = [
    " {p} buys {n} more.", " {p} finds {n} more.", " A friend gives {p} {n} {t}.", " Then {n} more {t} arrive.",
    " {p} adds another {n} {t}.", "~ Later {p} gets {n} extra {t}.", "~ {q} brings {n} more {t}.",
]
LOSSES = [
    " Then {p} gives away {n}.", " {p} loses {n}.", " {p} sells {n} {t}.", " {n} of them break.",
    " {q} takes {n} of the {t}.", "~ After that {n} {t} are gone.", "~ {p} hands {n} {t} to {q}.",
]
TIMES = [
    " The number of {t} grows {n} times.", " Now {p} has {n} times as many.", " {p} then multiplies the {t} by {n}.",
    "~ In the end there are {n} times as many {t}.",
]
SHARES = [
    " {p} splits them evenly into {n} bags and keeps one bag.", " {p} keeps only one of {n} equal parts.",
    "~ {p} shares them equally among {n} people and keeps one share.",
]
ASKS = [
    " How many {t} are there now?", " How many {t} does {p} have?", " How many {t} does {p} have in the end?",
    "~ What is the number of {t} at the end?",
]


def story(v, steps=None):
    """A word problem of 1-5 steps, values up to 999; a quarter in thinking mode (steps as reasoning)."""
    p, q, t = v.name(), v.name(), v.choice(THINGS)
    x = v.randint(2, 60) if v.random() < 0.5 else v.randint(20, 400)
    text, work = v.say(STARTS).format(p=p, x=x, t=t), []
    for _ in range(steps or v.choice((1, 2, 2, 3, 3, 4, 5))):
        divisors = [d for d in range(2, 10) if x % d == 0]
        ops = ["+", "+", "-", "-"] + (["*"] if x <= 110 else []) + (["/"] if divisors and x > 9 else [])
        op = v.choice(ops)
        if x < 3 and op == "-":
            op = "+"
        if op == "+":
            n = v.randint(2, 40) if v.random() < 0.5 else v.randint(2, max(3, min(300, 999 - x)) if x < 900 else 40)
            y, form = x + n, GAINS
        elif op == "-":
            n, form = v.randint(1, x - 1), LOSSES
            y = x - n
        elif op == "*":
            n, form = v.randint(2, 9 if x < 60 else 4), TIMES
            y = x * n
        else:
            n, form = v.choice(divisors), SHARES
            y = x // n
        text += v.say(form).format(p=p, q=q, n=n, t=t)
        work.append(f"{x} {op} {n} = {y}.")
        x = y
    text += v.say(ASKS).format(p=p, t=t)
    if v.random() < 0.25:
        return w.chat(text, f"#### {x}", w.maybe_system(v), thinking=" ".join(work))
    return w.chat(text, " ".join(work) + f"\n#### {x}", w.maybe_system(v))


SUMS = ["What is {e}?", "Calculate {e}.", "Compute {e}.", "{e} = ?", "~How much is {e}?", "~Work out {e}."]


def bare(v):
    """One sum, difference, product or quotient."""
    k, big = v.random(), v.random() < 0.5
    top = 999 if big else 99
    if k < 0.4:
        a, b, op = v.randint(1, top), v.randint(1, top), "+"
        c = a + b
    elif k < 0.75:
        a, b = sorted((v.randint(1, top), v.randint(1, top)), reverse=True)
        op, c = "-", a - b
    elif k < 0.92:
        a, b, op = v.randint(2, 99), v.randint(2, 9), "*"
        c = a * b
    else:
        b, c, op = v.randint(2, 9), v.randint(2, 40), "/"
        a = b * c
    expression = f"{a} {op} {b}"
    return w.chat(v.say(SUMS).format(e=expression), f"{expression} = {c}.\n#### {c}", w.maybe_system(v, 0.1))


COMPARES = ["Which is larger, {a} or {b}?", "Which number is bigger: {a} or {b}?", "~Is {a} or {b} the larger number?"]


def compare(v):
    a, b = v.randint(1, 9999), v.randint(1, 9999)
    if a == b:
        b += 1
    return w.chat(v.say(COMPARES).format(a=a, b=b), f"{max(a, b)} is larger.\n#### {max(a, b)}")


def sample(v):
    k = v.random()
    return story(v) if k < 0.55 else bare(v) if k < 0.93 else compare(v)
