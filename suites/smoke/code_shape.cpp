// A scanner of strings, comments and brackets of two languages; no parser of either.
#include "suites/smoke/code_shape.h"

#include <algorithm>

#include "suites/common/answers.h"
#include "suites/common/fences.h"

namespace ds4::suites {
namespace {

bool is_word(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

// The code with strings and comments blanked, byte for byte; line ends stay.
std::string bare_code(std::string_view code, bool python) {
  std::string out(code);
  const auto blank = [&](size_t begin, size_t end) {
    for (size_t i = begin; i < std::min(end, out.size()); ++i) {
      if (out[i] != '\n') out[i] = ' ';
    }
  };
  for (size_t i = 0; i < code.size();) {
    const std::string_view rest = code.substr(i);
    size_t end = 0;
    if (python && (rest.starts_with("\"\"\"") || rest.starts_with("'''"))) {
      end = code.find(rest.substr(0, 3), i + 3);
      end = end == code.npos ? code.size() : end + 3;
    } else if (rest[0] == '"' || rest[0] == '\'') {
      end = i + 1;
      while (end < code.size() && code[end] != rest[0] && code[end] != '\n') {
        end += code[end] == '\\' ? 2 : 1;
      }
      ++end;
    } else if (python ? rest[0] == '#' : rest.starts_with("//")) {
      end = std::min(code.find('\n', i), code.size());
    } else if (!python && rest.starts_with("/*")) {
      end = code.find("*/", i + 2);
      end = end == code.npos ? code.size() : end + 2;
    }
    if (end > 0) blank(i, end);
    i = std::max(end, i + 1);
  }
  return out;
}

bool balanced(std::string_view code) {
  std::string open;
  for (char c : code) {
    if (c == '(' || c == '[' || c == '{') open += c;
    if (c != ')' && c != ']' && c != '}') continue;
    const char wanted = c == ')' ? '(' : c == ']' ? '[' : '{';
    if (open.empty() || open.back() != wanted) return false;
    open.pop_back();
  }
  return open.empty();
}

bool has_word(std::string_view code, std::string_view word) {
  for (size_t at = code.find(word); at != code.npos; at = code.find(word, at + 1)) {
    const size_t end = at + word.size();
    if ((at == 0 || !is_word(code[at - 1])) && (end == code.size() || !is_word(code[end]))) {
      return true;
    }
  }
  return false;
}

// The parameters of a balanced list that begins behind its "(", and where the list ends.
int64_t count_parameters(std::string_view code, size_t at, size_t& end) {
  int64_t commas = 0, depth = 0;
  const size_t begin = at;
  for (; at < code.size() && !(depth == 0 && code[at] == ')'); ++at) {
    const char c = code[at];
    depth += c == '(' || c == '[' || c == '{' ? 1 : c == ')' || c == ']' || c == '}' ? -1 : 0;
    commas += c == ',' && depth == 0 ? 1 : 0;
  }
  end = std::min(at + 1, code.size());
  const std::string_view inside = trim(code.substr(begin, at - begin));
  return inside.empty() || inside == "void" ? 0 : commas + 1;
}

// Behind the parameters: Python's colon, after a result's type; C's body.
bool opens_body(std::string_view rest, bool python) {
  rest = trim(rest);
  if (!python) return rest.starts_with('{');
  const std::string_view line = rest.substr(0, rest.find('\n'));
  return line.starts_with(':') || (line.starts_with("->") && line.find(':') != line.npos);
}

std::string wrong_definition(const WantedCode& wanted, std::string_view code) {
  const bool python = wanted.language == "python";
  bool named = false;
  for (size_t at = code.find(wanted.name); at != code.npos; at = code.find(wanted.name, at + 1)) {
    const size_t behind = code.find_first_not_of(" \t", at + wanted.name.size());
    if ((at > 0 && is_word(code[at - 1])) || behind == code.npos || code[behind] != '(') continue;
    const size_t line = at == 0 ? 0 : code.rfind('\n', at - 1) + 1;  // npos + 1 = 0
    const std::string_view before = trim(code.substr(line, at - line));
    if (python ? before != "def"
               : before.empty() || !(is_word(before.back()) || before.back() == '*')) {
      continue;
    }
    size_t end = 0;
    const int64_t parameters = count_parameters(code, behind + 1, end);
    if (!opens_body(code.substr(end), python) || before == "return") continue;
    named = true;
    if (parameters == wanted.parameters) return {};
  }
  return named ? "`" + wanted.name + "` does not have " + std::to_string(wanted.parameters) +
                     " parameters"
               : "no function `" + wanted.name + "` is defined";
}

}  // namespace

std::string wrong_with_code(const WantedCode& wanted, std::string_view answer,
                            std::string_view& code) {
  const std::vector<FencedBlock> blocks = fenced_blocks(answer);
  code = {};
  if (blocks.empty()) return "the answer has no fenced block";
  code = blocks.front().body;
  const std::string tag = lower_case(blocks.front().tag);
  const bool python = wanted.language == "python";
  if (!tag.empty() && tag != wanted.language && !(python && (tag == "py" || tag == "python3"))) {
    return "the block is tagged " + printable(tag, 20);
  }
  if (!blocks.front().closed) return "the block is not closed";
  const std::string bare = bare_code(code, python);
  if (!balanced(bare)) return "brackets are not balanced";
  const std::string definition = wrong_definition(wanted, bare);
  if (!definition.empty()) return definition;
  for (const std::string& word : wanted.must) {
    if (!has_word(bare, word)) return "`" + word + "` is missing";
  }
  for (const std::string& word : wanted.must_not) {
    if (has_word(bare, word)) return "`" + word + "` was not to be used";
  }
  return {};
}

}  // namespace ds4::suites
