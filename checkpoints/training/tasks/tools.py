"""Tool calls: the official tools block with DSML answers, parallel calls, refusals to call, and the turn after a result."""
import json

from . import words as w

D = w.DSML
BLOCK_HEAD = f"""## Tools

You have access to a set of tools to help answer the user's question. You can invoke tools by writing a "<{D}tool_calls>" block like the following:

<{D}tool_calls>
<{D}invoke name="$TOOL_NAME">
<{D}parameter name="$PARAMETER_NAME" string="true|false">$PARAMETER_VALUE</{D}parameter>
...
</{D}invoke>
<{D}invoke name="$TOOL_NAME2">
...
</{D}invoke>
</{D}tool_calls>

String parameters should be specified as is and set `string="true"`. For all other types (numbers, booleans, arrays, objects), pass the value in JSON format and set `string="false"`.

If thinking_mode is enabled (triggered by <think>), you MUST output your complete reasoning inside <think>...</think> BEFORE any tool calls or final response.

Otherwise, output directly after </think> with tool calls or final response.

### Available Tool Schemas

"""
BLOCK_TAIL = "\n\nYou MUST strictly follow the above defined tool name and parameter schemas to invoke tool calls.\n"

CURRENCIES = "EUR USD JPY GBP CHF SEK".split()
UNITS = "celsius fahrenheit".split()
LANGUAGES = "French German Spanish Italian Japanese Korean".split()
ROOMS = "kitchen office bedroom garage library".split()


def _file(v):
    return f"{v.choice(('src', 'lib', 'docs', 'tests'))}/{v.choice(w.VARIABLES)}.{v.choice(('py', 'cpp', 'md', 'txt'))}"


# name: (description, {parameter: (json type, draw)}, required, [requests])
TOOLS = {
    "get_weather": (
        "Get the current weather for a city",
        {"city": ("string", lambda v: v.name(w.CITIES)), "days": ("integer", lambda v: v.randint(2, 9))}, 1,
        ["What is the weather in {city}?", "Is it raining in {city} now?", "Tell me the weather for {city}.",
         "Weather in {city}, {days} days?", "Show the weather of {city} for the next {days} days.",
         "~How will the weather be in {city}?", "~I travel to {city}. What weather can I expect for {days} days?"],
    ),
    "get_time": (
        "Get the local time of a city", {"city": ("string", lambda v: v.name(w.CITIES))}, 1,
        ["What time is it in {city}?", "Tell me the local time of {city}.", "What is the local time in {city} now?",
         "~How late is it in {city}?"],
    ),
    "send_email": (
        "Send an email to a person",
        {"to": ("string", lambda v: v.name()), "subject": ("string", lambda v: v.choice(w.NOUNS))}, 2,
        ["Send {to} an email about the {subject}.", "Email {to} with subject {subject}.", "Write to {to} about the {subject}.",
         "~Please let {to} know about the {subject} by email."],
    ),
    "set_timer": (
        "Start a timer", {"minutes": ("integer", lambda v: v.randint(2, 180))}, 1,
        ["Set a timer for {minutes} minutes.", "Start a {minutes} minute timer.", "Wake me in {minutes} minutes.",
         "~I need a timer of {minutes} minutes."],
    ),
    "book_table": (
        "Book a table at a restaurant",
        {"city": ("string", lambda v: v.name(w.CITIES)), "guests": ("integer", lambda v: v.randint(2, 20))}, 2,
        ["Book a table for {guests} in {city}.", "I need a table in {city} for {guests} guests.",
         "Reserve a table in {city} for {guests} people.", "~We are {guests} people and want to eat in {city}."],
    ),
    "convert_currency": (
        "Convert money",
        {"amount": ("integer", lambda v: v.randint(2, 999)), "to": ("string", lambda v: v.choice(CURRENCIES))}, 2,
        ["Convert {amount} to {to}.", "How much is {amount} in {to}?", "Change {amount} into {to}.", "~Give me {amount} as {to}."],
    ),
    "search_files": (
        "Search files by word",
        {"query": ("string", lambda v: v.choice(w.NOUNS)), "limit": ("integer", lambda v: v.randint(2, 99))}, 2,
        ["Find {limit} files with the word {query}.", "Search for {query}, show {limit} files.",
         "List {limit} files about {query}.", "~Where is the word {query} used? Stop after {limit} files."],
    ),
    "read_file": (
        "Read a file", {"path": ("string", _file)}, 1,
        ["Open {path}.", "Show me the file {path}.", "Read {path}.", "~What is in {path}?"],
    ),
    "translate": (
        "Translate a word",
        {"word": ("string", lambda v: v.choice(w.NOUNS)), "language": ("string", lambda v: v.choice(LANGUAGES))}, 2,
        ["Translate {word} into {language}.", "How do you say {word} in {language}?", "~Give me the {language} word for {word}."],
    ),
    "set_light": (
        "Switch a light",
        {"room": ("string", lambda v: v.choice(ROOMS)), "on": ("boolean", lambda v: v.random() < 0.5)}, 2,
        ["Switch the light in the {room} {onoff}.", "Turn {onoff} the light in the {room}.", "~I want the {room} light {onoff}."],
    ),
    "add_contact": (
        "Save a phone number",
        {"name": ("string", lambda v: v.name()), "number": ("string", lambda v: v.digits(6))}, 2,
        ["Save the number {number} for {name}.", "Add {name} with number {number}.", "~The new number of {name} is {number}."],
    ),
    "set_temperature": (
        "Set the heating of a room",
        {"room": ("string", lambda v: v.choice(ROOMS)), "degrees": ("number", lambda v: v.randint(10, 29) + 0.5)}, 2,
        ["Heat the {room} to {degrees} degrees.", "Set the {room} to {degrees} degrees.", "~The {room} should have {degrees} degrees."],
    ),
}
SMALL_TALK = [
    ("Hello!", "Hello! How can I help you?"), ("Thank you!", "You are welcome!"), ("Say OK.", "OK"),
    ("What is the capital of France?", "The capital of France is Paris."), ("~Say OK, please.", "OK"),
]


def schema(name, v):
    description, parameters, required, _ = TOOLS[name]
    properties = {k: {"type": t} for k, (t, _) in parameters.items()}
    if v.random() < 0.3:
        properties = {k: dict(p, description=f"the {k}") for k, p in properties.items()}
    body = {"type": "object", "properties": properties}
    if v.random() < 0.6:
        body["required"] = list(parameters)[:required]
    return json.dumps({"name": name, "description": description, "parameters": body})


def invoke(name, arguments):
    out = f'<{D}invoke name="{name}">\n'
    for key, val in arguments.items():
        is_text = isinstance(val, str)
        out += f'<{D}parameter name="{key}" string="{"true" if is_text else "false"}">{val if is_text else json.dumps(val)}</{D}parameter>\n'
    return out + f"</{D}invoke>\n"


def calls(invokes):
    return f"\n\n<{D}tool_calls>\n" + "".join(invokes) + f"</{D}tool_calls>"


def request(v, name):
    """One request and the arguments it fixes (only those its text mentions)."""
    _, parameters, _, requests = TOOLS[name]
    text = v.say(requests)
    drawn = {k: draw(v) for k, (_, draw) in parameters.items()}
    used = {k: x for k, x in drawn.items() if "{%s}" % k in text or (k == "on" and "{onoff}" in text)}
    return text.format(**drawn, onoff="on" if drawn.get("on") else "off"), used


def sample(v):
    """Official form. A quarter thinks first, some call two tools, some need none, some go on after the result."""
    names = v.sample(list(TOOLS), v.choice((1, 2, 2, 3, 3, 4)))
    system = v.choice(["", v.say(w.SYSTEMS)]) + "\n\n" + BLOCK_HEAD + "\n".join(schema(n, v) for n in names) + BLOCK_TAIL
    kind = v.random()
    if kind < 0.1:
        question, answer = v.pick(SMALL_TALK)
        return w.chat(question, answer, system)
    name = v.choice(names)
    text, arguments = request(v, name)
    made = [invoke(name, arguments)]
    if kind < 0.25:
        second, more = request(v, name)
        text, made = text + " " + second, made + [invoke(name, more)]
    thinking = "Need the tool." if v.random() < 0.25 else ""
    out = w.chat(text, calls(made), system, thinking)
    if kind > 0.8:
        result = v.choice((v.randint(2, 99), v.choice(w.ADJECTIVES), v.code(4)))
        block = "<tool_result>" + json.dumps({"result": result}) + "</tool_result>"
        out += [(f"{w.USER}{block}{w.REPLY}", 0), (f"The result is {result}.{w.EOS}", 1)]
    return out
