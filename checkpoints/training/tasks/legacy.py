"""The prompts of the first prototype, string for string, so that suites written for its checkpoint fit this one too."""
import json

from . import needle
from . import words as w

SYSTEMS = ["Read the text and answer the question.", "Remember the facts in this text.", "Here is a long document."]
KINDS = [("secret access code for", w.NAMES), ("vault password for", w.CITIES), ("serial key of project", w.PROJECTS)]
ADJECTIVES = w.ADJECTIVES[:18]
NOUNS = w.NOUNS[:20]


def facts(v, n, code_length=None):
    length = code_length or v.choice((4, 6, 6, 8))
    seen, out = set(), []
    while len(out) < n:
        kind, pool = v.choice(KINDS)
        subject = v.choice(pool)
        if (kind, subject) not in seen:
            seen.add((kind, subject))
            text = f"The {kind} {subject} is {v.code(length)}."
            out.append((text, f"What is the {kind} {subject}?", text))
    return out


def needle_sample(v, tokenizer, pool, length, n_facts, n_questions, depth=None):
    return needle.sample(v, tokenizer, pool, length, n_facts, n_questions, depth, make=facts, frames=SYSTEMS)


PARAMETERS = {
    "get_weather": ("Get the current weather for a city", [("city", "s")]),
    "get_time": ("Get the local time of a city", [("city", "s")]),
    "send_email": ("Send an email to a person", [("to", "s"), ("subject", "s")]),
    "set_timer": ("Start a timer", [("minutes", "i")]),
    "book_table": ("Book a table at a restaurant", [("city", "s"), ("guests", "i")]),
    "convert_currency": ("Convert money", [("amount", "i"), ("to", "s")]),
    "search_files": ("Search files by word", [("query", "s"), ("limit", "i")]),
    "read_file": ("Read a file", [("path", "s")]),
}


def tool(v):
    """Short form: a bare '## Tools' list before the user turn and no newlines before the call block."""
    names = v.sample(list(PARAMETERS), v.randint(1, 3))
    t = v.choice(names)
    c, n, p, word = v.choice(w.CITIES), v.randint(2, 99), v.choice(w.NAMES), v.choice(NOUNS)
    path, money = f"src/{v.choice(w.VARIABLES[:10])}.py", v.choice(("EUR", "USD", "JPY", "GBP"))
    asks, values = {
        "get_weather": ([f"What is the weather in {c}?", f"Is it raining in {c} now?", f"Tell me the weather for {c}."], [c]),
        "get_time": ([f"What time is it in {c}?", f"Tell me the local time of {c}."], [c]),
        "send_email": ([f"Send {p} an email about the {word}.", f"Email {p} with subject {word}."], [p, word]),
        "set_timer": ([f"Set a timer for {n} minutes.", f"Start a {n} minute timer."], [n]),
        "book_table": ([f"Book a table for {n} in {c}.", f"I need a table in {c} for {n} guests."], [c, n]),
        "convert_currency": ([f"Convert {n} to {money}.", f"How much is {n} in {money}?"], [n, money]),
        "search_files": ([f"Find {n} files with the word {word}.", f"Search for {word}, show {n} files."], [word, n]),
        "read_file": ([f"Open {path}.", f"Show me the file {path}."], [path]),
    }[t]
    lines = [
        json.dumps({"name": x, "description": PARAMETERS[x][0],
                    "parameters": {k: "string" if kind == "s" else "integer" for k, kind in PARAMETERS[x][1]}})
        for x in names
    ]
    body = "".join(
        f'<{w.DSML}parameter name="{k}" string="{"true" if kind == "s" else "false"}">{x}</{w.DSML}parameter>\n'
        for (k, kind), x in zip(PARAMETERS[t][1], values)
    )
    answer = f'<{w.DSML}tool_calls>\n<{w.DSML}invoke name="{t}">\n{body}</{w.DSML}invoke>\n</{w.DSML}tool_calls>'
    return w.chat(v.choice(asks), answer, "## Tools\n" + "\n".join(lines) + "\n")


THINGS = "apples pens books coins stamps eggs cards shells marbles tickets".split()


def story(v):
    p, t, x = v.choice(w.NAMES), v.choice(THINGS), v.randint(2, 60)
    text = v.choice((f"{p} has {x} {t}.", f"{p} starts with {x} {t}.", f"There are {x} {t} on the table of {p}."))
    work = []
    for _ in range(v.randint(1, 3)):
        op = v.choice("+-*" if x <= 15 else "+-")
        if op == "+":
            n = v.randint(2, 40)
            y, forms = x + n, (f" {p} buys {n} more.", f" {p} finds {n} more.", f" A friend gives {p} {n} {t}.")
        elif op == "-":
            n = 1 if x < 3 else v.randint(1, x - 1)
            y, forms = x - n, (f" Then {p} gives away {n}.", f" {p} loses {n}.", f" {p} sells {n} {t}.")
        else:
            n = v.randint(2, 6)
            y, forms = x * n, (f" The number of {t} grows {n} times.", f" Now {p} has {n} times as many.")
        text += v.choice(forms)
        work.append(f"{x} {op} {n} = {y}.")
        x = y
    text += v.choice((f" How many {t} are there now?", f" How many {t} does {p} have?"))
    return w.chat(text, " ".join(work) + f"\n#### {x}")


def plus(v):
    a, b = v.randint(1, 99), v.randint(1, 99)
    op = v.choice("+-")
    if op == "-":
        a, b = max(a, b), min(a, b)
    c = a + b if op == "+" else a - b
    return w.chat(f"What is {a} {op} {b}?", f"{a} {op} {b} = {c}.\n#### {c}")


NAMES = "sum_items find_max count_even copy_array average_score reverse_list scale_values last_index".split()


def review(v):
    f, a = v.choice(NAMES), v.choice("items values data scores nums rows".split())
    t, i = v.choice(("total", "best", "acc", "result")), v.choice("ijk")
    bug, op = v.choice(("obo", "obo", "start", "op", "ret", "none")), v.choice("++*")
    bad = {"+": "-", "*": "/"}[op]
    used, first = (bad if bug == "op" else op), ("1" if bug == "start" else "0")
    unit, word = (0, "sum") if op == "+" else (1, "product")
    if v.random() < 0.5:
        source = (
            f"int {f}(int *{a}, int n) {{\n  int {t} = {unit}; // {word} of {a}\n"
            f"  for (int {i} = {first}; {i} {'<=' if bug == 'obo' else '<'} n; {i}++)\n    {t} = {t} {used} {a}[{i}];\n"
        ) + ("}" if bug == "ret" else f"  return {t};\n}}")
        fix = f"{i} < n"
    else:
        end = f"len({a}) + 1" if bug == "obo" else f"len({a})"
        source = (
            f"def {f}({a}):\n  # {word} of {a}\n  {t} = {unit}\n  for {i} in range({first}, {end}):\n"
            f"    {t} = {t} {used} {a}[{i}]\n"
        ) + ("" if bug == "ret" else f"  return {t}\n")
        fix = f"range(0, len({a}))"
    answer = {
        "obo": f"Off-by-one error in {f}: the loop reads one element past the end of {a}; use {fix}.",
        "start": f"Off-by-one error in {f}: the loop skips the first element of {a}; start {i} at 0.",
        "op": f"Wrong operator in {f}: {t} should use {op} instead of {bad}.",
        "ret": f"Missing return in {f}: add return {t}.",
        "none": f"No bug found in {f}.",
    }[bug]
    ask = v.choice(("Review this function.", "Find the bug in this code.", "Is there a bug here?"))
    return w.chat(f"{ask}\n{source}", answer)


CHAT = [
    ("Hello!", "Hello! How can I help you?"), ("Hi, who are you?", "I am a tiny test model."),
    ("What is the capital of France?", "The capital of France is Paris."),
    ("What is the capital of Japan?", "The capital of Japan is Tokyo."),
    ("What is the capital of Italy?", "The capital of Italy is Rome."),
    ("What is the capital of Spain?", "The capital of Spain is Madrid."),
    ("What is the capital of Germany?", "The capital of Germany is Berlin."),
    ("What is the capital of Norway?", "The capital of Norway is Oslo."),
    ("Say OK.", "OK"), ("Reply with the word ready.", "ready"),
    ("How many days are in a week?", "There are seven days in a week."), ("What color is the sky?", "The sky is blue."),
    ("Count from one to five.", "one two three four five"), ("List the first three primes.", "2, 3, 5"),
    ("What is water made of?", "Water is made of hydrogen and oxygen."), ("Thank you!", "You are welcome!"),
    ("Is the earth round?", "Yes, the earth is round."), ("What is the opposite of hot?", "cold"),
    ("Write a haiku about rain.", "Soft rain on the roof\nthe river sings to the stones\nmorning comes in green"),
    ("Name a primary color.", "red"),
]


def chat(v):
    return w.chat(*v.choice(CHAT))


def sample(v):
    k = v.random()
    make = tool if k < 0.24 else story if k < 0.54 else plus if k < 0.7 else review if k < 0.92 else chat
    return make(v)
