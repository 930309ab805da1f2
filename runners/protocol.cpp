#include "runners/protocol.h"

#include <nlohmann/json.hpp>

#include "engine/base/error.h"

namespace ds4::runners {
namespace {

using nlohmann::json;

template <class... Ts>
struct Overloaded : Ts... {
  using Ts::operator()...;
};
template <class... Ts>
Overloaded(Ts...) -> Overloaded<Ts...>;

json samples_json(const std::vector<probes::Sample>& samples) {
  json list = json::array();
  for (const probes::Sample& s : samples) list.push_back({s.metric, s.value, s.time_s, s.phase});
  return list;
}

std::vector<probes::Sample> samples_from(const json& list) {
  std::vector<probes::Sample> samples;
  for (const json& s : list) {
    samples.push_back({s.at(0).get<std::string>(), s.at(1), s.at(2), s.at(3).get<std::string>()});
  }
  return samples;
}

json events_json(const std::vector<reports::EventRow>& events) {
  json list = json::array();
  for (const reports::EventRow& e : events) list.push_back({e.time_s, e.n_tokens});
  return list;
}

std::vector<reports::EventRow> events_from(const json& list) {
  std::vector<reports::EventRow> events;
  for (const json& e : list) events.push_back({e.at(0), e.at(1)});
  return events;
}

json exchange_json(const reports::ExchangeRow& x) {
  json said = json::array();
  for (const reports::SaidRow& s : x.said) said.push_back({s.role, s.content, s.tool_call_id});
  return {{"said", said},
          {"text", x.text},
          {"reasoning", x.reasoning},
          {"content", x.content},
          {"tool_calls", x.tool_calls},
          {"finish_reason", x.finish_reason},
          {"prompt_tokens", x.prompt_tokens},
          {"completion_tokens", x.completion_tokens},
          {"cached_tokens", x.cached_tokens},
          {"sent_s", x.sent_s},
          {"first_token_s", x.first_token_s},
          {"end_s", x.end_s},
          {"events", events_json(x.events)}};
}

reports::ExchangeRow exchange_from(const json& j) {
  reports::ExchangeRow x;
  for (const json& s : j.at("said")) x.said.push_back({s.at(0), s.at(1), s.at(2)});
  x.text = j.at("text");
  x.reasoning = j.at("reasoning");
  x.content = j.at("content");
  x.tool_calls = j.at("tool_calls");
  x.finish_reason = j.at("finish_reason");
  x.prompt_tokens = j.at("prompt_tokens");
  x.completion_tokens = j.at("completion_tokens");
  x.cached_tokens = j.at("cached_tokens");
  x.sent_s = j.at("sent_s");
  x.first_token_s = j.at("first_token_s");
  x.end_s = j.at("end_s");
  x.events = events_from(j.at("events"));
  return x;
}

json attempt_json(const reports::AttemptRow& a) {
  json exchanges = json::array();
  for (const reports::ExchangeRow& x : a.exchanges) exchanges.push_back(exchange_json(x));
  return {{"suite", a.suite},
          {"case", a.case_id},
          {"suite_version", a.suite_version},
          {"status", a.status},
          {"prompt", a.prompt},
          {"expected", a.expected},
          {"tags", a.tags},
          {"text", a.text},
          {"reasoning", a.reasoning},
          {"content", a.content},
          {"tool_calls", a.tool_calls},
          {"finish_reason", a.finish_reason},
          {"error", a.error},
          {"outcome", a.outcome},
          {"note", a.note},
          {"prompt_tokens", a.prompt_tokens},
          {"completion_tokens", a.completion_tokens},
          {"cached_tokens", a.cached_tokens},
          {"first_token_s", a.first_token_s},
          {"end_s", a.end_s},
          {"started_at", a.started_at},
          {"events", events_json(a.events)},
          {"samples", samples_json(a.samples)},
          {"exchanges", exchanges},
          {"trace", a.trace}};
}

reports::AttemptRow attempt_from(const json& j) {
  reports::AttemptRow a;
  a.suite = j.at("suite");
  a.case_id = j.at("case");
  a.suite_version = j.at("suite_version");
  a.status = j.at("status");
  a.prompt = j.at("prompt");
  a.expected = j.at("expected");
  a.tags = j.at("tags").get<std::map<std::string, std::string>>();
  a.text = j.at("text");
  a.reasoning = j.at("reasoning");
  a.content = j.at("content");
  a.tool_calls = j.at("tool_calls");
  a.finish_reason = j.at("finish_reason");
  a.error = j.at("error");
  a.outcome = j.at("outcome");
  a.note = j.at("note");
  a.prompt_tokens = j.at("prompt_tokens");
  a.completion_tokens = j.at("completion_tokens");
  a.cached_tokens = j.at("cached_tokens");
  a.first_token_s = j.at("first_token_s");
  a.end_s = j.at("end_s");
  a.started_at = j.at("started_at");
  a.events = events_from(j.at("events"));
  a.samples = samples_from(j.at("samples"));
  a.trace = j.at("trace");
  for (const json& x : j.at("exchanges")) a.exchanges.push_back(exchange_from(x));
  return a;
}

json score_json(const reports::ScoreRow& s) {
  return {{"suite_version", s.suite_version},
          {"grade", s.grade},
          {"values", s.values},
          {"extracted", s.extracted},
          {"explanation", s.explanation}};
}

reports::ScoreRow score_from(const json& j) {
  reports::ScoreRow s;
  s.suite_version = j.at("suite_version");
  s.grade = j.at("grade");
  s.values = j.at("values").get<std::map<std::string, double>>();
  s.extracted = j.at("extracted");
  s.explanation = j.at("explanation");
  return s;
}

std::optional<Message> message_from(const json& j) {
  const std::string type = j.at("type");
  if (type == "phase") return PhaseMessage{j.at("phase"), j.at("detail")};
  if (type == "ready") {
    return ReadyMessage{j.at("target"), j.at("cases"),
                        j.at("skipped").get<std::map<std::string, std::string>>()};
  }
  if (type == "case") return CaseMessage{j.at("suite"), j.at("case")};
  if (type == "progress") return ProgressMessage{j.at("prompt"), j.at("completion")};
  if (type == "samples") return SamplesMessage{samples_from(j.at("samples"))};
  if (type == "error")
    return ErrorMessage{j.at("what"),        j.at("hint"),          j.at("code"), j.at("exit_code"),
                        j.at("server_code"), j.at("server_signal"), j.at("phase")};
  if (type == "done") return DoneMessage{};
  if (type == "attempt") {
    AttemptMessage message{attempt_from(j.at("attempt")), std::nullopt};
    if (j.contains("score")) message.score = score_from(j.at("score"));
    return message;
  }
  return std::nullopt;
}

}  // namespace

std::string encode(const Message& message) {
  const json j = std::visit(
      Overloaded{
          [](const PhaseMessage& m) {
            return json{{"type", "phase"}, {"phase", m.phase}, {"detail", m.detail}};
          },
          [](const ReadyMessage& m) {
            return json{{"type", "ready"},
                        {"target", m.target},
                        {"cases", m.cases},
                        {"skipped", m.skipped}};
          },
          [](const CaseMessage& m) {
            return json{{"type", "case"}, {"suite", m.suite}, {"case", m.case_id}};
          },
          [](const ProgressMessage& m) {
            return json{
                {"type", "progress"}, {"prompt", m.prompt_done}, {"completion", m.completion_done}};
          },
          [](const AttemptMessage& m) {
            json attempt{{"type", "attempt"}, {"attempt", attempt_json(m.attempt)}};
            if (m.score) attempt["score"] = score_json(*m.score);
            return attempt;
          },
          [](const SamplesMessage& m) {
            return json{{"type", "samples"}, {"samples", samples_json(m.samples)}};
          },
          [](const ErrorMessage& m) {
            return json{{"type", "error"},
                        {"what", m.what},
                        {"hint", m.hint},
                        {"code", m.code},
                        {"exit_code", m.exit_code},
                        {"server_code", m.server_code},
                        {"server_signal", m.server_signal},
                        {"phase", m.phase}};
          },
          [](const DoneMessage&) {
            return json{{"type", "done"}};
          },
      },
      message);
  return j.dump(-1, ' ', false, json::error_handler_t::replace);
}

std::optional<Message> decode(std::string_view line) {
  try {
    return message_from(json::parse(line));
  } catch (const json::exception&) {
    return std::nullopt;
  }
}

std::string encode(const Assignment& assignment) {
  json done = json::array();
  for (const auto& [suite, case_id] : assignment.done) done.push_back({suite, case_id});
  return json{{"cell", profiles::cell_to_json(assignment.cell)}, {"done", done}}.dump();
}

Assignment decode_assignment(std::string_view text) {
  try {
    const json j = json::parse(text);
    Assignment assignment;
    assignment.cell = profiles::cell_from_json(j.at("cell").get<std::string>());
    for (const json& pair : j.at("done")) assignment.done.emplace(pair.at(0), pair.at(1));
    return assignment;
  } catch (const json::exception& e) {
    throw Error(ErrorCode::kUsage, std::string("standard input is not an assignment: ") + e.what(),
                "`worker` is started by `ds4-sweep run`; it is not for use by hand.");
  }
}

}  // namespace ds4::runners
