#include "reports/figures/name.h"

#include <mutex>
#include <unordered_set>

namespace ds4::reports {

const std::string* Name::kept(const std::string& text) {
  static std::mutex mutex;
  static std::unordered_set<std::string> texts;  // its elements stay where they are
  const std::lock_guard lock(mutex);
  return &*texts.insert(text).first;
}

}  // namespace ds4::reports
