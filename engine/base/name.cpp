#include "engine/base/name.h"

#include <mutex>
#include <unordered_set>

namespace ds4 {
namespace {

struct HashOfView {
  using is_transparent = void;
  size_t operator()(std::string_view text) const { return std::hash<std::string_view>()(text); }
};

}  // namespace

const std::string* Name::kept(std::string_view text) {
  static const std::string nothing;
  if (text.empty()) return &nothing;
  static std::mutex mutex;
  static std::unordered_set<std::string, HashOfView, std::equal_to<>> texts;  // elements stay put
  const std::lock_guard lock(mutex);
  const auto found = texts.find(text);
  return &*(found == texts.end() ? texts.emplace(text).first : found);
}

}  // namespace ds4
