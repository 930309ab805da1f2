// Sweeps expanded into cells, what decides a cell's key, and cells as JSON.
#include "profiles/schema/plan.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <random>
#include <set>

#include "engine/base/hash.h"
#include "tests/unit/profiles/fixtures.h"

namespace ds4::profiles {
namespace {

constexpr char kSwept[] = R"(
target = "null"
[[suite]]
name = "needle"
[[suite]]
name = "smoke"
[sweep]
"engine.kv_dtype" = ["fp8", "bf16"]
"needle.lengths" = [[512], [2048], [8192]]
)";

std::string key_of(const std::string& text, const std::vector<std::string>& overrides = {}) {
  const ProfileLoader loader;
  const Plan plan = make_plan(loader.load(text, overrides));
  EXPECT_EQ(plan.cells.size(), 1u);
  return plan.cells[0].key;
}

TEST(MakePlan, TheFirstAxisVariesSlowest) {
  const Plan plan = make_plan(ProfileLoader().load(kSwept));
  std::vector<std::string> labels;
  std::set<std::string> keys;
  for (const Cell& cell : plan.cells) {
    labels.push_back(cell.label);
    keys.insert(cell.key);
    EXPECT_TRUE(cell.profile.axes.empty());
    EXPECT_EQ(cell.key.size(), 16u);
    EXPECT_EQ(cell.key, sha256_hex(cell.semantics).substr(0, 16));
  }
  EXPECT_EQ(labels,
            (std::vector<std::string>{
                "kv_dtype=fp8 needle.lengths=[512]", "kv_dtype=fp8 needle.lengths=[2048]",
                "kv_dtype=fp8 needle.lengths=[8192]", "kv_dtype=bf16 needle.lengths=[512]",
                "kv_dtype=bf16 needle.lengths=[2048]", "kv_dtype=bf16 needle.lengths=[8192]"}));
  EXPECT_EQ(keys.size(), plan.cells.size());
  EXPECT_EQ(plan.cells[4].profile.engine.kv_dtype, "bf16");
  EXPECT_EQ(
      std::get<std::vector<int64_t>>(plan.cells[4].profile.suites[0].parameters.at("lengths")),
      (std::vector<int64_t>{2048}));
}

TEST(MakePlan, TheCheckpointMayBeSweptAndIsCalledByItsName) {
  const ProfileLoader loader;
  const Plan plan = make_plan(
      loader.load("checkpoint = \"../tiny\"\n[[suite]]\nname = \"smoke\"\n[sweep]\n"
                  "checkpoint = [\"../tiny\", \"../tiny:k20\"]\n\"engine.seed\" = [1, 2]\n"));
  ASSERT_EQ(plan.cells.size(), 4u);
  EXPECT_EQ(plan.cells[0].label, "checkpoint=tiny seed=1");
  EXPECT_EQ(plan.cells[3].label, "checkpoint=tiny:k20 seed=2");
  const auto folder = loader.path().parent_path().parent_path();
  EXPECT_EQ(plan.cells[1].profile.checkpoint, folder / "tiny");
  EXPECT_EQ(plan.cells[2].profile.checkpoint, folder / "tiny:k20");
  EXPECT_EQ(plan.cells[2].key, key_of("checkpoint = \"there/tiny:k20\"\n[engine]\nseed = 1\n"
                                      "[[suite]]\nname = \"smoke\"\n"));
}

TEST(MakePlan, WithoutASweepThereIsOneCell) {
  const Plan plan = make_plan(ProfileLoader().load("target=\"null\"\n[[suite]]\nname=\"smoke\"\n"));
  ASSERT_EQ(plan.cells.size(), 1u);
  EXPECT_EQ(plan.cells[0].label, "default");
}

TEST(CellKey, IgnoresWhatIsNotMeasured) {
  const std::string base =
      "checkpoint = \"a\"\n[engine]\nseed = 1\nthreads = 2\n[[suite]]\nname = \"needle\"\ncases = "
      "3\n"
      "lengths = [5]\n[[suite]]\nname = \"smoke\"\n";
  const std::string key = key_of(base);
  // Another checkpoint path, name, time limits, gates, order of keys and of suites, and comments.
  EXPECT_EQ(key, key_of("checkpoint = \"elsewhere/a/\"\nname = \"n\"\ndescription = \"d\"\n"
                        "[limits]\ncell_timeout = 1\n"
                        "[[gate]]\nscore = \"exact\"\nmin = 0.5\n"
                        "[[suite]]\nname = \"smoke\"\n"
                        "[[suite]]\nlengths = [5] # five\ncases = 3\nname = \"needle\"\n"
                        "[engine]\nthreads = 2\nseed = 1\n"));
  // A default written out is the default.
  EXPECT_EQ(key, key_of(base + "[limits]\ncase_timeout = \"9m\"\n", {"engine.kv_dtype=fp8"}));
}

TEST(CellKey, IsTheSameForASweptAndAWrittenValue) {
  const std::string head = "target = \"null\"\n[[suite]]\nname = \"needle\"\n";
  EXPECT_EQ(key_of(head + "[sweep]\n\"engine.kv_dtype\" = [\"bf16\"]\n"),
            key_of(head + "[engine]\nkv_dtype = \"bf16\"\n"));
}

TEST(CellKey, ChangesWithEverythingThatIsMeasured) {
  const std::string head = "target = \"null\"\n[[suite]]\nname = \"needle\"\n";
  std::set<std::string> keys = {key_of(head)};
  size_t expected = 1;
  for (const char* change : {"engine.kv_dtype=bf16",
                             "engine.index_dtype=bf16",
                             "engine.context_length=77",
                             "engine.prefill_chunk=3",
                             "engine.draft_tokens=2",
                             "engine.sequences=4",
                             "engine.threads=5",
                             "engine.seed=9",
                             "engine.device=cuda",
                             "engine.residency=managed",
                             "engine.residency=mapped",
                             "needle.lengths=[512]",
                             "needle.lengths=[2048, 512]",
                             "needle.depths=[0.0]",
                             "needle.style=x",
                             "needle.cases=5",
                             "needle.share=0.25",
                             "needle.thinking=true",
                             "needle.kinds=[\"a\"]",
                             "sampling.temperature=1",
                             "sampling.top_k=3",
                             "sampling.min_p=0.1",
                             "sampling.top_p=0.5",
                             "sampling.repetition_penalty=1.1",
                             "sampling.presence_penalty=1",
                             "sampling.frequency_penalty=1",
                             "sampling.stop=[\"x\"]",
                             "checkpoint=tiny",
                             "checkpoint=tiny:k20"}) {
    keys.insert(key_of(head, {change}));
    EXPECT_EQ(keys.size(), ++expected) << change;
  }
  keys.insert(key_of(head + "[[suite]]\nname = \"smoke\"\n"));
  EXPECT_EQ(keys.size(), ++expected) << "another suite";
  Profile profile = ProfileLoader().load(head);
  ++profile.suites[0].version;
  keys.insert(make_plan(profile).cells[0].key);
  EXPECT_EQ(keys.size(), ++expected) << "another version of the suite";
}

// A key is written into databases: it must not change without a decision.
TEST(CellKey, IsTheHashOfCanonicalJson) {
  const Plan plan = make_plan(ProfileLoader().load("target=\"null\"\n[[suite]]\nname=\"smoke\"\n"));
  EXPECT_EQ(plan.cells[0].semantics,
            R"({"engine":{"context_length":8192,"device":"cpu","index_dtype":"fp4",)"
            R"("kv_dtype":"fp8","prefill_chunk":512,"seed":0,"threads":0},)"
            R"("suites":{"smoke":{"parameters":{},"version":1}},"target":"null"})");
}

// Values of every type, with the awkward ones among them.
class Random {
 public:
  explicit Random(uint32_t seed) : engine_(seed) {}
  int below(int n) { return static_cast<int>(engine_() % static_cast<uint32_t>(n)); }
  double real() {
    constexpr double kAwkward[] = {0.1, 1e-300, 1e300, -0.0, 1.0, 3.0, 1.0 / 3.0};
    return kAwkward[below(7)];
  }
  int64_t integer() {
    constexpr int64_t kAwkward[] = {0, -1, INT64_MAX, INT64_MIN, 512};
    return kAwkward[below(5)];
  }
  std::string text() {
    const char* const kAwkward[] = {"",          "plain", "\"quoted\\\"", "line\nbreak",
                                    "ünïcode ✓", "</x>"};
    return kAwkward[below(6)];
  }
  template <typename F>
  auto several(F make) {
    std::vector<decltype(make())> values;
    for (int i = below(4); i > 0; --i) values.push_back(make());
    return values;
  }
  suites::ParameterValue value() {
    switch (below(7)) {
      case 0:
        return below(2) == 1;
      case 1:
        return integer();
      case 2:
        return real();
      case 3:
        return text();
      case 4:
        return several([this] { return integer(); });
      case 5:
        return several([this] { return real(); });
      default:
        return several([this] { return text(); });
    }
  }

 private:
  std::mt19937 engine_;
};

Cell random_cell(uint32_t seed) {
  Random random(seed);
  Cell cell{random.text(), random.text(), random.text(), {}};
  Profile& p = cell.profile;
  p.name = random.text();
  p.description = random.text();
  p.path = random.text();
  p.text = random.text();
  p.checkpoint = random.text();
  p.target = random.text();
  p.script = random.text();
  p.engine = {random.text(),    random.text(),
              random.text(),    random.text(),
              random.integer(), random.integer(),
              random.integer(), random.integer(),
              random.integer(), UINT64_MAX - static_cast<uint64_t>(seed)};
  p.sampling = {random.real(), random.integer(),
                random.real(), random.real(),
                random.real(), random.real(),
                random.real(), random.several([&] { return random.text(); })};
  for (int i = random.below(3); i > 0; --i) {
    SuiteSection suite{random.text(), random.below(9), {}, {"a", random.text()}};
    for (int k = random.below(5); k > 0; --k) {
      suite.parameters["k" + std::to_string(k)] = random.value();
    }
    p.suites.push_back(suite);
  }
  p.axes = {{{random.text()}, {{"[1, 2]"}, {random.text()}}},
            {{"a", random.text()}, {{"1", "2"}, {random.text(), "4"}}}};
  p.sweep = {
      "one_at_a_time", {{random.text(), {}}}, "random",      UINT64_MAX, random.integer(), false,
      false,           random.integer(),      random.real(), true,       random.real()};
  if (random.below(2) == 1) p.memory_floor = random.integer();
  cell.choice = {random.below(2), random.below(2)};
  Gate gate;
  gate.suite = random.text();
  gate.figure = random.text();
  gate.tags = {{"length", random.text()}};
  gate.has_min = random.below(2) == 1;
  gate.has_max = !gate.has_min;
  if (gate.has_min) gate.min = random.real();
  if (gate.has_max) gate.max = random.real();
  if (random.below(2) == 1) gate.floor = 1 + random.below(1 << 20);
  if (random.below(2) == 1) {
    gate.baseline = "b" + random.text();
    gate.not_worse_by = random.real();
  }
  gate.outcome = random.text();
  gate.min_n = 1 + random.below(100);
  gate.source = random.text();
  p.gates = {gate};
  p.cell_timeout_s = random.real();
  p.case_timeout_s = random.real();
  p.overrides = {random.text()};
  return cell;
}

void expect_equal(const Cell& a, const Cell& b) {
  EXPECT_EQ(a.key, b.key);
  EXPECT_EQ(a.label, b.label);
  EXPECT_EQ(a.semantics, b.semantics);
  const Profile &p = a.profile, &q = b.profile;
  EXPECT_EQ(p.name, q.name);
  EXPECT_EQ(p.description, q.description);
  EXPECT_EQ(p.path, q.path);
  EXPECT_EQ(p.text, q.text);
  EXPECT_EQ(p.checkpoint, q.checkpoint);
  EXPECT_EQ(p.target, q.target);
  EXPECT_EQ(p.script, q.script);
  EXPECT_EQ(p.engine.device, q.engine.device);
  EXPECT_EQ(p.engine.kv_dtype, q.engine.kv_dtype);
  EXPECT_EQ(p.engine.index_dtype, q.engine.index_dtype);
  EXPECT_EQ(p.engine.residency, q.engine.residency);
  EXPECT_EQ(p.engine.context_length, q.engine.context_length);
  EXPECT_EQ(p.engine.prefill_chunk, q.engine.prefill_chunk);
  EXPECT_EQ(p.engine.draft_tokens, q.engine.draft_tokens);
  EXPECT_EQ(p.engine.sequences, q.engine.sequences);
  EXPECT_EQ(p.engine.threads, q.engine.threads);
  EXPECT_EQ(p.engine.seed, q.engine.seed);
  EXPECT_EQ(p.sampling, q.sampling);
  ASSERT_EQ(p.suites.size(), q.suites.size());
  for (size_t i = 0; i < p.suites.size(); ++i) {
    EXPECT_EQ(p.suites[i].name, q.suites[i].name);
    EXPECT_EQ(p.suites[i].version, q.suites[i].version);
    EXPECT_EQ(p.suites[i].scores, q.suites[i].scores);
    EXPECT_EQ(p.suites[i].parameters, q.suites[i].parameters);
  }
  ASSERT_EQ(p.axes.size(), q.axes.size());
  for (size_t i = 0; i < p.axes.size(); ++i) {
    EXPECT_EQ(p.axes[i].keys, q.axes[i].keys);
    EXPECT_EQ(p.axes[i].values, q.axes[i].values);
  }
  EXPECT_EQ(a.choice, b.choice);
  EXPECT_EQ(p.memory_floor, q.memory_floor);
  EXPECT_EQ(p.sweep.mode, q.sweep.mode);
  ASSERT_EQ(p.sweep.exclude.size(), q.sweep.exclude.size());
  EXPECT_EQ(p.sweep.exclude[0].text, q.sweep.exclude[0].text);
  EXPECT_EQ(p.sweep.order, q.sweep.order);
  EXPECT_EQ(p.sweep.seed, q.sweep.seed);
  EXPECT_EQ(p.sweep.repeats, q.sweep.repeats);
  EXPECT_EQ(p.sweep.skip_dominated, q.sweep.skip_dominated);
  EXPECT_EQ(p.sweep.refuse_unfit, q.sweep.refuse_unfit);
  EXPECT_EQ(p.sweep.settle_tolerance, q.sweep.settle_tolerance);
  EXPECT_EQ(p.sweep.settle_timeout_s, q.sweep.settle_timeout_s);
  EXPECT_EQ(p.sweep.sentinel, q.sweep.sentinel);
  EXPECT_EQ(p.sweep.sentinel_bound, q.sweep.sentinel_bound);
  ASSERT_EQ(p.gates.size(), q.gates.size());
  EXPECT_EQ(p.gates[0].suite, q.gates[0].suite);
  EXPECT_EQ(p.gates[0].figure, q.gates[0].figure);
  EXPECT_EQ(p.gates[0].tags, q.gates[0].tags);
  EXPECT_EQ(p.gates[0].has_min, q.gates[0].has_min);
  EXPECT_EQ(p.gates[0].has_max, q.gates[0].has_max);
  EXPECT_EQ(p.gates[0].min, q.gates[0].min);
  EXPECT_EQ(p.gates[0].max, q.gates[0].max);
  EXPECT_EQ(p.gates[0].floor, q.gates[0].floor);
  EXPECT_EQ(p.gates[0].baseline, q.gates[0].baseline);
  EXPECT_EQ(p.gates[0].not_worse_by, q.gates[0].not_worse_by);
  EXPECT_EQ(p.gates[0].outcome, q.gates[0].outcome);
  EXPECT_EQ(p.gates[0].min_n, q.gates[0].min_n);
  EXPECT_EQ(p.gates[0].source, q.gates[0].source);
  EXPECT_EQ(p.cell_timeout_s, q.cell_timeout_s);
  EXPECT_EQ(p.case_timeout_s, q.case_timeout_s);
  EXPECT_EQ(p.overrides, q.overrides);
}

TEST(CellJson, ComesBackAsItWas) {
  for (uint32_t seed = 0; seed < 500; ++seed) {
    SCOPED_TRACE(seed);
    const Cell cell = random_cell(seed);
    const std::string json = cell_to_json(cell);
    expect_equal(cell, cell_from_json(json));
    EXPECT_EQ(cell_to_json(cell_from_json(json)), json);
    if (testing::Test::HasFailure()) return;
  }
}

TEST(CellJson, KeepsEveryRealCellOfASweep) {
  const Plan plan = make_plan(ProfileLoader().load(kSwept));
  for (const Cell& cell : plan.cells) {
    const Cell back = cell_from_json(cell_to_json(cell));
    EXPECT_EQ(back.key, cell.key);
    // Planned again from the stored cell, as a resume does, the key is the same.
    EXPECT_EQ(make_plan(back.profile).cells.at(0).key, cell.key);
  }
}

TEST(CellJson, RefusesWhatItCannotRead) {
  const std::string good = cell_to_json(random_cell(1));
  for (const std::string& bad : {std::string(), std::string("{}"), std::string("[1]"),
                                 std::string("{\"format\":1}"), good.substr(0, good.size() / 2)}) {
    EXPECT_THROW(cell_from_json(bad), Error) << bad;
  }
  auto newer = nlohmann::json::parse(good);
  newer["format"] = 99;
  EXPECT_THROW(cell_from_json(newer.dump()), Error);
}

}  // namespace
}  // namespace ds4::profiles
