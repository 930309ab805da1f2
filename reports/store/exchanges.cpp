#include "reports/store/exchanges.h"

#include <nlohmann/json.hpp>

#include "engine/base/error.h"
#include "reports/store/texts.h"

namespace ds4::reports {
namespace {

using nlohmann::json;

std::string said_to_json(const std::vector<SaidRow>& said) {
  json list = json::array();
  for (const SaidRow& s : said) {
    list.push_back({{"role", s.role}, {"content", s.content}, {"tool_call_id", s.tool_call_id}});
  }
  return list.dump(-1, ' ', false, json::error_handler_t::replace);
}

std::string events_to_json(const std::vector<EventRow>& events) {
  json list = json::array();
  for (const EventRow& event : events) list.push_back({event.time_s, event.n_tokens});
  return list.dump();
}

}  // namespace

void insert_exchanges(Database& database, int64_t attempt_id,
                      const std::vector<ExchangeRow>& rows) {
  if (rows.empty()) return;
  Statement insert(database,
                   "INSERT INTO exchanges (attempt_id, seq, said, text, reasoning, content, "
                   "tool_calls, finish_reason, prompt_tokens, completion_tokens, cached_tokens, "
                   "sent_s, first_token_s, end_s, events) "
                   "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                   "store the attempt");
  const auto text = [&](const std::string& bytes) { return intern_text(database, bytes); };
  int64_t seq = 2;
  for (const ExchangeRow& row : rows) {
    insert.bind(attempt_id).bind(seq++).bind(text(said_to_json(row.said))).bind(text(row.text));
    insert.bind(text(row.reasoning)).bind(text(row.content)).bind(text(row.tool_calls));
    insert.bind(row.finish_reason).bind(row.prompt_tokens).bind(row.completion_tokens);
    insert.bind(row.cached_tokens).bind(row.sent_s).bind(row.first_token_s).bind(row.end_s);
    insert.bind(events_to_json(row.events)).run();
  }
}

std::vector<ExchangeRow> load_exchanges(Database& database, int64_t attempt_id) {
  Statement rows(database,
                 "SELECT said, text, reasoning, content, tool_calls, finish_reason, prompt_tokens, "
                 "completion_tokens, cached_tokens, sent_s, first_token_s, end_s, events "
                 "FROM exchanges WHERE attempt_id = ? ORDER BY seq");
  rows.bind(attempt_id);
  std::vector<ExchangeRow> result;
  while (rows.step()) {
    ExchangeRow row;
    row.text = load_text(database, rows.integer(1));
    row.reasoning = load_text(database, rows.integer(2));
    row.content = load_text(database, rows.integer(3));
    row.tool_calls = load_text(database, rows.integer(4));
    row.finish_reason = rows.text(5);
    row.prompt_tokens = rows.integer(6);
    row.completion_tokens = rows.integer(7);
    row.cached_tokens = rows.integer(8);
    row.sent_s = rows.real(9);
    row.first_token_s = rows.real(10);
    row.end_s = rows.real(11);
    try {
      for (const json& s : json::parse(load_text(database, rows.integer(0)))) {
        row.said.push_back({s.at("role"), s.at("content"), s.at("tool_call_id")});
      }
      for (const json& e : json::parse(rows.text(12))) row.events.push_back({e.at(0), e.at(1)});
    } catch (const json::exception& e) {
      throw Error(ErrorCode::kIo,
                  database.path().string() + ": a turn of attempt " + std::to_string(attempt_id) +
                      " is damaged: " + e.what(),
                  "Restore the database from a copy.");
    }
    result.push_back(std::move(row));
  }
  return result;
}

}  // namespace ds4::reports
