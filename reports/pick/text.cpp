// A pick for people, as TOML comments, and for programs, as JSON.
#include <cstdio>
#include <nlohmann/json.hpp>
#include <sstream>

#include "engine/base/units.h"
#include "reports/figures/format.h"
#include "reports/pages/build.h"
#include "reports/pages/escape.h"
#include "reports/pages/render.h"
#include "reports/pick/pick.h"

namespace ds4::reports {
namespace {

constexpr Criterion kShown[] = {Criterion::kQuality, Criterion::kMemory, Criterion::kDecode,
                                Criterion::kPrefill};

std::string unit_of(Criterion criterion) {
  return criterion == Criterion::kQuality ? "" : criterion == Criterion::kMemory ? "B" : "tok/s";
}

std::string need_text(const Need& need) {
  std::string text;
  const auto add = [&](const std::string& part) { text += (text.empty() ? "" : ", ") + part; };
  if (need.context > 0) add("context of " + format_count(need.context) + " tokens");
  if (need.max_memory) add("memory within " + format_bytes(*need.max_memory));
  for (const auto& [suite, least] : need.min_quality) {
    add(suite + " at least " + format_value("", least));
  }
  add(std::string("best ") + word(need.prefer));
  return text;
}

std::string change_text(Criterion criterion, double change) {
  char text[32];
  if (criterion == Criterion::kQuality) {
    std::snprintf(text, sizeof text, "%+.3f", change);
  } else {
    std::snprintf(text, sizeof text, "%+.1f %%", 100 * change);
  }
  return text;
}

// "decode -12.0 % (-18.0 % to -5.1 %), quality +0.010 (not separable)"
std::string against(const Candidate& candidate) {
  std::string text;
  for (const auto& [criterion, d] : candidate.against_pick) {
    if (!d.change) continue;
    text += (text.empty() ? "" : ", ") + std::string(word(criterion)) + " " +
            change_text(criterion, *d.change);
    if (!d.separable) {
      text += " (not separable)";
    } else if (d.interval) {
      text += " (" + change_text(criterion, d.interval->lo) + " to " +
              change_text(criterion, d.interval->hi) + ")";
    }
  }
  return text;
}

Table table_of(const Pick& pick) {
  Table table{"",
              {{""},
               {"cell"},
               {"quality", true},
               {"memory", true},
               {"decode", true},
               {"prefill", true},
               {"against the pick"}},
              {}};
  for (size_t i = 0; i < pick.candidates.size(); ++i) {
    const Candidate& c = pick.candidates[i];
    const bool picked = pick.winner == i;
    std::vector<TableCell> row = {{picked             ? "picked"
                                   : !c.unfit.empty() ? "unfit"
                                   : c.on_frontier    ? "frontier"
                                                      : "dominated"},
                                  {c.cell.label}};
    for (const Criterion criterion : kShown) {
      const PickValue& value = c.values.at(criterion);
      row.push_back(value.value ? TableCell{format_value(unit_of(criterion), *value.value)}
                                : nothing());
    }
    std::string note = picked ? c.remark : against(c);
    if (!c.unfit.empty())
      note = "does not meet the need: " + c.unfit + (note.empty() ? "" : "; ") + note;
    row.push_back({note});
    table.rows.push_back(std::move(row));
  }
  return table;
}

}  // namespace

std::string pick_text(const Pick& pick) {
  std::string text;
  if (pick.winner) {
    text = "Cell " + clean_line(pick.candidates[*pick.winner].cell.label) + " of run " +
           clean_line(pick.run.id.substr(0, 8)) + " (" + clean_line(pick.run.profile_name) +
           "), picked for: " + need_text(pick.need) + "\n";
  } else {
    text = "No cell of run " + clean_line(pick.run.id.substr(0, 8)) + " (" +
           clean_line(pick.run.profile_name) + ") meets: " + need_text(pick.need) + "\n";
  }
  for (const std::string& reason : pick.reasons) text += "  " + clean_line(reason) + "\n";
  text += "\n" + terminal_table(table_of(pick), false);
  text +=
      "\nQuality is the mean headline score over the cases of the suites that every complete cell "
      "answered; intervals are 95 %, over the cases that both cells answered.\n";
  std::istringstream lines(text);
  std::string out;
  for (std::string line; std::getline(lines, line);)
    out += line.empty() ? "#\n" : "# " + line + "\n";
  return out;
}

std::string pick_json(const Pick& pick, const std::string& profile) {
  using nlohmann::ordered_json;
  const auto number = [](const std::optional<double>& value) {
    return value ? ordered_json(*value) : ordered_json(nullptr);
  };
  const auto interval = [](const std::optional<Interval>& value) {
    return value ? ordered_json({value->lo, value->hi}) : ordered_json(nullptr);
  };
  ordered_json json = {{"format", "ds4-pick-1"},
                       {"run", pick.run.id},
                       {"need", need_text(pick.need)},
                       {"reasons", pick.reasons},
                       {"exit_code", pick.exit_code()}};
  json["pick"] =
      pick.winner ? ordered_json(pick.candidates[*pick.winner].cell.label) : ordered_json(nullptr);
  json["cells"] = ordered_json::array();
  for (const Candidate& c : pick.candidates) {
    ordered_json cell = {{"key", c.cell.key}, {"label", c.cell.label}, {"context", c.context},
                         {"unfit", c.unfit},  {"remark", c.remark},    {"frontier", c.on_frontier}};
    for (const auto& [criterion, value] : c.values) {
      cell[word(criterion)] = {
          {"value", number(value.value)}, {"interval", interval(value.interval)}, {"n", value.n}};
    }
    for (const auto& [criterion, d] : c.against_pick) {
      cell["against_pick"][word(criterion)] = {{"change", number(d.change)},
                                               {"interval", interval(d.interval)},
                                               {"separable", d.separable}};
    }
    json["cells"].push_back(std::move(cell));
  }
  json["profile"] = profile;
  return json.dump(2, ' ', false, ordered_json::error_handler_t::replace) + "\n";
}

}  // namespace ds4::reports
