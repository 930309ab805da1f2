// The reference's reading of a tool-call block: every byte between the tags is prescribed.
#include <algorithm>
#include <unordered_set>

#include "engine/text/dsml.h"
#include "engine/text/markers.h"
#include "engine/text/python_json.h"

namespace ds4::text {
namespace {

class StrictReader {
 public:
  StrictReader(std::string_view text, JsonValues values, std::string& problem)
      : text_(text), values_(values), problem_(problem) {}

  std::optional<DsmlBlock> block() {
    if (!take(kToolCallsOpen)) return fail("no tool_calls tag");
    DsmlBlock block;
    while (true) {
      if (!take(">\n")) return fail("a tag must be followed by `>` and a newline");
      if (take(kToolCallsClose)) break;
      if (!take(kInvokeOpen)) return fail("expected an invoke tag or the end of tool_calls");
      auto call = invoke();
      if (!call) return std::nullopt;
      block.calls.push_back(std::move(*call));
    }
    if (!take(">")) return fail("the closing tool_calls tag is cut off");
    block.length = at_;
    return block;
  }

 private:
  std::string_view rest() const { return text_.substr(at_); }

  bool take(std::string_view literal) {
    if (!rest().starts_with(literal)) return false;
    at_ += literal.size();
    return true;
  }

  std::nullopt_t fail(const std::string& problem) {
    problem_ = problem + " (at byte " + std::to_string(at_) + " of the tool block)";
    return std::nullopt;
  }

  // The text before the first parameter or the end of the invoke.
  std::optional<std::string_view> header() {
    const size_t begin = at_;
    for (size_t at = text_.find('<', at_); at != std::string_view::npos;
         at = text_.find('<', at + 1)) {
      const std::string_view here = text_.substr(at);
      if (here.starts_with(kParameterOpen) || here.starts_with(kInvokeClose)) {
        at_ = at;
        return text_.substr(begin, at - begin);
      }
    }
    return fail("an invoke tag is not closed");
  }

  std::optional<ToolCall> invoke() {
    auto head = header();
    if (!head) return std::nullopt;
    head->remove_prefix(std::min(head->find_first_not_of(" \t\n\v\f\r"), head->size()));
    // The empty-argument form has one more newline.
    if (head->ends_with("\">\n\n")) head->remove_suffix(1);
    constexpr std::string_view kName = "name=\"";
    constexpr std::string_view kEnd = "\">\n";
    if (!head->starts_with(kName) || !head->ends_with(kEnd) ||
        head->size() < kName.size() + kEnd.size()) {
      return fail("an invoke tag must be ` name=\"NAME\">` and a newline");
    }
    ToolCall call;
    call.name = head->substr(kName.size(), head->size() - kName.size() - kEnd.size());

    std::vector<DsmlParameter> parameters;
    std::unordered_set<std::string> names;
    while (take(kParameterOpen)) {
      if (!parameter(parameters, names)) return std::nullopt;
      if (!take(">\n")) return fail("a parameter must be followed by `>` and a newline");
    }
    if (!take(kInvokeClose)) return fail("expected a parameter or the end of the invoke");
    call.arguments = arguments_json(parameters, values_);
    return call;
  }

  // Appends one parameter; `names` are those before it.
  bool parameter(std::vector<DsmlParameter>& parameters, std::unordered_set<std::string>& names) {
    const size_t close = text_.find(kParameterClose, at_);
    if (close == std::string_view::npos) return fail("a parameter is not closed"), false;
    const std::string_view content = text_.substr(at_, close - at_);
    constexpr std::string_view kName = " name=\"";
    constexpr std::string_view kString = "\" string=\"";
    if (!content.starts_with(kName)) return fail("a parameter needs ` name=`"), false;
    for (size_t end = content.find(kString, kName.size()); end != std::string_view::npos;
         end = content.find(kString, end + 1)) {
      const std::string_view flag = content.substr(end + kString.size());
      const bool is_string = flag.starts_with("true\">");
      if (!is_string && !flag.starts_with("false\">")) continue;
      const std::string name(content.substr(kName.size(), end - kName.size()));
      if (!names.insert(name).second) {
        return fail("parameter `" + name + "` appears twice"), false;
      }
      const std::string_view value = flag.substr(is_string ? 6 : 7);
      parameters.push_back({name, is_string, std::string(value)});
      at_ = close + kParameterClose.size();
      return true;
    }
    return fail("a parameter needs `string=\"true\"` or `string=\"false\"`"), false;
  }

  std::string_view text_;
  JsonValues values_;
  std::string& problem_;
  size_t at_ = 0;
};

}  // namespace

std::string arguments_json(const std::vector<DsmlParameter>& parameters, JsonValues values) {
  std::string out = "{";
  for (const DsmlParameter& parameter : parameters) {
    if (out.size() > 1) out += ", ";
    out += quote_json(parameter.name) + ": ";
    const bool is_json = !parameter.is_string && (values == JsonValues::kVerbatim ||
                                                  read_json(parameter.value).has_value());
    out += is_json ? parameter.value : quote_json(parameter.value);
  }
  return out + "}";
}

std::optional<DsmlBlock> read_dsml_strict(std::string_view text, JsonValues values,
                                          std::string& problem) {
  return StrictReader(text, values, problem).block();
}

}  // namespace ds4::text
