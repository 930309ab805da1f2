#include "reports/trace/trace.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "engine/base/error.h"

namespace ds4::reports {
namespace {

using nlohmann::json;

constexpr char kFormat[] = "ds4-trace-1";

double kept(double logprob) {
  if (!(logprob > kLeastLogprob)) return kLeastLogprob;
  return std::round(std::min(logprob, 0.0) * 1e6) / 1e6;
}

// Bytes that are no text by themselves go out as numbers, as OpenAI's API has them.
json text_json(const std::string& text) {
  const json candidate = text;
  try {
    (void)candidate.dump();
    return candidate;
  } catch (const json::exception&) {
    json bytes = json::array();
    for (const char c : text) bytes.push_back(static_cast<unsigned char>(c));
    return bytes;
  }
}

std::string text_from(const json& value) {
  if (value.is_string()) return value.get<std::string>();
  std::string text;
  for (const json& byte : value) {
    const int number = byte.get<int>();
    if (number < 0 || number > 255) throw std::out_of_range("a byte beyond 255");
    text += static_cast<char>(number);
  }
  return text;
}

json positions_json(const std::vector<Trace::Position>& positions) {
  json list = json::array();
  for (const Trace::Position& position : positions) {
    json row = {position.entry};
    row.push_back(position.logprob ? json(kept(*position.logprob)) : json(nullptr));
    if (!position.top.empty()) {
      json top = json::array();
      for (const Trace::Likely& likely : position.top) {
        top.push_back(likely.entry);
        top.push_back(kept(likely.logprob));
      }
      row.push_back(std::move(top));
    }
    list.push_back(std::move(row));
  }
  return list;
}

int entry_from(const json& value, size_t vocabulary) {
  const auto entry = value.get<int64_t>();
  if (entry < 0 || entry >= static_cast<int64_t>(vocabulary)) {
    throw std::out_of_range("entry " + std::to_string(entry) + " of a vocabulary of " +
                            std::to_string(vocabulary));
  }
  return static_cast<int>(entry);
}

double logprob_from(const json& value) {
  const double logprob = value.get<double>();
  if (!std::isfinite(logprob) || logprob > 1e-3) {
    throw std::out_of_range("a log-probability above 0");
  }
  return logprob;
}

std::vector<Trace::Position> positions_from(const json& list, size_t vocabulary) {
  std::vector<Trace::Position> positions;
  for (const json& row : list) {
    Trace::Position position;
    position.entry = entry_from(row.at(0), vocabulary);
    if (!row.at(1).is_null()) position.logprob = logprob_from(row.at(1));
    if (row.size() > 2) {
      const json& top = row.at(2);
      for (size_t i = 0; i < top.size(); i += 2) {
        position.top.push_back({entry_from(top.at(i), vocabulary), logprob_from(top.at(i + 1))});
      }
    }
    std::stable_sort(position.top.begin(), position.top.end(),
                     [](const auto& a, const auto& b) { return a.logprob > b.logprob; });
    positions.push_back(std::move(position));
  }
  return positions;
}

}  // namespace

int TraceBuilder::entry(int32_t id, const std::string& text) {
  const auto [place, is_new] =
      places_.emplace(std::pair(id, text), static_cast<int>(trace_.vocabulary.size()));
  if (is_new) trace_.vocabulary.push_back({id, text});
  return place->second;
}

std::string trace_to_json(const Trace& trace) {
  json vocabulary = json::array();
  for (const Trace::Entry& entry : trace.vocabulary) {
    vocabulary.push_back({entry.id, text_json(entry.text)});
  }
  return json{{"format", kFormat},
              {"vocabulary", std::move(vocabulary)},
              {"prompt", positions_json(trace.prompt)},
              {"answer", positions_json(trace.answer)}}
      .dump();
}

Trace trace_from_json(std::string_view text, const std::string& name) {
  try {
    const json parsed = json::parse(text);
    if (parsed.at("format") != kFormat) throw std::out_of_range("another format");
    Trace trace;
    for (const json& entry : parsed.at("vocabulary")) {
      trace.vocabulary.push_back({entry.at(0).get<int32_t>(), text_from(entry.at(1))});
    }
    trace.prompt = positions_from(parsed.at("prompt"), trace.vocabulary.size());
    trace.answer = positions_from(parsed.at("answer"), trace.vocabulary.size());
    return trace;
  } catch (const std::exception& e) {  // of the parser, or of ours
    throw Error(ErrorCode::kIo, name + ": no trace: " + e.what(),
                "docs/traces.md describes the format " + std::string(kFormat) + ".");
  }
}

}  // namespace ds4::reports
