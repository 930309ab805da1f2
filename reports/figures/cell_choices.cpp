#include "reports/figures/cell_choices.h"

namespace ds4::reports {

Choices::Choices(const RunData& run, const std::vector<size_t>& n_values) {
  if (!read(run, n_values)) all_.clear();
  for (size_t at = 0; at < all_.size(); ++at) places_.emplace(all_[at], at);
}

bool Choices::read(const RunData& run, const std::vector<size_t>& n_values) {
  for (const CellFacts& cell : facts_of(run).cells) {
    Choice choice = cell.choice.value_or(Choice());
    if (!cell.choice) {
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
