// A trace: what a target told of each token of a prompt and its answer, as it is stored with the
// attempt and exchanged in files. It knows nothing of runs; docs/traces.md describes the JSON.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace ds4::reports {

struct Trace {
  /// A token that occurs: its id where the target tells ids (-1: it does not), and its bytes, which
  /// may be part of a character.
  struct Entry {
    int32_t id = -1;
    std::string text;
    bool operator==(const Entry&) const = default;
  };
  struct Likely {
    int entry = 0;  // place in `vocabulary`
    double logprob = 0;
    bool operator==(const Likely&) const = default;
  };
  struct Position {
    int entry = 0;                  // the token that stands there
    std::optional<double> logprob;  // none where the target has none: a prompt's first token
    std::vector<Likely> top;        // falling
    bool operator==(const Position&) const = default;
  };
  std::vector<Entry> vocabulary;
  std::vector<Position> prompt, answer;

  bool empty() const { return prompt.empty() && answer.empty(); }
  bool operator==(const Trace&) const = default;
};

/// Natural logarithms are kept to a millionth; what is impossible counts as this much.
inline constexpr double kLeastLogprob = -9999;

/// Builds a trace token by token; equal tokens share an entry.
class TraceBuilder {
 public:
  int entry(int32_t id, const std::string& text);
  Trace take() { return std::move(trace_); }

 private:
  Trace trace_;
  std::map<std::pair<int32_t, std::string>, int> places_;
};

/// One JSON object without line feeds: {"format": "ds4-trace-1", ...}.
std::string trace_to_json(const Trace& trace);
/// Throws Error(kIo) saying what is wrong; `name` is what it calls the trace.
Trace trace_from_json(std::string_view json, const std::string& name);

}  // namespace ds4::reports
