// A server's reading of a tool-call block: accepts the deviations that models are known to make and
// still says no to anything else.
#include <algorithm>
#include <array>
#include <unordered_set>

#include "engine/text/dsml.h"

namespace ds4::text {
namespace {

// How a tag's name is introduced: as taught, with the first bar missing, or plain.
constexpr std::array<std::string_view, 3> kStyles = {"｜DSML｜", "DSML｜", ""};
constexpr std::string_view kSpace = " \t\n\v\f\r";
constexpr int kMaxNesting = 32;

struct Tag {
  size_t style;
  size_t length;  // up to the end of its name
};

struct Attributes {
  std::optional<std::string> name;
  std::optional<std::string> string;
};

class TolerantReader {
 public:
  explicit TolerantReader(std::string_view text) : text_(text) {
    no_close_from_.fill(std::string_view::npos);
  }

  std::optional<DsmlBlock> block() {
    if (!open("tool_calls") || !tag_end()) return std::nullopt;
    DsmlBlock block;
    while (true) {
      skip_space();
      if (close("tool_calls")) break;
      if (!open("invoke")) return std::nullopt;
      auto call = invoke();
      if (!call) return std::nullopt;
      block.calls.push_back(std::move(*call));
    }
    block.length = at_;
    return block;
  }

 private:
  std::string_view rest() const { return text_.substr(at_); }

  void skip_space() { at_ = std::min(text_.find_first_not_of(kSpace, at_), text_.size()); }

  bool take(std::string_view literal) {
    if (!rest().starts_with(literal)) return false;
    at_ += literal.size();
    return true;
  }

  bool tag_end() {
    skip_space();
    return take(">");
  }

  // A tag at `at`; its name must end there, so that `<invoked>` is none.
  std::optional<Tag> tag_at(size_t at, std::string_view bracket, std::string_view name) const {
    const std::string_view here = text_.substr(at);
    if (!here.starts_with(bracket)) return std::nullopt;
    for (size_t style = 0; style < kStyles.size(); ++style) {
      const std::string_view inside = here.substr(bracket.size());
      if (!inside.starts_with(kStyles[style])) continue;
      const std::string_view named = inside.substr(kStyles[style].size());
      if (!named.starts_with(name)) continue;
      const std::string_view after = named.substr(name.size());
      if (after.empty() || (after[0] != '>' && kSpace.find(after[0]) == kSpace.npos)) continue;
      return Tag{style, bracket.size() + kStyles[style].size() + name.size()};
    }
    return std::nullopt;
  }

  std::optional<Tag> open(std::string_view name) {
    const auto tag = tag_at(at_, "<", name);
    if (tag) at_ += tag->length;
    return tag;
  }

  bool close(std::string_view name) {
    const auto tag = tag_at(at_, "</", name);
    if (!tag) return false;
    at_ += tag->length;
    return tag_end();
  }

  // Attributes up to and including the `>`; unknown ones are passed over.
  std::optional<Attributes> attributes() {
    Attributes found;
    while (!tag_end()) {
      const size_t equals = text_.find_first_of("=<>\"", at_);
      if (equals == std::string_view::npos || text_[equals] != '=') return std::nullopt;
      std::string_view name = text_.substr(at_, equals - at_);
      name = name.substr(0, name.find_last_not_of(kSpace) + 1);
      at_ = equals + 1;
      skip_space();
      if (!take("\"")) return std::nullopt;
      const size_t quote = text_.find('"', at_);
      if (quote == std::string_view::npos) return std::nullopt;
      const std::string value(text_.substr(at_, quote - at_));
      at_ = quote + 1;
      if (name == "name") found.name = value;
      if (name == "string") found.string = value;
    }
    return found;
  }

  std::optional<ToolCall> invoke() {
    const auto attribute = attributes();
    if (!attribute || !attribute->name) return std::nullopt;
    const auto arguments = parameters(0);
    if (!arguments || !close("invoke")) return std::nullopt;
    return ToolCall{"", *attribute->name, arguments_json(*arguments, JsonValues::kChecked)};
  }

  // All parameters that follow, and the white space behind them.
  std::optional<std::vector<DsmlParameter>> parameters(int depth) {
    std::vector<DsmlParameter> found;
    std::unordered_set<std::string> names;
    if (depth == kMaxNesting) return std::nullopt;
    for (skip_space(); const auto tag = open("parameter"); skip_space()) {
      const auto attribute = attributes();
      if (!attribute || !attribute->name || !names.insert(*attribute->name).second) {
        return std::nullopt;
      }
      auto parameter = value(*attribute, tag->style, depth);
      if (!parameter) return std::nullopt;
      found.push_back(std::move(*parameter));
    }
    return found;
  }

  std::optional<DsmlParameter> value(const Attributes& attribute, size_t style, int depth) {
    if (!attribute.string) {
      const size_t first = std::min(text_.find_first_not_of(kSpace, at_), text_.size());
      if (tag_at(first, "<", "parameter")) {
        const auto nested = parameters(depth + 1);
        if (!nested || !close("parameter")) return std::nullopt;
        return DsmlParameter{*attribute.name, false, arguments_json(*nested, JsonValues::kChecked)};
      }
    }
    const size_t end = find_close(style);
    if (end == std::string_view::npos) return std::nullopt;
    const std::string text(text_.substr(at_, end - at_));
    at_ = end;
    if (!close("parameter")) return std::nullopt;
    return DsmlParameter{*attribute.name, attribute.string != "false", text};
  }

  // Where the parameter ends: at a closing tag of its own style, since a value may well contain
  // other markup; only without one at a closing tag of any style.
  size_t find_close(size_t style) {
    const size_t own = find_close_of(style);
    if (own != std::string_view::npos) return own;
    size_t first = std::string_view::npos;
    for (size_t other = 0; other < kStyles.size(); ++other)
      first = std::min(first, find_close_of(other));
    return first;
  }

  size_t find_close_of(size_t style) {
    // Remembered, lest every parameter of a long block search to the end again.
    if (at_ >= no_close_from_[style]) return std::string_view::npos;
    const std::string literal = "</" + std::string(kStyles[style]) + "parameter";
    for (size_t at = text_.find(literal, at_); at != std::string_view::npos;
         at = text_.find(literal, at + 1)) {
      if (const auto tag = tag_at(at, "</", "parameter"); tag && tag->style == style) return at;
    }
    no_close_from_[style] = at_;
    return std::string_view::npos;
  }

  std::string_view text_;
  size_t at_ = 0;
  std::array<size_t, kStyles.size()> no_close_from_;
};

}  // namespace

std::optional<DsmlBlock> read_dsml_tolerant(std::string_view text) {
  std::string ignored;
  if (auto block = read_dsml_strict(text, JsonValues::kChecked, ignored)) return block;
  return TolerantReader(text).block();
}

}  // namespace ds4::text
