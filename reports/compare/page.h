// Several runs set beside the first of them: one page, and one object.
#pragma once

#include <string>
#include <vector>

#include "reports/compare/comparison.h"
#include "reports/pages/page.h"

namespace ds4::reports {

/// The last runs each against the first, of two or more in one store; `settings.alpha` is shared
/// among the pairs, so that it is the chance of any false alarm on the page. Throws as
/// compare_runs().
std::vector<Comparison> compare_with_first(Store& store, const std::vector<std::string>& runs,
                                           CompareSettings settings);

/// What differs between the runs, their headline figures side by side, and every pair in full.
Page comparison_page(const std::vector<Comparison>& pairs);

/// `"format": "ds4-comparisons-1"`: a list of what comparison_json() gives.
std::string comparisons_json(const std::vector<Comparison>& pairs);

/// A comparison's sections from the top, and its verdict in a word and a sentence (text.cpp).
struct Conclusion {
  std::string word;
  Tone tone;
  std::string sentence;
};
std::vector<Section> sections_of(const Comparison& comparison);
Conclusion conclude(const Comparison& comparison);

}  // namespace ds4::reports
