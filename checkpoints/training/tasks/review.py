"""Code review: one function with a known defect, or none; plain or with line numbers; and long files with one bad function."""
from . import words as w

VERBS = "sum find count copy average reverse scale check fill collect".split()
OBJECTS = "items max even array score list values index rows scores names pixels".split()
HELD_OBJECTS = "prices tokens samples".split()
ARRAYS = "items values data scores nums rows cells points".split()
TARGETS = "total best acc result value state".split()
ASKS = [
    "Review this function.", "Find the bug in this code.", "Is there a bug here?", "Please check this code.",
    "What is wrong with this function?", "~Can you spot a mistake in this function?", "~Look for defects in this code.",
]
ASKS_NUMBERED = [
    "Review this function and name the line.", "Which line has the bug?", "Find the bug and give its line number.",
    "~Point to the faulty line.",
]
DEFECTS = ("obo", "obo", "start", "op", "ret", "init", "none", "none")


def function(v, defect):
    """-> (lines of source, 1-based line of the defect, text of the finding without its line)"""
    name = f"{v.choice(VERBS)}_{v.choice(HELD_OBJECTS if v.held else OBJECTS)}"
    a, t, i = v.choice(ARRAYS), v.choice(TARGETS), v.choice("ijk")
    op, word, unit = v.choice((("+", "sum", 0), ("+", "sum", 0), ("*", "product", 1)))
    bad = {"+": "-", "*": "/"}[op]
    used = bad if defect == "op" else op
    first = "1" if defect == "start" else "0"
    start = 7 if defect == "init" else unit
    style = v.choice(("c", "py", "while"))
    if style == "c":
        test = "<=" if defect == "obo" else "<"
        lines = [f"int {name}(int *{a}, int n) {{", f"  int {t} = {start}; // {word} of {a}",
                 f"  for (int {i} = {first}; {i} {test} n; {i}++)", f"    {t} = {t} {used} {a}[{i}];", f"  return {t};", "}"]
        fix, at = f"{i} < n", {"obo": 3, "start": 3, "op": 4, "ret": 5, "init": 2}
    elif style == "py":
        end = f"len({a}) + 1" if defect == "obo" else f"len({a})"
        lines = [f"def {name}({a}):", f"  # {word} of {a}", f"  {t} = {start}", f"  for {i} in range({first}, {end}):",
                 f"    {t} = {t} {used} {a}[{i}]", f"  return {t}"]
        fix, at = f"range(0, len({a}))", {"obo": 4, "start": 4, "op": 5, "ret": 6, "init": 3}
    else:
        test = "<=" if defect == "obo" else "<"
        lines = [f"int {name}(const int *{a}, int n) {{", f"  int {t} = {start}, {i} = {first}; // {word} of {a}",
                 f"  while ({i} {test} n) {{", f"    {t} {used}= {a}[{i}];", f"    {i}++;", "  }", f"  return {t};", "}"]
        fix, at = f"{i} < n", {"obo": 3, "start": 2, "op": 4, "ret": 7, "init": 2}
    if defect == "ret":
        del lines[at["ret"] - 1]
    finding = {
        "obo": f"Off-by-one error in {name}: the loop reads one element past the end of {a}; use {fix}.",
        "start": f"Off-by-one error in {name}: the loop skips the first element of {a}; start {i} at 0.",
        "op": f"Wrong operator in {name}: {t} should use {op} instead of {bad}.",
        "ret": f"Missing return in {name}: add return {t}.",
        "init": f"Wrong start value in {name}: {t} should begin with {unit}.",
        "none": f"No bug found in {name}.",
    }[defect]
    return lines, at.get(defect, 0), finding


def sample(v, defect=None):
    defect = defect or v.choice(DEFECTS)
    lines, at, finding = function(v, defect)
    if v.random() < 0.45:
        first = v.choice((1, 1, v.randint(2, 200)))
        source = "\n".join(f"{first + k}| {x}" for k, x in enumerate(lines))
        if at:
            finding = f"Line {first + at - 1}: {finding}"
        return w.chat(f"{v.say(ASKS_NUMBERED)}\n{source}", finding, w.maybe_system(v, 0.1))
    return w.chat(f"{v.say(ASKS)}\n" + "\n".join(lines), finding, w.maybe_system(v, 0.1))


FRAMES = [
    "Review this code.", "Read the following source file.", "Here is a long source file.",
    "~Study the code below.",
]
LONG_ASKS = [
    "Which function has an off-by-one error?", "Is there an off-by-one error in this code? Name the function.",
    "Find the off-by-one error.", "~Does any loop run one step too far? Name the function.",
]


def long_sample(v, tokenizer, length, buggy=None, depth=None):
    """A file of about `length` tokens made of sound functions and, in three of four, one that reads past the end."""
    enc = tokenizer.encode
    buggy = v.random() < 0.75 if buggy is None else buggy
    head = enc(f"{w.BOS}{w.USER}{v.say(FRAMES)}\n")
    bad, _, finding = function(v, "obo")
    finding = finding if buggy else "No bug found in this code."
    question = enc("\n" + v.say(LONG_ASKS) + w.REPLY)
    answer = enc(finding + w.EOS)
    piece = enc("\n".join(bad) + "\n\n") if buggy else []
    room = length - len(head) - len(question) - len(answer) - len(piece)
    parts, used = [], 0
    while True:
        part = enc("\n".join(function(v, "none")[0]) + "\n\n")
        if used + len(part) > room:
            break
        parts.append(part)
        used += len(part)
    at = round((v.random() if depth is None else depth) * len(parts))
    parts.insert(at, piece)
    body = [x for part in parts for x in part]
    return head + body + question + answer, [0] * (len(head) + len(body) + len(question)) + [1] * len(answer)
