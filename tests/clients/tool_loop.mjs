// An agent's loop in plain fetch: asks, runs the tools that are called, answers with their results,
// until the model calls none: node tool_loop.mjs BASE_URL MODEL [stream]. Prints one JSON object.
const [base, model, streamed] = process.argv.slice(2);

const tools = {
  set_timer: {
    description: "Start a timer",
    parameters: { type: "object", properties: { minutes: { type: "integer" } }, required: ["minutes"] },
    run: ({ minutes }) => ({ ends_in_s: minutes * 60 }),
  },
};
const offered = Object.entries(tools).map(([name, { description, parameters }]) => ({
  type: "function",
  function: { name, description, parameters },
}));

async function ask(messages) {
  const reply = await fetch(`${base}/chat/completions`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ model, messages, tools: offered, temperature: 0, max_tokens: 128, stream: !!streamed }),
  });
  if (!reply.ok) throw new Error(`${reply.status}: ${await reply.text()}`);
  if (!streamed) return (await reply.json()).choices[0];
  // Puts the pieces together as agents do: text behind text, calls by their index.
  const message = { role: "assistant", content: "" };
  let finish_reason = null;
  for (const line of (await reply.text()).split("\n")) {
    if (!line.startsWith("data: ") || line === "data: [DONE]") continue;
    const choice = JSON.parse(line.slice(6)).choices[0];
    if (!choice) continue;
    message.content += choice.delta.content ?? "";
    finish_reason = choice.finish_reason ?? finish_reason;
    for (const piece of choice.delta.tool_calls ?? []) {
      message.tool_calls ??= [];
      const call = (message.tool_calls[piece.index] ??= { id: "", type: "function", function: { name: "", arguments: "" } });
      call.id += piece.id ?? "";
      call.function.name += piece.function?.name ?? "";
      call.function.arguments += piece.function?.arguments ?? "";
    }
  }
  return { message, finish_reason };
}

const messages = [{ role: "user", content: "Set a timer for 12 minutes." }];
const calls = [];
let last = null;
for (let turn = 0; turn < 4; ++turn) {
  last = await ask(messages);
  messages.push(last.message);
  if (last.finish_reason !== "tool_calls") break;
  for (const call of last.message.tool_calls) {
    const result = tools[call.function.name].run(JSON.parse(call.function.arguments));
    calls.push({ name: call.function.name, arguments: JSON.parse(call.function.arguments), result });
    messages.push({ role: "tool", tool_call_id: call.id, content: JSON.stringify(result) });
  }
}
console.log(JSON.stringify({ calls, turns: messages.filter((m) => m.role === "assistant").length, finish_reason: last.finish_reason }));
