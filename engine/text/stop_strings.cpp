// StopStrings of engine/api/text.h: one Knuth-Morris-Pratt automaton per stop string.
#include <algorithm>
#include <utility>

#include "engine/api/text.h"
#include "engine/base/error.h"

namespace ds4 {

StopStrings::StopStrings(const std::vector<std::string>& stops) {
  for (const std::string& stop : stops) {
    if (stop.empty()) {
      throw Error(ErrorCode::kUsage, "a stop string is empty", "Leave it out.");
    }
    Automaton automaton{stop, std::vector<size_t>(stop.size()), 0};
    for (size_t i = 1, length = 0; i < stop.size(); ++i) {
      while (length > 0 && stop[i] != stop[length]) length = automaton.shorter[length - 1];
      if (stop[i] == stop[length]) ++length;
      automaton.shorter[i] = length;
    }
    automata_.push_back(std::move(automaton));
  }
}

std::string StopStrings::push(std::string_view text) {
  size_t held = 0;  // the longest end of the text so far that begins a stop string
  for (const char c : text) {
    if (stopped_) return "";
    pending_ += c;
    size_t matched = 0;  // length of the longest stop string that ends here
    held = 0;
    for (Automaton& automaton : automata_) {
      const std::string& stop = automaton.stop;
      size_t& length = automaton.length;
      while (length > 0 && c != stop[length]) length = automaton.shorter[length - 1];
      if (c == stop[length]) ++length;
      held = std::max(held, length);
      if (length == stop.size()) matched = std::max(matched, length);
    }
    if (matched > 0) {
      stopped_ = true;
      pending_.resize(pending_.size() - matched);
      return std::exchange(pending_, "");
    }
  }
  if (text.empty()) return "";
  std::string free = pending_.substr(0, pending_.size() - held);
  pending_.erase(0, free.size());
  return free;
}

std::string StopStrings::finish() {
  return std::exchange(pending_, "");
}

}  // namespace ds4
