#include "runners/scoring.h"

#include <nlohmann/json.hpp>

#include "profiles/schema/profile.h"

namespace ds4::runners {
namespace {

const char* name_of(suites::Grade grade) {
  switch (grade) {
    case suites::Grade::kCorrect:
      return "correct";
    case suites::Grade::kWrong:
      return "wrong";
    case suites::Grade::kInvalid:
      return "invalid";
  }
  return "";
}

}  // namespace

reports::ScoreRow grade(const suites::Suite& suite, const reports::AttemptRow& attempt) {
  const suites::Score score = suite.score_turns(attempt.expected, stored_turns(attempt));
  reports::ScoreRow row;
  row.suite_version = profiles::suite_definition(suite).version;
  row.grade = name_of(score.grade);
  row.values = score.values;
  row.extracted = score.extracted;
  row.explanation = score.explanation;
  return row;
}

std::vector<suites::Turn> stored_turns(const reports::AttemptRow& attempt) {
  const auto answer = [](const auto& row) {
    return suites::Answer{row.text, row.reasoning, row.content,
                          tool_calls_from_json(row.tool_calls), row.finish_reason};
  };
  std::vector<suites::Turn> turns = {{answer(attempt)}};
  for (const reports::ExchangeRow& exchange : attempt.exchanges) {
    for (const reports::SaidRow& said : exchange.said) {
      ds4::Message message;
      message.role = said.role;
      message.content = said.content;
      message.tool_call_id = said.tool_call_id;
      turns.back().reply.push_back(std::move(message));
    }
    turns.push_back({answer(exchange)});
  }
  return turns;
}

std::string tool_calls_to_json(const std::vector<ToolCall>& calls) {
  nlohmann::json list = nlohmann::json::array();
  for (const ToolCall& call : calls) {
    list.push_back({{"id", call.id}, {"name", call.name}, {"arguments", call.arguments}});
  }
  return list.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

std::vector<ToolCall> tool_calls_from_json(const std::string& json) {
  std::vector<ToolCall> calls;
  if (json.empty()) return calls;
  for (const nlohmann::json& call : nlohmann::json::parse(json)) {
    calls.push_back({call.at("id"), call.at("name"), call.at("arguments")});
  }
  return calls;
}

}  // namespace ds4::runners
