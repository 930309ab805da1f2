// Charts of memory: the course of each launch, by owner, with phases, capacity, the guard's floor
// and where it ended; and the plan by owner beside what was taken.
#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <nlohmann/json.hpp>

#include "engine/base/units.h"
#include "reports/figures/format.h"
#include "reports/figures/memory_budget.h"
#include "reports/outcomes/outcome.h"
#include "reports/pages/build.h"

namespace ds4::reports {
namespace {

constexpr double kGiB = 1024.0 * 1024 * 1024;
constexpr size_t kMostCourses = 6;  // cells drawn: those that memory ended first, else in order
constexpr size_t kMostBands = 8;    // with more, phases of single answers are one band
constexpr size_t kMostCells = 24;   // of the table of owners
constexpr size_t kMostOwners = 4;   // drawn: the largest; the others are one area

std::string bytes(double value) {
  return format_bytes(std::llround(value));
}

// A launch's readings and the plan, as they are stored.
struct Course {
  const CellRow* cell = nullptr;
  const LaunchRow* launch = nullptr;
  std::vector<probes::Sample> machine, device;  // by time; bytes in use
  std::vector<probes::Sample> floors;           // by time
  std::vector<probes::Sample> owners;           // planned; phase = the owner
  double planned = 0;                           // of all owners
  bool empty() const { return machine.empty(); }
};

bool memory_ended(const LaunchRow& launch) {
  return ran_out_of_memory(launch.outcome) || is_watchdog_kill(launch.outcome);
}

// Of the newest launch of every cell, read in one pass.
std::vector<Course> courses_of(const RunData& run) {
  std::vector<Course> courses(run.cells.size());
  std::map<std::string, Course*> of_cell;
  for (size_t i = 0; i < run.cells.size(); ++i) {
    courses[i].cell = &run.cells[i];
    of_cell[run.cells[i].key] = &courses[i];
  }
  for (const LaunchRow& launch : run.launches) {
    const auto found = of_cell.find(launch.cell_key);
    if (found != of_cell.end()) found->second->launch = &launch;
  }
  for (const LaunchSample& s : run.launch_samples) {
    const probes::Sample& sample = s.sample;
    const std::string& metric = sample.metric;
    if (!metric.starts_with("course_") && !metric.starts_with("planned_")) continue;
    const auto found = of_cell.find(s.cell_key);
    if (found == of_cell.end()) continue;
    Course& course = *found->second;
    if (!course.launch || course.launch->number != s.launch) continue;
    if (sample.metric == "course_machine_memory") course.machine.push_back(sample);
    if (sample.metric == "course_device_memory") course.device.push_back(sample);
    if (sample.metric == "course_floor") course.floors.push_back(sample);
    if (sample.metric == "planned_memory" || sample.metric == "planned_device_memory") {
      if (sample.phase == "") {
        course.planned = sample.value;
      } else {
        course.owners.push_back(sample);
      }
    }
  }
  return courses;
}

// The largest owners in the order of the plan, and all others as one.
std::vector<probes::Sample> drawn_owners(const Course& course) {
  std::vector<double> sizes;
  for (const probes::Sample& owner : course.owners) sizes.push_back(owner.value);
  std::sort(sizes.rbegin(), sizes.rend());
  std::vector<probes::Sample> drawn;
  probes::Sample others{"", 0, 0, "other owners"};
  for (const probes::Sample& owner : course.owners) {
    if (sizes.size() <= kMostOwners || owner.value >= sizes[kMostOwners - 1]) {
      drawn.push_back(owner);
    } else {
      others.value += owner.value;
    }
  }
  if (others.value > 0) drawn.push_back(others);
  return drawn;
}

// What a launch has: each owner up to its planned size, one after the other, then what no owner was
// planned for. `before`: in use when the launch began, by others.
std::vector<ChartSeries> areas(const Course& course, const std::vector<probes::Sample>& readings,
                               double before) {
  const std::vector<probes::Sample> owners = drawn_owners(course);
  std::vector<ChartSeries> series;
  std::vector<double> most;  // of each area
  const auto add = [&](const std::string& name, const std::string& key, double bytes) {
    series.push_back({name, key, ChartForm::kArea});
    most.push_back(bytes);
  };
  if (before > 0) add("in use before", "", before);
  for (const probes::Sample& owner : owners) add(owner.phase, owner.phase, owner.value);
  add(owners.empty() ? "this launch" : "unattributed", "unattributed",
      std::numeric_limits<double>::infinity());
  for (const probes::Sample& reading : readings) {
    double left = reading.value;
    for (size_t i = 0; i < series.size(); ++i) {
      const double taken = std::min(left, most[i]);
      series[i].points.push_back({reading.time_s, taken / kGiB});
      left -= taken;
    }
  }
  return series;
}

std::string band_name(const std::string& phase, bool merged) {
  if (phase == "capture") return "warm-up";
  if (merged && (phase == "prefill" || phase == "decode" || phase == "idle")) return "answering";
  return phase;
}

std::vector<ChartBand> bands(const std::vector<probes::Sample>& readings, bool merged = false) {
  std::vector<ChartBand> all;
  for (const probes::Sample& reading : readings) {
    const std::string name = band_name(reading.phase, merged);
    if (!all.empty()) all.back().to = reading.time_s;
    if (all.empty() || all.back().label != name) {
      all.push_back({reading.time_s, reading.time_s, name});
    }
  }
  return merged || all.size() <= kMostBands ? all : bands(readings, true);
}

// Where the guard ended the launch, and how far memory was beyond the limit. "" = it did not.
std::string add_end(const Course& course, double capacity, Chart& chart) {
  const auto verdict = nlohmann::json::parse(course.launch->guard, nullptr, false);
  if (!verdict.is_object()) return "";
  const double lowest = verdict.value("lowest_bytes", 0.0);
  const double over = verdict.value("over_bytes", 0.0);
  const std::string action = verdict.value("action", "");
  if (action != "soft" && action != "hard") return "";
  ChartSeries cross{"ended by the guard", "", ChartForm::kCrosses};
  cross.points.push_back({verdict.value("time_s", 0.0), (capacity - lowest) / kGiB});
  const std::string text =
      (action == "hard" ? "killed" : "told to end") +
      (over > 0 ? ", " + bytes(over) + " over the limit" : std::string(" before the limit"));
  cross.points.back().label = cross.points.back().note = text;
  chart.series.push_back(std::move(cross));
  return text;
}

// Readings of the GPU where it has memory of its own; else of the machine, which all share.
std::optional<Chart> course_chart(const PageContext& context, const Course& course) {
  const std::optional<MemoryBudget> budget = memory_budget(context.run, *course.cell);
  if (!budget) return std::nullopt;
  const bool of_gpu = budget->of_gpu && !course.device.empty();
  const std::vector<probes::Sample>& readings = of_gpu ? course.device : course.machine;
  const std::string whose = of_gpu ? "the GPU" : "the machine";
  Chart chart;
  chart.id = "memory-" + course.cell->key;
  chart.title = "Where did the memory of " + course.cell->label + " go?";
  chart.x = {"s since the guard was armed", false, 0, std::ceil(readings.back().time_s)};
  chart.y = {"memory of " + whose + " in use, GiB", false, 0, budget->capacity / kGiB};
  const double before = of_gpu ? 0 : readings.front().value;
  chart.series = areas(course, readings, before);
  chart.bands = bands(readings);
  const auto most = std::max_element(
      readings.begin(), readings.end(),
      [](const probes::Sample& a, const probes::Sample& b) { return a.value < b.value; });
  chart.answer = "At most " + bytes(most->value) + " of " + whose + "'s " +
                 bytes(budget->capacity) + " were in use, in " + band_name(most->phase, false);
  if (before > 0) chart.answer += "; " + bytes(before) + " were before the launch began";
  chart.answer += ".";
  chart.guides.push_back(
      {false, budget->capacity / kGiB, "all of " + whose + ": " + bytes(budget->capacity)});
  const auto floor = std::max_element(
      course.floors.begin(), course.floors.end(),
      [](const probes::Sample& a, const probes::Sample& b) { return a.value < b.value; });
  if (!of_gpu && floor != course.floors.end()) {
    chart.guides.push_back({false, (budget->capacity - floor->value) / kGiB,
                            "guard: " + bytes(floor->value) + " stay free", Tone::kBad});
    const double room = budget->capacity - floor->value - most->value;
    chart.answer += room >= 0 ? " " + bytes(room) + " were left above the guard's floor of " +
                                    bytes(floor->value) + "."
                              : " That is " + bytes(-room) + " beyond the guard's floor of " +
                                    bytes(floor->value) + ".";
  }
  if (!course.owners.empty()) {
    chart.answer += " Owners are as planned, filled in their order up to what was read.";
  }
  if (!of_gpu) {
    const std::string end = add_end(course, budget->capacity, chart);
    if (!end.empty()) chart.answer += " The launch was " + end + ".";
  }
  chart.table = {
      "The readings that are stored: the first, the last, and of each of 30 equal stretches of the "
      "launch the least and the most.",
      {{"s", true}, {"phase"}, {"in use", true}},
      {}};
  chart.table.in_terminal = false;
  for (const probes::Sample& reading : readings) {
    chart.table.rows.push_back(
        {{format_number(reading.time_s)}, {reading.phase}, {bytes(reading.value)}});
  }
  return chart;
}

// The plan by owner beside what was taken; of the first cells that have one.
void add_owners(PageContext& context, const std::vector<Course>& courses, Section& section) {
  Table table{"", {{"cell"}}, {}};
  table.in_terminal = false;
  std::vector<std::string> owners;
  std::vector<const Course*> shown;
  size_t n_all = 0;
  for (const Course& course : courses) {
    if (course.owners.empty() || ++n_all > kMostCells) continue;
    shown.push_back(&course);
    for (const probes::Sample& owner : course.owners) {
      if (std::find(owners.begin(), owners.end(), owner.phase) == owners.end()) {
        owners.push_back(owner.phase);
      }
    }
  }
  if (shown.empty()) return;
  for (const std::string& owner : owners) table.columns.push_back({owner, true});
  for (const char* title : {"planned", "taken", "taken / planned"}) {
    table.columns.push_back({title, true});
  }
  for (const Course* course : shown) {
    std::vector<TableCell> row = {{course->cell->label}};
    for (const std::string& owner : owners) {
      const auto found = std::find_if(course->owners.begin(), course->owners.end(),
                                      [&](const probes::Sample& s) { return s.phase == owner; });
      row.push_back(found == course->owners.end() ? nothing() : TableCell{bytes(found->value)});
    }
    row.push_back({bytes(course->planned)});
    const bool on_gpu = course->owners.front().metric == "planned_device_memory";
    const Figure* taken =
        context.figure({course->cell->key, "", {}}, on_gpu ? "device_memory" : "peak_memory");
    row.push_back(taken ? TableCell{format_value(**taken)} : nothing());
    row.push_back(taken && course->planned > 0
                      ? TableCell{format_number(*(*taken)->value / course->planned)}
                      : nothing());
    table.rows.push_back(std::move(row));
  }
  table.caption =
      "What the engine planned, by owner, and what was taken at the peak: of a process "
      "its resident memory, of a GPU all that was in use.";
  if (n_all > kMostCells) {
    table.caption +=
        " The first " + std::to_string(kMostCells) + " of " + std::to_string(n_all) + " cells.";
  }
  section.tables.push_back(std::move(table));
}

}  // namespace

void add_memory_charts(PageContext& context, Section& section) {
  const std::vector<Course> courses = courses_of(context.run);
  add_owners(context, courses, section);
  std::vector<const Course*> drawn;
  bool guarded_without = false;
  for (const Course& course : courses) {
    if (!course.empty()) drawn.push_back(&course);
    guarded_without |= course.empty() && course.launch && course.launch->outcome != "running" &&
                       !course.launch->origin.telemetry.empty();
  }
  std::stable_sort(drawn.begin(), drawn.end(), [](const Course* a, const Course* b) {
    return memory_ended(*a->launch) && !memory_ended(*b->launch);
  });
  const size_t n_all = drawn.size();
  if (n_all > kMostCourses) {
    drawn.resize(kMostCourses);
    section.paragraphs.push_back("The course of memory is drawn of " +
                                 std::to_string(kMostCourses) + " of " + std::to_string(n_all) +
                                 " cells: those that memory ended first, then in their order.");
  }
  for (const Course* course : drawn) {
    if (auto chart = course_chart(context, *course)) section.charts.push_back(std::move(*chart));
  }
  if (guarded_without) {
    section.paragraphs.push_back(
        "Of some launches no course of memory is stored: their guard was lost, their supervisor "
        "did not live to store it, or an older version ran them.");
  }
}

}  // namespace ds4::reports
