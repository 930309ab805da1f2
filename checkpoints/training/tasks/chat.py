"""Short chat: fixed exchanges and a small set of facts, each asked in several ways."""
from . import words as w

CAPITALS = dict(
    France="Paris", Japan="Tokyo", Italy="Rome", Spain="Madrid", Germany="Berlin", Norway="Oslo", Austria="Vienna",
    Portugal="Lisbon", Ireland="Dublin", Greece="Athens", Egypt="Cairo", Peru="Lima", Ecuador="Quito", India="Delhi",
    Vietnam="Hanoi", Kenya="Nairobi", Tunisia="Tunis", Latvia="Riga", Sweden="Stockholm", Poland="Warsaw",
)
OPPOSITES = dict(
    hot="cold", big="small", old="new", fast="slow", wet="dry", high="low", open="closed", day="night", early="late",
    strong="weak", empty="full", light="dark", left="right", first="last", rich="poor", hard="soft",
)
LEGS = dict(spider="eight", dog="four", bird="two", ant="six", cat="four", horse="four", snake="no", beetle="six")
DAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()
MONTHS = "January February March April May June July August September October November December".split()
FIXED = [
    (["Hello!", "Hi there!", "Good morning!", "~Hello there!"], "Hello! How can I help you?"),
    (["Hi, who are you?", "Who are you?", "What are you?", "~Tell me who you are."], "I am a tiny test model."),
    (["Say OK.", "Please say OK.", "~Say OK now."], "OK"),
    (["Reply with the word ready.", "Say ready.", "~Please reply with ready."], "ready"),
    (["How many days are in a week?", "How many days does a week have?", "~Days in a week?"], "There are seven days in a week."),
    (["What color is the sky?", "Which color does the sky have?", "~The sky has which color?"], "The sky is blue."),
    (["Count from one to five.", "Count to five.", "~Please count from one to five."], "one two three four five"),
    (["List the first three primes.", "What are the first three primes?", "~Name the first three primes."], "2, 3, 5"),
    (["What is water made of?", "What does water consist of?", "~Water is made of what?"], "Water is made of hydrogen and oxygen."),
    (["Thank you!", "Thanks!", "~Many thanks!"], "You are welcome!"),
    (["Is the earth round?", "Is the earth flat or round?", "~Tell me if the earth is round."], "Yes, the earth is round."),
    (["Write a haiku about rain.", "A haiku about rain, please.", "~Please write a haiku about rain."],
     "Soft rain on the roof\nthe river sings to the stones\nmorning comes in green"),
    (["Name a primary color.", "Give me a primary color.", "~Which is a primary color?"], "red"),
]
ECHOES = ["Repeat this: {x}", "Say this again: {x}", "Copy this text: {x}", "~Write this once more: {x}"]


def sample(v):
    k = v.random()
    if k < 0.3:
        questions, answer = v.choice(FIXED)
        return w.chat(v.say(questions), answer, w.maybe_system(v))
    if k < 0.5:
        c, x = v.choice(list(CAPITALS.items()))
        q = v.say([f"What is the capital of {c}?", f"Name the capital of {c}.", f"Which city is the capital of {c}?",
                   f"~Tell me the capital of {c}."])
        return w.chat(q, f"The capital of {c} is {x}.", w.maybe_system(v))
    if k < 0.62:
        a, b = v.choice(list(OPPOSITES.items()))
        return w.chat(v.say([f"What is the opposite of {a}?", f"Give the opposite of {a}.", f"~Name the opposite of {a}."]), b)
    if k < 0.7:
        a, n = v.choice(list(LEGS.items()))
        q = v.say([f"How many legs does a {a} have?", f"How many legs has a {a}?", f"~Tell me how many legs a {a} has."])
        return w.chat(q, f"A {a} has {n} legs.")
    if k < 0.82:
        names = v.choice((DAYS, MONTHS))
        i, step = v.randrange(len(names)), v.choice((1, -1))
        word = "after" if step > 0 else "before"
        q = v.say([f"Which comes {word} {names[i]}?", f"What comes {word} {names[i]}?", f"~Name what comes {word} {names[i]}."])
        return w.chat(q, names[(i + step) % len(names)])
    text = " ".join(v.choice((v.name(), v.choice(w.NOUNS), v.code(4), v.digits(3))) for _ in range(v.randint(2, 6)))
    return w.chat(v.say(ECHOES).format(x=text), text)
