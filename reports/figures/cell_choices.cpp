#include "reports/figures/cell_choices.h"

#include <algorithm>
#include <nlohmann/json.hpp>

namespace ds4::reports {

std::vector<Choice> choices_of(const std::vector<CellRow>& cells,
                               const std::vector<size_t>& n_values) {
  std::vector<Choice> choices;
  for (const CellRow& cell : cells) {
    const auto settings = nlohmann::json::parse(cell.settings, nullptr, false);
    Choice choice;
    if (settings.is_object() && settings.contains("choice")) {
      settings.at("choice").get_to(choice);
    } else {
      size_t rest = choices.size();
      for (auto n = n_values.rbegin(); n != n_values.rend(); ++n) {
        if (*n == 0) return {};
        choice.insert(choice.begin(), rest % *n);
        rest /= *n;
      }
      if (rest > 0) return {};
    }
    if (choice.empty() || (!choices.empty() && choice.size() != choices.front().size())) return {};
    choices.push_back(std::move(choice));
  }
  return choices;
}

std::optional<size_t> reference_of(const std::vector<Choice>& choices, size_t index, size_t at) {
  Choice wanted = choices[at];
  wanted[index] = 0;
  const auto found = std::find(choices.begin(), choices.end(), wanted);
  if (found == choices.end()) return std::nullopt;
  return static_cast<size_t>(found - choices.begin());
}

}  // namespace ds4::reports
