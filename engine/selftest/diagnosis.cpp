#include "engine/selftest/diagnosis.h"

#include <algorithm>
#include <tuple>

namespace ds4::selftest {
namespace {

struct Suspect {
  std::string mechanism;
  int contradictions = 0;  // passed checks that exercise it
  int unexplained = 0;     // failed checks that do not

  auto rank() const { return std::tie(contradictions, unexplained, mechanism); }
};

bool exercises(const SelftestCheck& check, const std::string& mechanism) {
  return std::find(check.mechanisms.begin(), check.mechanisms.end(), mechanism) !=
         check.mechanisms.end();
}

}  // namespace

std::vector<std::string> suspects(const std::vector<SelftestCheck>& checks, size_t limit) {
  std::vector<Suspect> all;
  for (const SelftestCheck& failed : checks) {
    if (failed.passed) continue;
    for (const std::string& mechanism : failed.mechanisms) {
      const auto known = [&](const Suspect& s) { return s.mechanism == mechanism; };
      if (std::any_of(all.begin(), all.end(), known)) continue;
      Suspect suspect{mechanism, 0, 0};
      for (const SelftestCheck& check : checks) {
        suspect.contradictions += check.passed && exercises(check, mechanism);
        suspect.unexplained += !check.passed && !exercises(check, mechanism);
      }
      all.push_back(suspect);
    }
  }
  std::sort(all.begin(), all.end(),
            [](const Suspect& a, const Suspect& b) { return a.rank() < b.rank(); });
  std::vector<std::string> names;
  for (const Suspect& suspect : all) {
    const Suspect& best = all.front();
    if (names.size() == limit || suspect.contradictions > best.contradictions ||
        suspect.unexplained > best.unexplained + 1) {
      break;
    }
    names.push_back(suspect.mechanism);
  }
  return names;
}

}  // namespace ds4::selftest
