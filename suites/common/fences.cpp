// One pass over the lines.
#include "suites/common/fences.h"

#include <algorithm>

#include "suites/common/answers.h"

namespace ds4::suites {
namespace {

// How many equal fence characters the trimmed line begins with; 0 when it is no fence.
size_t fence_length(std::string_view line) {
  if (line.empty() || (line.front() != '`' && line.front() != '~')) return 0;
  const size_t length = std::min(line.find_first_not_of(line.front()), line.size());
  return length < 3 ? 0 : length;
}

}  // namespace

std::vector<FencedBlock> fenced_blocks(std::string_view text) {
  std::vector<FencedBlock> blocks;
  bool inside = false;
  char mark = '`';
  size_t length = 0, begin = 0;
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find('\n', at), text.size());
    const std::string_view line = trim(text.substr(at, end - at));
    const size_t next = std::min(end + 1, text.size());
    const size_t fence = fence_length(line);
    if (!inside && fence > 0) {
      const std::string_view rest = trim(line.substr(fence));
      blocks.push_back({.tag = rest.substr(0, rest.find_first_of(" \t{"))});
      inside = true;
      mark = line.front();
      length = fence;
      begin = next;
    } else if (inside && fence >= length && line.front() == mark && fence == line.size()) {
      blocks.back().body = text.substr(begin, at - begin);
      blocks.back().closed = true;
      inside = false;
    }
    at = next;
  }
  if (inside) blocks.back().body = text.substr(begin);
  return blocks;
}

}  // namespace ds4::suites
