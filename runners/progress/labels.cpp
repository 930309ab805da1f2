#include "runners/progress/labels.h"

#include <algorithm>
#include <map>

#include "runners/progress/columns.h"

namespace ds4::runners {
namespace {

constexpr std::string_view kBetween = " ";

std::vector<std::string> parts_of(const std::string& label) {
  std::vector<std::string> parts;
  for (size_t begin = 0; begin <= label.size();) {
    const size_t end = std::min(label.find(kBetween, begin), label.size());
    parts.push_back(label.substr(begin, end - begin));
    begin = end + kBetween.size();
  }
  return parts;
}

// Without the parts that all have; a label that has no other keeps them.
std::vector<std::string> what_differs(const std::vector<std::string>& labels) {
  std::map<std::string, size_t> times;
  for (const std::string& label : labels) {
    std::vector<std::string> parts = parts_of(label);
    std::sort(parts.begin(), parts.end());
    parts.erase(std::unique(parts.begin(), parts.end()), parts.end());
    for (const std::string& part : parts) ++times[part];
  }
  std::vector<std::string> out;
  for (const std::string& label : labels) {
    std::string kept;
    for (const std::string& part : parts_of(label)) {
      if (times[part] < labels.size()) kept += (kept.empty() ? "" : std::string(kBetween)) + part;
    }
    out.push_back(kept.empty() ? label : kept);
  }
  return out;
}

}  // namespace

std::vector<std::string> short_labels(const std::vector<std::string>& labels, int columns,
                                      size_t first) {
  const auto fits = [&](const std::string& label) { return text_columns(label) <= columns; };
  if (std::all_of(labels.begin(), labels.end(), fits)) return labels;
  const std::vector<std::string> parts = labels.size() > 1 ? what_differs(labels) : labels;
  std::vector<std::string> out;
  std::map<std::string, std::string> whole;  // by what is left of it
  bool alike = false;
  for (size_t i = 0; i < labels.size(); ++i) {
    out.push_back(cut_in_middle(parts[i], columns));
    alike = alike || whole.try_emplace(out.back(), labels[i]).first->second != labels[i];
  }
  for (size_t i = 0; alike && i < labels.size(); ++i) {
    out[i] = cut_in_middle(std::to_string(first + i) + " " + parts[i], columns);
  }
  return out;
}

}  // namespace ds4::runners
