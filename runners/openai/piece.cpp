#include "runners/openai/piece.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "runners/openai/cut_text.h"
#include "runners/openai/json.h"

namespace ds4::runners::openai {
namespace {

using nlohmann::json;

constexpr size_t kMostErrorBytes = 400;
constexpr int64_t kMostCalls = 1024;  // of one answer

std::string one_line(std::string text) {
  if (text.size() > kMostErrorBytes) text = text.substr(0, kMostErrorBytes) + "...";
  for (char& c : text) {
    if (static_cast<unsigned char>(c) < 0x20) c = ' ';
  }
  return text;
}

// The text of "error": "...", {"message": ...}; of "object": "error", "message": ... (older vLLM);
// of "detail": "..." or [{"msg": ...}] (FastAPI). "" when the object tells of none.
std::string error_text(const json& object) {
  if (const json* error = member(object, "error")) {
    if (error->is_string()) return error->get<std::string>();
    const std::string message = text_of(*error, "message");
    return message.empty() ? dump_json(*error) : message;
  }
  if (text_of(object, "object") == "error" || text_of(object, "type") == "error") {
    const std::string message = text_of(object, "message");
    return message.empty() ? dump_json(object) : message;
  }
  if (member(object, "choices")) return "";
  if (const json* detail = member(object, "detail")) {
    return detail->is_string() ? detail->get<std::string>() : dump_json(*detail);
  }
  return "";
}

// Text, or text parts (the other form "content" may have).
std::string content_text(const json* content) {
  if (!content) return "";
  if (content->is_string()) return content->get<std::string>();
  std::string text;
  if (content->is_array()) {
    for (const json& part : *content) text += text_of(part, "text");
  }
  return text;
}

std::optional<Usage> usage_of(const json& object) {
  const json* stated = member(object, "usage");
  if (!stated || !stated->is_object()) return std::nullopt;
  Usage usage;
  usage.prompt_tokens = count_of(*stated, "prompt_tokens");
  usage.completion_tokens = count_of(*stated, "completion_tokens");
  if (const json* details = member(*stated, "prompt_tokens_details")) {
    usage.cached_tokens = count_of(*details, "cached_tokens");
  }
  // The hosted API's own name for it.
  if (usage.cached_tokens < 0) usage.cached_tokens = count_of(*stated, "prompt_cache_hit_tokens");
  if (const json* details = member(*stated, "completion_tokens_details")) {
    usage.reasoning_tokens = count_of(*details, "reasoning_tokens");
  }
  return usage;
}

// "bytes" are right where the text had to be mended, a character being cut between tokens.
std::string token_text(const json& entry) {
  const json* bytes = member(entry, "bytes");
  if (!bytes || !bytes->is_array()) return text_of(entry, "token");
  std::string text;
  for (const json& byte : *bytes) {
    if (!byte.is_number_integer()) return text_of(entry, "token");
    text += static_cast<char>(byte.get<int64_t>());
  }
  return text;
}

std::optional<double> logprob_of(const json& value) {
  if (!value.is_number()) return std::nullopt;
  return value.get<double>();
}

TokenLogprob token_of(const json& entry) {
  TokenLogprob token;
  token.text = token_text(entry);
  if (const json* p = member(entry, "logprob")) token.logprob = logprob_of(*p);
  if (const json* top = member(entry, "top_logprobs"); top && top->is_array()) {
    for (const json& other : *top) {
      const json* p = member(other, "logprob");
      if (const auto logprob = p ? logprob_of(*p) : std::nullopt) {
        token.top.push_back({-1, token_text(other), *logprob});
      }
    }
  }
  return token;
}

void sort_top(TokenLogprob& token) {
  std::stable_sort(token.top.begin(), token.top.end(),
                   [](const auto& a, const auto& b) { return a.logprob > b.logprob; });
}

// Chat: "logprobs": {"content": [{"token", "logprob", "top_logprobs": [..]}]}.
// Completions: "logprobs": {"tokens": [..], "token_logprobs": [..], "top_logprobs": [{..}]}.
std::vector<TokenLogprob> logprobs_of(const json& choice) {
  std::vector<TokenLogprob> tokens;
  const json* all = member(choice, "logprobs");
  if (!all) return tokens;
  if (const json* content = member(*all, "content"); content && content->is_array()) {
    for (const json& entry : *content) tokens.push_back(token_of(entry));
  } else if (const json* names = member(*all, "tokens"); names && names->is_array()) {
    const json* values = member(*all, "token_logprobs");
    const json* tops = member(*all, "top_logprobs");
    const auto at = [](const json* list, size_t i) {
      return list && list->is_array() && i < list->size() ? &(*list)[i] : nullptr;
    };
    for (size_t i = 0; i < names->size(); ++i) {
      TokenLogprob token;
      if ((*names)[i].is_string()) token.text = (*names)[i].get<std::string>();
      if (const json* value = at(values, i)) token.logprob = logprob_of(*value);
      if (const json* top = at(tops, i); top && top->is_object()) {
        for (const auto& [name, value] : top->items()) {
          if (const auto p = logprob_of(value)) token.top.push_back({-1, name, *p});
        }
      }
      tokens.push_back(std::move(token));
    }
  }
  for (TokenLogprob& token : tokens) sort_top(token);
  return tokens;
}

// Arguments are text in the protocol; some servers send the object itself.
std::string arguments_of(const json& function) {
  const json* arguments = member(function, "arguments");
  if (!arguments) return "";
  return arguments->is_string() ? arguments->get<std::string>() : dump_json(*arguments);
}

void take_calls(const json& message, Piece& piece) {
  const json* calls = member(message, "tool_calls");
  if (!calls) return;
  if (!calls->is_array()) {
    piece.problem = "`tool_calls` is no list";
    return;
  }
  int64_t place = 0;
  for (const json& call : *calls) {
    ToolCallDelta delta;
    // Whole replies number their calls by their place.
    const int64_t index = count_of(call, "index");
    delta.index = index >= 0 ? index : place;
    ++place;
    if (delta.index >= kMostCalls) {
      piece.problem = "a tool call has the index " + std::to_string(delta.index);
      return;
    }
    delta.id = text_of(call, "id");
    if (const json* function = member(call, "function")) {
      delta.name = text_of(*function, "name");
      delta.arguments = arguments_of(*function);
    }
    piece.tool_calls.push_back(std::move(delta));
  }
}

void take_choice(const json& choice, Piece& piece) {
  if (!choice.is_object()) {
    piece.problem = "a choice is no object";
    return;
  }
  if (count_of(choice, "index") > 0) {
    piece.problem = "a second answer (index " + std::to_string(count_of(choice, "index")) +
                    ") came to a request for one";
    return;
  }
  piece.has_choice = true;
  piece.finish_reason = text_of(choice, "finish_reason");
  piece.logprobs = logprobs_of(choice);
  const json* message = member(choice, "delta");
  if (!message) message = member(choice, "message");
  if (!message) {
    piece.content = text_of(choice, "text");  // completions
    return;
  }
  piece.content = content_text(member(*message, "content"));
  // vLLM renamed the field and for a while sent both.
  piece.reasoning = text_of(*message, "reasoning_content");
  if (piece.reasoning.empty()) piece.reasoning = text_of(*message, "reasoning");
  take_calls(*message, piece);
}

// The bytes again where characters were cut.
void uncarry(Piece& piece) {
  const auto uncarry_text = [](std::string& text) { text = carried_bytes(text); };
  uncarry_text(piece.content);
  uncarry_text(piece.reasoning);
  for (ToolCallDelta& delta : piece.tool_calls) uncarry_text(delta.arguments);
  for (TokenLogprob& token : piece.logprobs) {
    uncarry_text(token.text);
    for (auto& other : token.top) uncarry_text(other.text);
  }
}

}  // namespace

Piece read_piece(std::string_view text) {
  Piece piece;
  json object = parse_json(text);
  const bool cut = object.is_discarded();
  if (cut) object = parse_json(carry_bytes(text));
  if (object.is_discarded()) {
    piece.problem = "no JSON: " + one_line(std::string(text.substr(0, 120)));
    return piece;
  }
  if (!object.is_object()) {
    piece.problem = "JSON that is no object";
    return piece;
  }
  piece.error = one_line(error_text(object));
  if (!piece.error.empty()) return piece;
  piece.usage = usage_of(object);
  const json* choices = member(object, "choices");
  if (!choices) {
    if (!piece.usage) piece.problem = "an object without `choices` and `usage`";
    return piece;
  }
  if (!choices->is_array()) {
    piece.problem = "`choices` is no list";
    return piece;
  }
  if (choices->size() > 1) {
    piece.problem = std::to_string(choices->size()) + " answers came to a request for one";
  } else if (!choices->empty()) {
    take_choice(choices->front(), piece);
    if (cut) uncarry(piece);
  }
  return piece;
}

std::string read_error(std::string_view body) {
  const json object = parse_json(body);
  if (object.is_object()) {
    if (std::string text = error_text(object); !text.empty()) return one_line(text);
    if (std::string text = text_of(object, "message"); !text.empty()) return one_line(text);
  }
  return one_line(std::string(body.substr(0, kMostErrorBytes + 1)));
}

std::vector<Model> read_models(std::string_view body) {
  std::vector<Model> models;
  const json object = parse_json(body);
  const json* data = member(object, "data");
  if (!data || !data->is_array()) return models;
  for (const json& entry : *data) {
    Model model{text_of(entry, "id"), text_of(entry, "owned_by"), count_of(entry, "max_model_len")};
    if (!model.id.empty()) models.push_back(std::move(model));
  }
  return models;
}

bool is_end_mark(std::string_view data) {
  const size_t begin = data.find_first_not_of(" \t");
  if (begin == std::string_view::npos) return false;
  data = data.substr(begin, data.find_last_not_of(" \t") + 1 - begin);
  return data == "[DONE]";
}

}  // namespace ds4::runners::openai
