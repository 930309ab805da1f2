#include "probes/tagged.h"

#include "engine/base/check.h"

namespace ds4::probes {
namespace {

constexpr std::string_view kOf = "{of=", kDiscarded = ",discarded=";

}  // namespace

std::string tagged_name(const Tagged& tagged) {
  DS4_CHECK(!tagged.of.empty() && tagged.of.find(kDiscarded) == std::string::npos, tagged.of);
  std::string name = tagged.metric + std::string(kOf) + tagged.of;
  if (!tagged.discarded.empty()) name += std::string(kDiscarded) + tagged.discarded;
  return name + "}";
}

Tagged read_tagged(std::string_view name) {
  const size_t begin = name.find(kOf);
  if (begin == std::string_view::npos || name.back() != '}') return {std::string(name), "", ""};
  std::string_view of = name.substr(begin + kOf.size());
  of.remove_suffix(1);
  std::string_view discarded;
  if (const size_t at = of.find(kDiscarded); at != std::string_view::npos) {
    discarded = of.substr(at + kDiscarded.size());
    of = of.substr(0, at);
  }
  return {std::string(name.substr(0, begin)), std::string(of), std::string(discarded)};
}

}  // namespace ds4::probes
