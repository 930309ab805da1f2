#include "profiles/schema/sweep.h"

#include <algorithm>
#include <limits>
#include <set>
#include <utility>

#include "profiles/schema/conditions.h"
#include "profiles/schema/nearest.h"
#include "profiles/schema/settings.h"

namespace ds4::profiles {
namespace {

constexpr int64_t kMostRepeats = 1000;
constexpr double kMostBound = 100;

struct Option {
  const char* name;
  void (*set)(Profile&, const toml::node&, const TomlSource&);
};

template <typename... Names>
std::string choice(const toml::node& node, const TomlSource& source, const char* key,
                   const Names&... names) {
  const std::string valid[] = {names...};
  return source.one_of(node, key, valid);
}

// The keys of [sweep] that are no axes, but for `zip`.
const Option kOptions[] = {
    {"mode",
     [](Profile& profile, const toml::node& node, const TomlSource& source) {
       profile.sweep.mode = choice(node, source, "sweep.mode", "cartesian", "one_at_a_time");
     }},
    {"exclude",
     [](Profile& profile, const toml::node& node, const TomlSource& source) {
       for (const toml::node& text : source.array(node, "sweep.exclude")) {
         profile.sweep.exclude.push_back(read_condition(profile, text, source));
       }
     }},
    {"order",
     [](Profile& profile, const toml::node& node, const TomlSource& source) {
       profile.sweep.order = choice(node, source, "sweep.order", "as_written", "memory", "random");
     }},
    {"seed",
     [](Profile& profile, const toml::node& node, const TomlSource& source) {
       profile.sweep.seed = static_cast<uint64_t>(
           source.integer(node, "sweep.seed", 0, std::numeric_limits<int64_t>::max()));
     }},
    {"repeats",
     [](Profile& profile, const toml::node& node, const TomlSource& source) {
       profile.sweep.repeats = source.integer(node, "sweep.repeats", 1, kMostRepeats);
     }},
    {"skip_dominated",
     [](Profile& profile, const toml::node& node, const TomlSource& source) {
       profile.sweep.skip_dominated = source.boolean(node, "sweep.skip_dominated");
     }},
    {"refuse_unfit",
     [](Profile& profile, const toml::node& node, const TomlSource& source) {
       profile.sweep.refuse_unfit = source.boolean(node, "sweep.refuse_unfit");
     }},
    {"settle_tolerance",
     [](Profile& profile, const toml::node& node, const TomlSource& source) {
       profile.sweep.settle_tolerance = source.bytes(node, "sweep.settle_tolerance");
     }},
    {"settle_timeout",
     [](Profile& profile, const toml::node& node, const TomlSource& source) {
       profile.sweep.settle_timeout_s = source.seconds(node, "sweep.settle_timeout");
     }},
    {"sentinel",
     [](Profile& profile, const toml::node& node, const TomlSource& source) {
       profile.sweep.sentinel = source.boolean(node, "sweep.sentinel");
     }},
    {"sentinel_bound",
     [](Profile& profile, const toml::node& node, const TomlSource& source) {
       profile.sweep.sentinel_bound = source.number(node, "sweep.sentinel_bound");
       if (profile.sweep.sentinel_bound > 0 && profile.sweep.sentinel_bound <= kMostBound) return;
       source.fail(node, "`sweep.sentinel_bound` must be more than 0 and at most 100",
                   "0.5 calls a launch slow when a reading is below best / 1.5.");
     }},
};

const Option* find_option(std::string_view name) {
  const auto* found = std::find_if(std::begin(kOptions), std::end(kOptions),
                                   [&](const Option& option) { return option.name == name; });
  return found == std::end(kOptions) ? nullptr : found;
}

class SweepReader {
 public:
  SweepReader(Profile& profile, const TomlSource& source)
      : profile_(profile), source_(source), valid_(setting_keys(profile)) {}

  void read(const toml::table& table) {
    collect(table, "");
    if (const toml::node* zips = table.get("zip")) read_zips(*zips);
    // toml++ sorts keys; the order of a sweep is the order of the file.
    std::stable_sort(axes_.begin(), axes_.end(),
                     [](const auto& a, const auto& b) { return a.first < b.first; });
    for (auto& [position, axis] : axes_) profile_.axes.push_back(std::move(axis));
    for (const auto& [key, node] : table) {
      if (const Option* option = find_option(key.str())) option->set(profile_, node, source_);
    }
  }

 private:
  using Column = std::vector<std::string>;  // one key's values as TOML text

  // Keys may be quoted ("engine.kv_dtype" = ...) or dotted (engine.kv_dtype = ...): the latter
  // arrive as nested tables.
  void collect(const toml::table& table, const std::string& prefix) {
    for (const auto& [key, value] : table) {
      if (prefix.empty() && (key == "zip" || find_option(key.str()))) continue;
      const std::string name = prefix + std::string(key.str());
      if (const auto* nested = value.as_table()) {
        collect(*nested, name + ".");
        continue;
      }
      const Column values = column(name, value, true);
      if (!claim(name, value)) continue;
      Axis axis{{name}, {}};
      for (const std::string& text : values) axis.values.push_back({text});
      axes_.emplace_back(key.source().begin, std::move(axis));
    }
  }

  void read_zips(const toml::node& node) {
    if (!node.is_array_of_tables()) {
      source_.fail(node, "`zip` must be written [[sweep.zip]], once per group of keys");
    }
    for (const toml::node& element : *node.as_array()) {
      std::vector<std::pair<toml::source_position, std::pair<std::string, Column>>> columns;
      collect_columns(*element.as_table(), "", columns);
      std::stable_sort(columns.begin(), columns.end(),
                       [](const auto& a, const auto& b) { return a.first < b.first; });
      Axis axis;
      for (auto& [position, named] : columns) {
        auto& [name, values] = named;
        axis.values.resize(values.size());
        axis.keys.push_back(name);
        for (size_t i = 0; i < values.size(); ++i) axis.values[i].push_back(std::move(values[i]));
      }
      if (axis.keys.empty()) continue;  // all of them set by the user
      const std::set<std::vector<std::string>> distinct(axis.values.begin(), axis.values.end());
      if (distinct.size() != axis.values.size()) {
        source_.fail(element, "a [[sweep.zip]] lists the same values twice");
      }
      axes_.emplace_back(element.source().begin, std::move(axis));
    }
  }

  void collect_columns(
      const toml::table& table, const std::string& prefix,
      std::vector<std::pair<toml::source_position, std::pair<std::string, Column>>>& columns) {
    for (const auto& [key, value] : table) {
      const std::string name = prefix + std::string(key.str());
      if (const auto* nested = value.as_table()) {
        collect_columns(*nested, name + ".", columns);
        continue;
      }
      Column values = column(name, value, false);
      if (!claim(name, value)) continue;
      if (!columns.empty() && values.size() != columns.front().second.second.size()) {
        source_.fail(value,
                     "`" + name + "` has " + std::to_string(values.size()) + " values and `" +
                         columns.front().second.first + "` " +
                         std::to_string(columns.front().second.second.size()),
                     "Keys of one [[sweep.zip]] vary together, so each needs as many values.");
      }
      columns.emplace_back(key.source().begin, std::pair{name, std::move(values)});
    }
  }

  // Why a key of a profile cannot be an axis; "" when it can, or when it is none.
  std::string reason_against(const std::string& key) const {
    const bool of_suite =
        std::any_of(profile_.suites.begin(), profile_.suites.end(),
                    [&](const SuiteSection& suite) { return key == suite.name + ".name"; });
    return why_fixed(of_suite ? "suite" : key);
  }

  // The values of a key, validated; `distinct`: none twice.
  Column column(const std::string& key, const toml::node& node, bool distinct) const {
    if (const std::string why = reason_against(key); !why.empty()) {
      source_.fail(node, "[sweep] cannot vary `" + key + "`: " + why);
    }
    if (std::find(valid_.begin(), valid_.end(), key) == valid_.end()) {
      std::vector<std::string> known = valid_;
      known.emplace_back("zip");
      for (const Option& option : kOptions) known.emplace_back(option.name);
      source_.fail(node, "[sweep] names the unknown key `" + key + "`",
                   "The nearest valid key is `" + nearest(key, known) + "`.");
    }
    Column result, called;       // what each value is called in keys and labels
    Profile scratch = profile_;  // takes the values in turn, to validate them here
    for (const toml::node& value : source_.array(node, "sweep." + key)) {
      apply_setting(scratch, key, value, source_);
      std::string text = value_to_toml(value), name = text;
      if (key == "checkpoint" || key == "script") {  // kept as the path it stands for
        text = setting_text(scratch, key);
      }
      if (key == "checkpoint") name = checkpoint_name(scratch);
      if (distinct && std::find(called.begin(), called.end(), name) != called.end()) {
        source_.fail(value, "`sweep." + key + "` lists " + name + " twice",
                     key == "checkpoint" ? "Cells tell checkpoints apart by their folders' names; "
                                           "rename one of the folders."
                                         : "");
      }
      called.push_back(std::move(name));
      result.push_back(std::move(text));
    }
    if (result.empty()) source_.fail(node, "`sweep." + key + "` is empty");
    return result;
  }

  // False for a key that --set gave a value; a key may be in one axis only.
  bool claim(const std::string& key, const toml::node& node) {
    if (std::any_of(profile_.overrides.begin(), profile_.overrides.end(),
                    [&](const std::string& pair) { return pair.starts_with(key + "="); })) {
      return false;
    }
    if (!claimed_.insert(key).second) {
      source_.fail(node, "[sweep] varies `" + key + "` twice", "Keep one of the two axes.");
    }
    return true;
  }

  Profile& profile_;
  const TomlSource& source_;
  const std::vector<std::string> valid_;
  std::set<std::string> claimed_;
  std::vector<std::pair<toml::source_position, Axis>> axes_;
};

}  // namespace

std::string Axis::name() const {
  std::string text;
  for (const std::string& key : keys) text += (text.empty() ? "" : ", ") + key;
  return text;
}

bool is_launch_option(std::string_view key) {
  constexpr std::string_view kOfManyCells[] = {"mode", "exclude", "order", "seed"};
  return find_option(key) &&
         std::find(std::begin(kOfManyCells), std::end(kOfManyCells), key) == std::end(kOfManyCells);
}

void read_sweep(Profile& profile, const toml::table& table, const TomlSource& source) {
  SweepReader(profile, source).read(table);
}

}  // namespace ds4::profiles
