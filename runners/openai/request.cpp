#include "runners/openai/request.h"

#include <cmath>
#include <nlohmann/json.hpp>

#include "runners/openai/fields.h"
#include "runners/openai/json.h"

namespace ds4::runners::openai {
namespace {

using Json = nlohmann::ordered_json;

constexpr int64_t kMostTop = 20;   // as OpenAI and vLLM
constexpr size_t kMostStops = 64;  // each is looked for at every byte
constexpr int64_t kMostTokens = int64_t{1} << 40;
constexpr int64_t kMostTokenId = int64_t{1} << 30;
constexpr double kNoBound = 1e18;

// Why what may be asked of others is not to be had here; "" when the member asks for nothing.
void refuse_unless_empty(Fields& fields, const char* key, const std::string& why) {
  const Json* member = fields.take(key);
  if (member && !(member->is_structured() && member->empty())) {
    fields.problems().refuse(key, why, "unsupported_parameter");
  }
}

void read_stops(Fields& fields, Body& body) {
  const Json* stop = fields.take("stop");
  if (!stop) return;
  std::vector<std::string>& stops = body.sampling.stop;
  const auto add = [&](const Json& text) {
    if (text.is_string() && !text.get_ref<const std::string&>().empty()) {
      stops.push_back(text.get<std::string>());
    } else {
      fields.problems().refuse("stop", "must be a text or a list of texts, none empty");
    }
  };
  if (!stop->is_array()) {
    if (!stop->is_string() || !stop->get_ref<const std::string&>().empty()) add(*stop);
    return;
  }
  if (stop->size() > kMostStops) {
    fields.problems().refuse("stop", "may have " + std::to_string(kMostStops) + " texts at most");
    return;
  }
  for (const Json& text : *stop) add(text);
}

void read_sampling(Fields& fields, Body& body) {
  suites::Sampling& sampling = body.sampling;
  sampling.temperature = 1;  // the protocol's default, and the model card's
  fields.number("temperature", sampling.temperature, 0, 100);
  fields.number("top_p", sampling.top_p, 0, 1);
  if (sampling.top_p == 0) fields.problems().refuse("top_p", "must be above 0");
  fields.integer("top_k", sampling.top_k, -1, kMostTokens);
  if (sampling.top_k < 0) sampling.top_k = 0;  // -1 is vLLM's word for all
  fields.number("min_p", sampling.min_p, 0, 1);
  fields.number("presence_penalty", sampling.presence_penalty, -2, 2);
  fields.number("frequency_penalty", sampling.frequency_penalty, -2, 2);
  fields.number("repetition_penalty", sampling.repetition_penalty, 0, 100);
  if (sampling.repetition_penalty == 0) {
    fields.problems().refuse("repetition_penalty", "must be above 0");
  }
  if (const Json* seed = fields.take("seed")) {
    if (seed->is_number_integer()) {
      body.seed = seed->get<int64_t>();
    } else {
      fields.problems().refuse("seed", "must be an integer, not " + kind_of(*seed));
    }
  }
  fields.flag("ignore_eos", body.ignore_end);
  read_stops(fields, body);
}

void read_stream(Fields& fields, Body& body) {
  fields.flag("stream", body.stream);
  const Json* options = fields.take("stream_options");
  if (!options) return;
  if (!body.stream) {
    fields.problems().refuse("stream_options", "is allowed only with `stream`: true");
    return;
  }
  Fields inner(*options, "stream_options", fields.problems());
  inner.flag("include_usage", body.stream_usage);
  inner.flag("continuous_usage_stats", body.usage_each);
  body.usage_each = body.usage_each && body.stream_usage;
}

// What both forms have in common.
void read_common(Fields& fields, Body& body) {
  fields.text("model", body.model);
  read_sampling(fields, body);
  read_stream(fields, body);
  int64_t n = 1, best_of = 1;
  fields.integer("n", n, 1, 128);
  fields.integer("best_of", best_of, 1, 128);
  if (n != 1 || best_of != 1) {
    fields.problems().refuse(n != 1 ? "n" : "best_of",
                             "must be 1: one answer a request, ask again for more",
                             "unsupported_parameter");
  }
  refuse_unless_empty(fields, "logit_bias", "is not supported");
  // Of accounts and storage: nothing here that they could change.
  fields.ignore({"user", "metadata", "store", "service_tier", "safety_identifier",
                 "prompt_cache_key", "request_id", "priority"});
  if (const Json* format = fields.take("response_format")) {
    Fields inner(*format, "response_format", fields.problems());
    std::string type;
    inner.text("type", type);
    if (type != "text") {
      fields.problems().refuse("response_format",
                               "is not supported: answers are not held to a format; describe it in "
                               "the prompt, or offer a tool",
                               "unsupported_parameter");
    }
  }
}

// The levels of the protocol by those the model has; "" when it has none such.
std::string effort_level(const std::string& asked) {
  if (asked == "minimal" || asked == "low" || asked == "medium") return "low";
  if (asked == "high") return "high";
  return asked == "max" || asked == "xhigh" ? "max" : "";
}

void read_thinking(Fields& fields, const Defaults& defaults, Body& body) {
  Problems& problems = fields.problems();
  std::optional<bool> on;
  std::string effort;
  fields.text("reasoning_effort", effort);
  if (const Json* kwargs = fields.take("chat_template_kwargs")) {
    Fields inner(*kwargs, "chat_template_kwargs", problems);
    bool value = false;
    for (const char* key : {"thinking", "enable_thinking"}) {
      const bool said = inner.take(key) != nullptr;
      inner.flag(key, value);
      if (said && !on) on = value;
    }
    if (effort.empty()) inner.text("reasoning_effort", effort);
  }
  if (const Json* thinking = fields.take("thinking")) {
    std::string type;
    if (thinking->is_boolean()) {  // some clients spare themselves the object
      if (!on) on = thinking->get<bool>();
    } else {
      Fields inner(*thinking, "thinking", problems);
      inner.text("type", type);
      if (type != "enabled" && type != "disabled" && type != "adaptive") {
        problems.refuse("thinking.type", "must be \"enabled\" or \"disabled\"");
      }
      if (!on && type != "adaptive") on = type == "enabled";
    }
  }
  if (fields.take("think")) {
    bool value = false;
    fields.flag("think", value);
    if (!on) on = value;
  }
  if (!effort.empty() && effort != "none") {
    body.conversation.reasoning_effort = effort_level(effort);
    if (body.conversation.reasoning_effort.empty()) {
      problems.refuse("reasoning_effort", "must be none, minimal, low, medium, high, xhigh or max");
    }
  }
  if (!on && !effort.empty()) on = effort != "none" && effort != "minimal";
  const bool by_default = defaults.thinking == ThinkingMode::kThinking;
  body.conversation.thinking =
      on.value_or(by_default) ? ThinkingMode::kThinking : ThinkingMode::kChat;
}

void read_tool_choice(Fields& fields, Body& body) {
  fields.flag("parallel_tool_calls", body.parallel_tool_calls);
  const Json* choice = fields.take("tool_choice");
  if (!choice) return;
  body.tool_choice = choice->is_string() ? choice->get<std::string>() : "";
  if (body.tool_choice == "auto" || body.tool_choice == "none") return;
  fields.problems().refuse("tool_choice",
                           "must be \"auto\" or \"none\": the model cannot be made to call a tool",
                           "unsupported_parameter");
}

// Ids from a list of numbers.
void read_ids(const Json& list, const char* key, Body& body, Problems& problems) {
  std::vector<int32_t>& tokens = body.prompt.emplace().tokens;
  tokens.reserve(list.size());
  for (const Json& id : list) {
    if (!id.is_number_integer() || id.get<int64_t>() < 0 || id.get<int64_t>() > kMostTokenId) {
      problems.refuse(key,
                      "must hold token ids, not " + (id.is_number() ? id.dump() : kind_of(id)));
      return;
    }
    tokens.push_back(id.get<int32_t>());
  }
}

void read_prompt(Fields& fields, Body& body) {
  Problems& problems = fields.problems();
  const Json* prompt = fields.take("prompt");
  body.prompt.emplace();
  bool special = true;  // this model's tokenizer adds none either way
  fields.flag("add_special_tokens", special);
  body.plain_prompt = !special;
  if (!prompt) {
    problems.refuse("prompt", "is missing");
    return;
  }
  if (prompt->is_array() && !prompt->empty() && !prompt->front().is_number()) {
    if (prompt->size() > 1) {
      problems.refuse("prompt", "must be one prompt: send the others as requests of their own",
                      "unsupported_parameter");
      return;
    }
    prompt = &prompt->front();
  }
  if (prompt->is_string()) {
    body.prompt->text = prompt->get<std::string>();
  } else if (prompt->is_array()) {
    read_ids(*prompt, "prompt", body, problems);
  } else {
    problems.refuse("prompt", "must be a text or a list of token ids, not " + kind_of(*prompt));
  }
  if (body.prompt->text.empty() && body.prompt->tokens.empty()) {
    problems.refuse("prompt", "must not be empty");
  }
}

template <typename Read>
ReadBody read(std::string_view text, const Read& read_members) {
  ReadBody out;
  const Json json = parse_ordered(text);
  if (json.is_discarded()) {
    out.refusal = Refusal{400, "the body is no JSON, or nests deeper than any request does", "",
                          "invalid_json"};
    return out;
  }
  Problems problems;
  Fields fields(json, "", problems);
  if (!problems.first()) read_members(fields, out.body);
  out.refusal = problems.first();
  fields.unknown(out.unknown);
  return out;
}

}  // namespace

ReadBody read_chat(std::string_view text, const Defaults& defaults) {
  return read(text, [&](Fields& fields, Body& body) {
    read_tool_choice(fields, body);
    read_messages(fields, body);
    read_thinking(fields, defaults, body);
    read_common(fields, body);
    body.max_tokens = suites::kAsManyAsFit;
    fields.integer("max_tokens", body.max_tokens, 1, kMostTokens);
    fields.integer("max_completion_tokens", body.max_tokens, 1, kMostTokens);
    fields.flag("logprobs", body.logprobs);
    int64_t top = 0;
    fields.integer("top_logprobs", top, 0, kMostTop);
    if (top > 0 && !body.logprobs) {
      fields.problems().refuse("top_logprobs", "is allowed only with `logprobs`: true");
    }
    body.top_logprobs = static_cast<int>(top);
  });
}

ReadBody read_completion(std::string_view text) {
  return read(text, [&](Fields& fields, Body& body) {
    read_prompt(fields, body);
    read_common(fields, body);
    body.max_tokens = 16;  // the protocol's default
    fields.integer("max_tokens", body.max_tokens, 0, kMostTokens);
    fields.flag("echo", body.echo);
    int64_t top = -1;
    fields.integer("logprobs", top, 0, kMostTop);
    body.logprobs = top >= 0;
    body.top_logprobs = static_cast<int>(std::max<int64_t>(top, 0));
    refuse_unless_empty(fields, "suffix", "is not supported: text is written behind a prompt only");
    if (body.echo && body.logprobs && body.stream) {
      fields.problems().refuse("stream", "must be false with `echo` and `logprobs`",
                               "unsupported_parameter");
    }
    if (body.max_tokens == 0 && !body.echo) {
      fields.problems().refuse("max_tokens", "may be 0 only with `echo`: true");
    }
  });
}

ReadBody read_tokenize(std::string_view text, const Defaults& defaults) {
  return read(text, [&](Fields& fields, Body& body) {
    fields.text("model", body.model);
    fields.ignore({"add_special_tokens", "return_token_strs"});
    if (!fields.take("messages")) return read_prompt(fields, body);
    read_messages(fields, body);
    read_thinking(fields, defaults, body);
    bool prompts = true, continues = false;
    fields.flag("add_generation_prompt", prompts);
    fields.flag("continue_final_message", continues);
    if (!prompts || continues) {
      fields.problems().refuse(prompts ? "continue_final_message" : "add_generation_prompt",
                               "cannot be changed: prompts end where the answer begins",
                               "unsupported_parameter");
    }
  });
}

ReadBody read_detokenize(std::string_view text) {
  return read(text, [&](Fields& fields, Body& body) {
    fields.text("model", body.model);
    const Json* tokens = fields.take("tokens");
    if (tokens && tokens->is_array()) {
      read_ids(*tokens, "tokens", body, fields.problems());
    } else {
      fields.problems().refuse("tokens", "must be a list of token ids");
    }
  });
}

}  // namespace ds4::runners::openai
