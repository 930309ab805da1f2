"""Word lists, composed names and the train / held-out rule shared by all task generators.

`Voice` is the one random source a generator gets: it draws phrasings and names, and in held-out mode only those that
training never draws. A phrasing that starts with "~" is held out.
"""
import random

BOS, EOS, USER = "<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>", "<｜User｜>"
ASSISTANT = "<｜Assistant｜>"
REPLY = ASSISTANT + "</think>"  # chat mode: the answer starts here
THINK = ASSISTANT + "<think>"  # thinking mode
DSML = "｜DSML｜"

CODE_ALPHABET = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"

NAMES = (
    "Ada Alan Alice Amir Anna Ben Bob Carl Carol Chen Clara Dan David Dora Elena Emma Eric Eva Farid Felix Fiona Frank "
    "Grace Greta Hana Hugo Ian Ida Ines Ivan Jack Jane Jonas Julia Kai Karen Kenji Lara Leo Lena Lina Louis Lucy Luis "
    "Mara Marco Maria Mia Nadia Nina Noah Nora Olga Omar Oscar Paul Pedro Petra Priya Quinn Rita Rosa Ruth Sam Sara "
    "Sofia Stefan Tara Theo Tina Tom Uma Vera Victor Walter Wanda Yara Yuki Zoe"
).split()
CITIES = (
    "Oslo Paris London Berlin Madrid Rome Vienna Prague Lisbon Dublin Athens Cairo Lima Quito Tokyo Seoul Delhi Hanoi "
    "Kyoto Boston Denver Dallas Chicago Toronto Sydney Perth Nairobi Lagos Tunis Riga"
).split()
PROJECTS = (
    "Falcon Orion Atlas Comet Delta Ember Fjord Granite Harbor Indigo Juniper Krypton Lotus Meteor Nimbus Onyx Pioneer "
    "Quartz Raven Saturn Titan Umbra Vector Willow Zephyr"
).split()

ADJECTIVES = (
    "old quiet bright small heavy green broken silver distant warm cold narrow empty busy gentle dusty rapid hidden "
    "young clean round sharp smooth wooden golden modern ancient useful strange simple yellow purple"
).split()
NOUNS = (
    "river window garden engine letter market bridge teacher lantern forest table keeper sailor painter clock mountain "
    "farmer road kitchen village bottle ladder basket tower mirror island harbor wagon pencil blanket doctor captain "
    "piano orchard tunnel museum"
).split()
VERBS = (
    "crossed opened watched repaired followed carried painted ignored found left cleaned measured moved visited sold "
    "counted covered described lifted photographed"
).split()
PLACES = [
    "near the harbor", "in the valley", "behind the station", "at the school", "by the old mill", "on the hill",
    "under the bridge", "in the library", "across the square", "beside the lake", "in front of the hotel", "at the airport",
]
TIMES = [
    "In the morning", "Late at night", "After lunch", "Before dawn", "On Monday", "During the storm", "Last winter",
    "Every evening", "Two days later", "At noon", "In the spring", "Around midnight",
]
SERVICES = "auth cache db gateway worker scheduler billing search queue proxy storage metrics mailer router".split()
LEVELS = "INFO INFO INFO WARN DEBUG ERROR".split()
VARIABLES = "count total index value result buffer items offset limit score width depth weight cursor".split()
FUNCTIONS = (
    "load_items parse_line update_cache read_block send_batch merge_rows compute_sum check_bounds open_stream "
    "format_name split_text find_node"
).split()

_ONSETS = "b br c d dr f fl g gr h j k kr l m n p pr qu r s sh sl st t tr v w z".split()
_VOWELS = "a e i o u ai ea ia io".split()
_CODAS = ["", "", "", "n", "r", "l", "s", "m", "th", "nd", "ck", "x"]


def _compose(r, syllables):
    word = "".join(r.choice(_ONSETS) + r.choice(_VOWELS) for _ in range(syllables)) + r.choice(_CODAS)
    return word.capitalize()


def _made_names():
    """Composed names in a fixed order, all different; the last quarter is held out."""
    r, seen, out = random.Random(20), set(NAMES + CITIES + PROJECTS), []
    while len(out) < 1600:
        name = _compose(r, r.choice((2, 2, 3)))
        if name not in seen and 4 <= len(name) <= 9:
            seen.add(name)
            out.append(name)
    return out


_MADE = _made_names()
_TRAIN_MADE, _HELD_MADE = _MADE[:1200], _MADE[1200:]


class Voice(random.Random):
    """Random source with a split: `held=True` draws only held-out phrasings and held-out composed names."""

    def __init__(self, seed, held=False):
        super().__init__(seed)
        self.held = held

    def say(self, options):
        """One phrasing of the list; entries that start with "~" belong to the held-out split alone."""
        if self.held:
            kept = [o[1:] for o in options if o.startswith("~")] or [o.lstrip("~") for o in options]
        else:
            kept = [o for o in options if not o.startswith("~")]
        return self.choice(kept)

    def pick(self, options):
        """As `say`, for tuples whose first member carries the mark; returns the tuple without the mark."""
        kept = [o for o in options if o[0].startswith("~") == self.held] or options
        chosen = self.choice(kept)
        return (chosen[0].lstrip("~"),) + tuple(chosen[1:])

    def name(self, listed=NAMES):
        """A person, city or project: listed or composed half and half in training, always composed when held out."""
        if self.held:
            return self.choice(_HELD_MADE)
        return self.choice(listed) if self.random() < 0.5 else self.choice(_TRAIN_MADE)

    def code(self, n):
        return "".join(self.choice(CODE_ALPHABET) for _ in range(n))

    def digits(self, n):
        return str(self.randrange(10 ** (n - 1), 10**n))


def encode_sample(tokenizer, sample):
    """sample: list of (text, is_answer) -> (ids, mask)"""
    ids, mask = [], []
    for text, answer in sample:
        part = tokenizer.encode(text)
        ids += part
        mask += [answer] * len(part)
    return ids, mask


def chat(prompt, answer, system="", thinking=""):
    """One exchange. With `thinking` the reply is reasoning, `</think>`, answer."""
    if thinking:
        return [(f"{BOS}{system}{USER}{prompt}{THINK}", 0), (f"{thinking}</think>{answer}{EOS}", 1)]
    return [(f"{BOS}{system}{USER}{prompt}{REPLY}", 0), (answer + EOS, 1)]


SYSTEMS = [
    "You are a helpful assistant.", "You are terse.", "Answer briefly.", "You are a careful assistant.",
    "~Be short and exact.", "~You are a reliable helper.",
]


def maybe_system(voice, share=0.2):
    return voice.say(SYSTEMS) if voice.random() < share else ""
