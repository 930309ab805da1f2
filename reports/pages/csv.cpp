// The page as tidy tables: a row per cell, and a row per figure with the settings of its cell.
#include "reports/pages/csv.h"

#include <charconv>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <unordered_map>

#include "reports/pages/escape.h"
#include "reports/pages/render.h"

namespace ds4::reports {
namespace {

using nlohmann::json;

// Name of a setting -> its value as a field.
using Settings = std::map<std::string, std::string>;

void add_settings(const json& value, const std::string& name, Settings& settings) {
  if (value.is_structured()) {
    for (const auto& [key, inner] : value.items()) {
      add_settings(inner, name.empty() ? key : name + "." + key, settings);
    }
  } else if (!value.is_null()) {
    settings[name] =
        value.is_string() ? csv_text(value.get_ref<const std::string&>()) : value.dump();
  }
}

// The single values of what defines a cell: "engine.kv_dtype", "suites.needle.parameters.seed".
Settings settings_of(const CellRow& cell) {
  Settings settings;
  const json semantics = json::parse(cell.semantics, nullptr, false);
  if (semantics.is_object()) add_settings(semantics, "", settings);
  return settings;
}

// Cells with their settings in columns: all settings but those of suites that every cell shares.
class SettingColumns {
 public:
  explicit SettingColumns(const std::vector<CellRow>& cells) {
    std::map<std::string, size_t> n_alike;  // cells that have a setting as the first one has it
    for (const CellRow& cell : cells) {
      const Settings& settings = of_cell_[cell.key] = settings_of(cell);
      const Settings& first = of_cell_[cells.front().key];
      for (const auto& [name, value] : settings) {
        const auto there = first.find(name);
        n_alike[name] += there != first.end() && there->second == value;
      }
    }
    for (const auto& [name, n] : n_alike) {
      if (!name.starts_with("suites.") || n < of_cell_.size()) names_.push_back(name);
    }
  }

  void add_titles(std::vector<std::string>& fields) const {
    for (const std::string& name : names_) fields.push_back(csv_text(name));
  }
  void add_values(const std::string& cell_key, std::vector<std::string>& fields) const {
    const auto settings = of_cell_.find(cell_key);
    for (const std::string& name : names_) {
      const bool known = settings != of_cell_.end() && settings->second.contains(name);
      fields.push_back(known ? settings->second.at(name) : "");
    }
  }

 private:
  std::map<std::string, Settings> of_cell_;
  std::vector<std::string> names_;
};

const char* kind_name(FigureKind kind) {
  return kind == FigureKind::kScore ? "score" : kind == FigureKind::kMedian ? "median" : "maximum";
}

// What a spreadsheet may take for a formula.
bool looks_active(std::string_view text) {
  const size_t first = text.find_first_not_of(" \t\r\n");
  return first != std::string_view::npos &&
         std::string_view("=+-@").find(text[first]) != std::string_view::npos;
}

std::string joined(const std::vector<std::string>& fields) {
  std::string text;
  for (const std::string& field : fields) {
    if (&field != fields.data()) text += ',';
    text += field;
  }
  return text;
}

}  // namespace

std::string csv_text(std::string_view text) {
  std::string clean = clean_text(text);
  if (looks_active(clean)) clean.insert(0, 1, '\'');
  if (clean.find_first_of(",\"\r\n") == std::string::npos) return clean;
  std::string quoted = "\"";
  for (const char c : clean) {
    if (c == '"') quoted += '"';
    quoted += c;
  }
  return quoted + '"';
}

std::string csv_number(std::optional<double> value) {
  if (!value) return "";
  char digits[32];
  const auto end = std::to_chars(digits, digits + sizeof digits, *value);
  return {digits, end.ptr};
}

std::string csv_record(const std::vector<std::string>& fields) {
  return joined(fields) + "\r\n";
}

std::string render_cells_csv(const Page& page) {
  const SettingColumns settings(page.cells);
  std::vector<std::string> titles = {"run", "cell", "label"};
  settings.add_titles(titles);
  for (const char* title :
       {"checkpoint", "checkpoint_identity", "outcome", "phase", "message", "launches", "seconds",
        "cases_planned", "cases_answered", "cases_skipped", "correct", "wrong", "invalid"}) {
    titles.push_back(title);
  }
  std::string out = csv_record(titles);
  for (size_t i = 0; i < page.cells.size(); ++i) {
    const CellRow& cell = page.cells[i];
    const CellStatus& status = page.statuses[i];
    std::vector<std::string> fields = {csv_text(page.run.id), csv_text(cell.key),
                                       csv_text(cell.label)};
    settings.add_values(cell.key, fields);
    for (const std::string* text : {&cell.checkpoint_path, &cell.checkpoint_identity,
                                    &status.outcome, &status.phase, &status.message}) {
      fields.push_back(csv_text(*text));
    }
    fields.push_back(std::to_string(status.n_launches));
    fields.push_back(csv_number(status.seconds));
    for (const int count : {status.n_planned, status.n_ok, status.n_skipped, status.n_correct,
                            status.n_wrong, status.n_invalid}) {
      fields.push_back(std::to_string(count));
    }
    out += csv_record(fields);
  }
  return out;
}

std::string render_figures_csv(const Page& page) {
  const SettingColumns settings(page.cells);
  std::map<std::string, std::string> labels;
  for (const CellRow& cell : page.cells) labels[cell.key] = csv_text(cell.label);
  std::set<std::string> tags;
  for (const Figure& figure : page.figures) {
    for (const auto& [tag, value] : figure->about.tags) tags.insert(tag);
  }
  std::vector<std::string> titles = {"run", "cell", "label"};
  settings.add_titles(titles);
  titles.push_back("suite");
  for (const std::string& tag : tags) titles.push_back(csv_text("tag." + tag));
  for (const char* title : {"figure", "kind", "unit", "value", "low", "high", "n", "n_invalid"}) {
    titles.push_back(title);
  }
  std::string out = csv_record(titles);
  constexpr size_t kRowBytes =
      320;  // enough for most: grown by doubling, a large text is held twice
  out.reserve(kRowBytes * page.figures.size());
  const std::string run = csv_text(page.run.id);
  std::unordered_map<std::string, std::string> cells;  // what rows of a cell begin with
  for (const Figure& figure : page.figures) {
    const FigureData& data = *figure;
    std::string& cell = cells[data.about.cell_key];
    if (cell.empty()) {
      std::vector<std::string> fields = {run, csv_text(data.about.cell_key),
                                         labels[data.about.cell_key]};
      settings.add_values(data.about.cell_key, fields);
      cell = joined(fields);
    }
    std::vector<std::string> fields = {csv_text(data.about.suite)};
    for (const std::string& tag : tags) {
      const auto found = data.about.tags.find(tag);
      fields.push_back(found == data.about.tags.end() ? "" : csv_text(found->second));
    }
    fields.push_back(csv_text(data.name));
    fields.push_back(kind_name(data.kind));
    fields.push_back(csv_text(data.unit));
    fields.push_back(csv_number(data.value));
    fields.push_back(data.interval ? csv_number(data.interval->lo) : "");
    fields.push_back(data.interval ? csv_number(data.interval->hi) : "");
    fields.push_back(std::to_string(data.n));
    fields.push_back(std::to_string(data.n_invalid));
    out += cell + ',' + csv_record(fields);
  }
  return out;
}

}  // namespace ds4::reports
