"""What was the text about? The answer lies spread over many lines more than a window away: a job for the heavily
compressed attention (HCA), whose rows each average 128 tokens. Training hides the CSA entries in these rows."""
from . import words as w

TOPICS = {
    "cooking": "pan oven soup flour butter onion recipe pepper dough plate".split(),
    "sailing": "sail mast anchor wind harbor rope deck wave captain keel".split(),
    "music": "piano violin melody chord rhythm concert singer drum note choir".split(),
    "chess": "pawn bishop knight queen rook castle opening check board clock".split(),
    "farming": "field tractor wheat barn cow plough seed harvest hay fence".split(),
    "space": "rocket orbit planet moon star crater comet engine launch probe".split(),
    "medicine": "doctor nurse fever tablet wound clinic pulse bandage patient vein".split(),
    "banking": "loan account credit deposit interest cash teller debt cheque bond".split(),
}
LINES = [
    "The {a} was next to the {b}.", "{p} talked about the {a} and the {b}.", "A {a} is not a {b}.",
    "They looked at the {a}, then at the {b}.", "~Nobody had seen the {a} or the {b}.",
]
ASKS = ["What is the text about?", "What is the topic of the text?", "~Which topic does the text have?"]


def sample(v, tokenizer, pool, length):
    enc = tokenizer.encode
    topic = v.choice(list(TOPICS))
    head = enc(f"{w.BOS}{w.USER}Read the text and answer the question.\n")
    question = enc("\n" + v.say(ASKS) + w.REPLY)
    answer = enc(f"The text is about {topic}." + w.EOS)
    room = length - len(head) - len(question) - len(answer)
    # The last 160 tokens and more are filler, so that no raw window reaches the topic.
    quiet, body, share = v.randint(160, 300), [], v.uniform(0.25, 0.9)
    while len(body) < room - quiet:
        if v.random() < share:
            a, b = v.sample(TOPICS[topic], 2)
            body += enc(v.say(LINES).format(a=a, b=b, p=v.name()) + "\n")
        else:
            body += v.choice(pool)
    while len(body) < room:
        line = v.choice(pool)
        if len(body) + len(line) > room:
            break
        body += line
    return head + body + question + answer, [0] * (len(head) + len(body) + len(question)) + [1] * len(answer)
