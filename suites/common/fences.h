// Fenced code blocks of an answer in Markdown. Finds them; what stands in them is not its business.
#pragma once

#include <string_view>
#include <vector>

namespace ds4::suites {

/// One block: the first word after the opening fence ("" = none) and the lines between the fences.
/// Both point into the text.
struct FencedBlock {
  std::string_view tag;
  std::string_view body = {};
  bool closed = false;  // false: the text ends inside
};

/// All blocks in order: fences of three or more ` or ~ after white space, closed by a fence of the
/// same character at least as long. Linear in the text.
std::vector<FencedBlock> fenced_blocks(std::string_view text);

}  // namespace ds4::suites
