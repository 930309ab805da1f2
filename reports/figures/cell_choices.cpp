#include "reports/figures/cell_choices.h"

#include <nlohmann/json.hpp>

namespace ds4::reports {

Choices::Choices(const std::vector<CellRow>& cells, const std::vector<size_t>& n_values) {
  if (!read(cells, n_values)) all_.clear();
  for (size_t at = 0; at < all_.size(); ++at) places_.emplace(all_[at], at);
}

bool Choices::read(const std::vector<CellRow>& cells, const std::vector<size_t>& n_values) {
  for (const CellRow& cell : cells) {
    const auto settings = nlohmann::json::parse(cell.settings, nullptr, false);
    Choice choice;
    if (settings.is_object() && settings.contains("choice")) {
      settings.at("choice").get_to(choice);
    } else {
      size_t rest = all_.size();
      for (auto n = n_values.rbegin(); n != n_values.rend(); ++n) {
        if (*n == 0) return false;
        choice.insert(choice.begin(), rest % *n);
        rest /= *n;
      }
      if (rest > 0) return false;
    }
    if (choice.empty() || (!all_.empty() && choice.size() != n_axes())) return false;
    all_.push_back(std::move(choice));
  }
  return true;
}

std::optional<size_t> Choices::reference_of(size_t index, size_t at) const {
  Choice wanted = all_[at];
  wanted[index] = 0;
  const auto found = places_.find(wanted);
  if (found == places_.end() || found->second == at) return std::nullopt;
  return found->second;
}

}  // namespace ds4::reports
