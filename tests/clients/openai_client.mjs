// The official `openai` package against a server: node openai_client.mjs BASE_URL MODEL. Prints one
// JSON object of what came; exits 3 when the package is not installed. docs/serve.md tells how to
// run it.
let OpenAI;
try {
  ({ default: OpenAI } = await import("openai"));
} catch {
  console.error("the npm package `openai` is not installed");
  process.exit(3);
}

const [baseURL, model] = process.argv.slice(2);
const client = new OpenAI({ baseURL, apiKey: process.env.DS4_API_KEY ?? "none", maxRetries: 0 });
const messages = [{ role: "user", content: "What is the capital of France?" }];
const greedy = { model, messages, temperature: 0, max_tokens: 64 };
const out = {};

out.models = (await client.models.list()).data.map((entry) => entry.id);
const whole = await client.chat.completions.create(greedy);
out.whole = whole.choices[0].message.content;
out.usage = whole.usage;

out.streamed = "";
for await (const chunk of await client.chat.completions.create({
  ...greedy,
  stream: true,
  stream_options: { include_usage: true },
})) {
  out.streamed += chunk.choices[0]?.delta?.content ?? "";
  if (chunk.usage) out.streamed_usage = chunk.usage;
}

const logprobs = await client.chat.completions.create({ ...greedy, logprobs: true, top_logprobs: 2 });
out.logprob_tokens = logprobs.choices[0].logprobs.content.map((entry) => entry.token).join("");

const text = await client.completions.create({ model, prompt: "The", max_tokens: 4, temperature: 0, echo: true });
out.completion = text.choices[0].text;

// Its own error classes must recognise ours.
out.errors = [];
for (const wrong of [{ temperature: "hot" }, { model: "another" }, { messages: [] }]) {
  try {
    await client.chat.completions.create({ ...greedy, ...wrong });
    out.errors.push("none");
  } catch (error) {
    out.errors.push({ kind: error.constructor.name, status: error.status, param: error.param, code: error.code });
  }
}

// Leaving in the middle.
const stream = await client.chat.completions.create({ ...greedy, ignore_eos: true, max_tokens: 1500, stream: true });
let pieces = 0;
for await (const _ of stream) {
  if (++pieces === 5) break;
}
out.pieces_before_leaving = pieces;
console.log(JSON.stringify(out));
