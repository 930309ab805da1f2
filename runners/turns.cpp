#include "runners/turns.h"

#include <nlohmann/json.hpp>
#include <string>

#include "runners/scoring.h"
#include "suites/common/answers.h"

namespace ds4::runners {
namespace {

template <typename Row>
void fill(Row& row, const Response& response) {
  row.text = response.answer.text;
  row.reasoning = response.answer.reasoning;
  row.content = response.answer.content;
  row.tool_calls = tool_calls_to_json(response.answer.tool_calls);
  row.finish_reason = response.answer.finish_reason;
  row.prompt_tokens = response.prompt_tokens;
  row.completion_tokens = response.completion_tokens;
  row.cached_tokens = response.cached_tokens;
  row.first_token_s = response.first_token_s;
  row.end_s = response.end_s;
  for (const TokenEvent& event : response.events) {
    row.events.push_back({event.time_s, event.n_tokens});
  }
}

}  // namespace

void record(reports::AttemptRow& attempt, const Response& response) {
  fill(attempt, response);
}

void record(reports::ExchangeRow& exchange, const Response& response) {
  fill(exchange, response);
}

void give_ids(suites::Answer& answer, size_t turn) {
  size_t place = 0;
  for (ToolCall& call : answer.tool_calls) {
    ++place;
    if (call.id.empty()) call.id = "call_" + std::to_string(turn) + "_" + std::to_string(place);
  }
}

ds4::Message assistant_message(const suites::Answer& answer) {
  ds4::Message message;
  message.role = "assistant";
  message.content = visible_answer(answer);
  message.reasoning_content = answer.reasoning;
  message.tool_calls = answer.tool_calls;
  for (ToolCall& call : message.tool_calls) {
    if (!nlohmann::json::parse(call.arguments, nullptr, false).is_object()) call.arguments = "{}";
  }
  return message;
}

}  // namespace ds4::runners
