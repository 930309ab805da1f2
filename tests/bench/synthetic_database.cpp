// A database as large as the largest sweep we mean to report: 2,000 cells, a million samples, four
// suites, texts, events, failed launches; every row through the Store, as `run` writes them. The
// same seed gives the same rows. What `ds4-sweep report` takes for it: docs/perf/harness.md.
//   synthetic_database FILE [CELLS]      CELLS: a multiple of 100
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <random>

#include "profiles/schema/plan.h"
#include "profiles/schema/profile.h"
#include "reports/store/store.h"
#include "suites/suite.h"

namespace ds4 {
namespace {

using probes::Sample;

constexpr char kRun[] = "5ca1e000-0000-4000-8000-000000000000";
constexpr int kEvents = 16, kLaunchSamples = 210;
constexpr int64_t kMiB = 1 << 20;

// 100 cells times `seeds`, 25 cases each.
std::string profile_text(int seeds) {
  std::string text = R"(name = "synthetic"
target = "null"
[[suite]]
name = "arithmetic"
cases = 8
[[suite]]
name = "needle"
lengths = [512, 2048]
samples = [5]
[[suite]]
name = "speed"
lengths = [512]
samples = [3]
[[suite]]
name = "speculation"
families = ["code", "prose"]
lengths = [256]
samples = [2]
[[gate]]
suite = "arithmetic"
score = "strict"
min = 0.5
[[gate]]
metric = "parity"
min = 0.5
[sweep]
"engine.draft_tokens" = [0, 2]
"engine.kv_dtype" = ["fp8", "bf16"]
"engine.prefill_chunk" = [128, 256, 512, 1024, 2048]
"engine.context_length" = [4096, 8192, 16384, 32768, 65536]
"engine.seed" = [)";
  for (int seed = 1; seed <= seeds; ++seed) text += std::to_string(seed) + ",";
  return text + "]\n";
}

// Draws that no standard library may change: raw numbers of the generator.
class Draw {
 public:
  double share() { return static_cast<double>(generator_() >> 11) * 0x1p-53; }
  int below(int n) { return static_cast<int>(share() * n); }
  /// A value near `middle`, as times scatter.
  double near(double middle) { return middle * (0.95 + 0.1 * share()); }
  std::string words(int n) {
    std::string text;
    for (int i = 0; i < n; ++i)
      text += "word" + std::to_string(below(5000)) + (i % 12 ? " " : "\n");
    return text;
  }

 private:
  std::mt19937_64 generator_{7};
};

struct Counts {
  int64_t cells = 0, attempts = 0, samples = 0, launch_samples = 0, events = 0;
};

reports::CellRow cell_row(const profiles::Cell& cell, int ordinal) {
  reports::CellRow row;
  row.key = cell.key;
  row.label = cell.label;
  row.semantics = cell.semantics;
  row.settings = profiles::cell_to_json(cell);
  row.ordinal = ordinal;
  for (const profiles::SuiteSection& section : cell.profile.suites) {
    for (suites::CaseSpec& spec : suites::find_suite(section.name)->plan(section.parameters)) {
      row.cases.push_back({section.name, std::move(spec.id), std::move(spec.tags)});
    }
  }
  return row;
}

std::vector<Sample> answer_samples(Draw& draw) {
  return {{"decode_rounds", static_cast<double>(8 + draw.below(8)), 1, "decode"},
          {"acceptance_length", draw.near(2.1), 1, "decode"},
          {"acceptance_rate_1", draw.near(0.8), 1, "decode"},
          {"acceptance_rate_2", draw.near(0.6), 1, "decode"},
          {"kv_cache", draw.near(4e6), 1, ""},
          {"reply_head_time", draw.near(0.01), 1, ""},
          {"first_content_time", draw.near(0.3), 1, ""},
          {"stream_pieces", static_cast<double>(kEvents), 1, ""},
          {"clean", draw.share() < 0.98 ? 1.0 : 0.0, 1, ""},
          {"garble_distinct_4grams", draw.near(0.9), 1, ""},
          {"garble_compression", draw.near(0.4), 1, ""},
          {"garble_foreign", 0, 1, ""}};
}

class Generator {
 public:
  Generator(const std::filesystem::path& file, int seeds)
      : plan_(profiles::make_plan(profiles::parse_profile("synthetic.toml", profile_text(seeds)))),
        store_(reports::Store::open(file)) {
    for (int i = 0; i < 64; ++i) prompts_.push_back(draw_.words(80 + 4 * i));
    for (int i = 0; i < 512; ++i) answers_.push_back(draw_.words(20 + i % 200));
  }

  Counts fill() {
    reports::RunRow run;
    run.id = kRun;
    run.profile_name = plan_.profile.name;
    run.profile_text = plan_.profile.text;
    run.resolved_profile = profiles::cell_to_json({"", "", "", plan_.profile});
    run.machine = R"({"cpu": "synthetic", "cores": 2})";
    run.commit = "0000000000000000";
    run.version = "0";
    run.started_at = "2026-01-01T00:00:00Z";
    std::vector<reports::CellRow> cells;
    for (const profiles::Cell& cell : plan_.cells) {
      cells.push_back(cell_row(cell, static_cast<int>(cells.size())));
    }
    store_->add_run(run, cells);
    for (const reports::CellRow& cell : cells) fill(cell);
    store_->finish_run(kRun, "2026-01-02T00:00:00Z");
    return counts_;
  }

 private:
  // One cell in forty runs out of memory after half of its cases.
  void fill(const reports::CellRow& cell) {
    const bool fails = counts_.cells++ % 40 == 39;
    const size_t n_cases = fails ? cell.cases.size() / 2 : cell.cases.size();
    for (size_t i = 0; i < n_cases; ++i) answer(cell, cell.cases[i]);
    reports::LaunchRow launch;
    launch.cell_key = cell.key;
    launch.outcome = fails ? "DECODE_OOM" : "ok";
    launch.phase = fails ? "decode" : "";
    launch.message = fails ? "out of memory: 2.1 GiB wanted" : "";
    launch.log_tail = fails ? draw_.words(100) : "";
    launch.seconds = draw_.near(40);
    launch.started_at = "2026-01-01T00:00:00Z";
    std::vector<Sample> samples = {{"load_time", draw_.near(9), 9, "load"},
                                   {"peak_memory", draw_.near(9e9), 40, ""},
                                   {"planned_memory", 9.1e9, 0, "load"}};
    while (std::ssize(samples) < kLaunchSamples) {  // the machine's memory, five times a second
      const double time = 0.2 * static_cast<double>(samples.size());
      samples.push_back({"available_memory", draw_.near(static_cast<double>(90'000 * kMiB)), time,
                         time < 9 ? "load" : "decode"});
    }
    store_->add_launch(kRun, launch, samples);
    counts_.launch_samples += std::ssize(samples);
  }

  void answer(const reports::CellRow& cell, const reports::PlannedCase& planned) {
    const auto place = static_cast<size_t>(&planned - cell.cases.data());
    reports::AttemptRow attempt;
    attempt.cell_key = cell.key;
    attempt.suite = planned.suite;
    attempt.suite_version = 1;
    attempt.case_id = planned.case_id;
    attempt.tags = planned.tags;
    attempt.launch = 1;
    // The prompt is the case's in every cell; most answers are one of a few, some their own.
    attempt.prompt = planned.suite + " " + planned.case_id + "\n" + prompts_[place % 64];
    attempt.expected = std::to_string(place);
    attempt.text = draw_.below(50) == 0 ? draw_.words(120)
                                        : answers_[place * 16 % 512 + (draw_.below(4) ? 0u : 1u)];
    attempt.content = attempt.text;
    attempt.tool_calls = "[]";
    attempt.finish_reason = "stop";
    attempt.prompt_tokens = 500 + static_cast<int64_t>(place);
    attempt.completion_tokens = kEvents;
    attempt.first_token_s = draw_.near(0.3);
    double time = attempt.first_token_s;
    for (int i = 0; i < kEvents; ++i) {
      attempt.events.push_back({time, 1});
      time += draw_.near(0.02);
    }
    attempt.end_s = time;
    attempt.started_at = "2026-01-01T00:00:00Z";
    attempt.samples = answer_samples(draw_);
    attempt.status = "ok";
    reports::ScoreRow score;
    score.suite_version = 1;
    const double luck = draw_.share();
    score.grade = luck < 0.85 ? "correct" : luck < 0.97 ? "wrong" : "invalid";
    if (score.grade != "invalid") values_of(planned.suite, score);
    score.explanation = "graded as drawn";
    attempt.outcome = score.grade == "correct" ? "ok" : "WRONG_ANSWER";
    store_->add_attempt(kRun, attempt, score);
    ++counts_.attempts;
    counts_.samples += std::ssize(attempt.samples);
    counts_.events += kEvents;
  }

  void values_of(const std::string& suite, reports::ScoreRow& score) const {
    for (const profiles::SuiteSection& section : plan_.profile.suites) {
      if (section.name != suite) continue;
      for (const std::string& name : section.scores) {
        score.values[name] = score.grade == "correct" ? 1 : 0;
      }
    }
  }

  profiles::Plan plan_;
  std::unique_ptr<reports::Store> store_;
  Draw draw_;
  std::vector<std::string> prompts_, answers_;
  Counts counts_;
};

}  // namespace
}  // namespace ds4

int main(int argc, char** argv) {
  const int cells = argc > 2 ? std::atoi(argv[2]) : 2000;
  if (argc < 2 || cells < 100 || cells % 100 != 0 || std::filesystem::exists(argv[1])) {
    std::fputs("usage: synthetic_database NEW_FILE [CELLS, a multiple of 100]\n", stderr);
    return 2;
  }
  const ds4::Counts counts = ds4::Generator(argv[1], cells / 100).fill();
  std::printf(
      "%lld cells, %lld attempts, %lld samples (%lld of answers, %lld of workers), %lld "
      "events\n",
      static_cast<long long>(counts.cells), static_cast<long long>(counts.attempts),
      static_cast<long long>(counts.samples + counts.launch_samples),
      static_cast<long long>(counts.samples), static_cast<long long>(counts.launch_samples),
      static_cast<long long>(counts.events));
  return 0;
}
