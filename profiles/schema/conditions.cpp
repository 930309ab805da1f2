#include "profiles/schema/conditions.h"

#include <algorithm>
#include <array>

#include "engine/base/check.h"
#include "profiles/schema/nearest.h"
#include "profiles/schema/settings.h"

namespace ds4::profiles {
namespace {

constexpr std::string_view kBlank = " \t";
constexpr std::string_view kAnd = "and";
constexpr std::string_view kSigns = "<>=!";

std::string_view trimmed(std::string_view text) {
  const size_t first = text.find_first_not_of(kBlank);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kBlank) + 1 - first);
}

// The text cut at each word `and` outside quotes.
std::vector<std::string_view> cut(std::string_view text) {
  std::vector<std::string_view> parts;
  size_t begin = 0;
  char quote = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    if (quote != 0) {
      if (text[i] == quote) quote = 0;
    } else if (text[i] == '"' || text[i] == '\'') {
      quote = text[i];
    } else if (text.substr(i).starts_with(kAnd) && i > 0 &&
               kBlank.find(text[i - 1]) != std::string_view::npos &&
               i + kAnd.size() < text.size() &&
               kBlank.find(text[i + kAnd.size()]) != std::string_view::npos) {
      parts.push_back(trimmed(text.substr(begin, i - begin)));
      begin = i + kAnd.size();
    }
  }
  parts.push_back(trimmed(text.substr(begin)));
  return parts;
}

bool is_number(const toml::node& node) {
  return node.is_integer() || node.is_floating_point();
}

// -1, 0 or 1 as `a` is less than, equal to or more than `b`; both numbers, texts or booleans.
int order(const toml::node& a, const toml::node& b) {
  const auto sign = [](const auto& x, const auto& y) { return x < y ? -1 : x > y ? 1 : 0; };
  if (a.is_integer() && b.is_integer()) return sign(*a.value<int64_t>(), *b.value<int64_t>());
  if (is_number(a) && is_number(b)) return sign(*a.value<double>(), *b.value<double>());
  if (a.is_boolean() && b.is_boolean()) return sign(*a.value<bool>(), *b.value<bool>());
  DS4_CHECK(a.is_string() && b.is_string());
  return sign(*a.value<std::string>(), *b.value<std::string>());
}

// What conditions compare a key by: a checkpoint by its name, all else by its value.
std::string value_of(const Profile& profile, const std::string& key) {
  if (key == "checkpoint") {
    return value_to_toml(toml::value<std::string>(checkpoint_name(profile)));
  }
  return setting_text(profile, key);
}

class Reader {
 public:
  Reader(const Profile& profile, const toml::node& node, const TomlSource& source)
      : profile_(profile), node_(node), source_(source) {}

  Comparison comparison(std::string_view text) const {
    const size_t at = text.find_first_of(kSigns);
    if (at == std::string_view::npos) fail(text, "has no comparison");
    const size_t end = text.find_first_not_of(kSigns, at);
    Comparison result{std::string(trimmed(text.substr(0, at))),
                      std::string(text.substr(at, end == text.npos ? end : end - at)),
                      end == text.npos ? "" : std::string(trimmed(text.substr(end)))};
    static constexpr std::array<std::string_view, 6> kOperators{"==", "!=", "<", "<=", ">", ">="};
    if (std::find(kOperators.begin(), kOperators.end(), result.op) == kOperators.end()) {
      fail(text, "has the operator `" + result.op + "`");
    }
    const std::vector<std::string> valid = setting_keys(profile_);
    if (std::find(valid.begin(), valid.end(), result.key) == valid.end()) {
      source_.fail(node_, "`exclude` names the unknown key `" + result.key + "`",
                   "The nearest valid key is `" + nearest(result.key, valid) + "`.");
    }
    if (result.value.empty()) fail(text, "has no value to compare with");
    result.value = checked_value(text, result);
    return result;
  }

 private:
  // The value as the key would have it, so that "6GiB" and 6442450944 are one.
  std::string checked_value(std::string_view text, const Comparison& comparison) const {
    const toml::table parsed = parse_value(comparison.value);
    const toml::table placeless = parsed;  // copies of nodes carry no line of their own
    const toml::node& given = *placeless.get("v");
    const toml::table own_table = parse_value(value_of(profile_, comparison.key));
    const toml::node& own = *own_table.get("v");
    if (own.is_array()) {
      source_.fail(node_, "`exclude` cannot compare `" + comparison.key + "`, which is a list",
                   "Conditions compare single values.");
    }
    std::string value = comparison.value;
    if (comparison.key != "checkpoint") {
      Profile scratch = profile_;
      apply_setting(scratch, comparison.key, given,
                    TomlSource{source_.origin, source_.where(node_)});
      value = setting_text(scratch, comparison.key);
    } else if (given.is_string()) {
      value = value_to_toml(given);
    } else {
      fail(text, "compares a checkpoint's name with something that is no text");
    }
    if (!is_number(own) && comparison.op.find_first_of("<>") != std::string::npos) {
      fail(text, "orders values that are no numbers; only == and != can compare them");
    }
    return value;
  }

  [[noreturn]] void fail(std::string_view text, const std::string& problem) const {
    source_.fail(node_, "`exclude`: `" + std::string(text) + "` " + problem,
                 "Write KEY OPERATOR VALUE with == != < <= > or >=, several joined by `and`.");
  }

  const Profile& profile_;
  const toml::node& node_;
  const TomlSource& source_;
};

}  // namespace

Condition read_condition(const Profile& profile, const toml::node& node, const TomlSource& source) {
  Condition condition{source.string(node, "sweep.exclude"), {}};
  const Reader reader(profile, node, source);
  for (const std::string_view part : cut(condition.text)) {
    condition.all.push_back(reader.comparison(part));
  }
  return condition;
}

bool holds(const Condition& condition, const Profile& cell) {
  return std::all_of(condition.all.begin(), condition.all.end(), [&](const Comparison& c) {
    const toml::table left = parse_value(value_of(cell, c.key)), right = parse_value(c.value);
    const int sign = order(*left.get("v"), *right.get("v"));
    if (c.op == "==") return sign == 0;
    if (c.op == "!=") return sign != 0;
    if (c.op == "<") return sign < 0;
    if (c.op == "<=") return sign <= 0;
    if (c.op == ">") return sign > 0;
    return sign >= 0;
  });
}

}  // namespace ds4::profiles
