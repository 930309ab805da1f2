// Every key that a profile may have, tried as an axis: two cells that differ, or a reason.
#include <gmock/gmock.h>

#include <map>
#include <sstream>

#include "profiles/schema/cell_toml.h"
#include "profiles/schema/settings.h"
#include "tests/support/source_dir.h"
#include "tests/unit/profiles/cell_meaning.h"
#include "tests/unit/profiles/fixtures.h"

namespace ds4::profiles {
namespace {

using ::testing::HasSubstr;

constexpr const char* kBase = R"(name = "axes"
target = "scripted"
script = "a.json"
checkpoint = "c"
[[suite]]
name = "needle"
)";

std::string swept(const std::string& key, const std::string& values) {
  return kBase + ("[sweep]\n\"" + key + "\" = " + values + "\n");
}

// Two values of each key that a sweep may vary.
const std::map<std::string, std::string>& two_values() {
  static const std::map<std::string, std::string> kValues = {
      {"checkpoint", R"(["c1", "synthetic:k20"])"},
      {"target", R"(["scripted", "null"])"},
      {"script", R"(["a.json", "b.json"])"},
      {"recording", R"(["a.db", "b.db"])"},
      {"engine.device", R"(["cpu", "cuda"])"},
      {"engine.kv_dtype", R"(["fp8", "bf16"])"},
      {"engine.index_dtype", R"(["fp4", "bf16"])"},
      {"engine.residency", R"(["device", "mapped"])"},
      {"engine.context_length", "[1024, 2048]"},
      {"engine.prefill_chunk", "[128, 256]"},
      {"engine.draft_tokens", "[0, 2]"},
      {"engine.sequences", "[1, 4]"},
      {"engine.threads", "[0, 3]"},
      {"engine.seed", "[0, 9]"},
      {"sampling.temperature", "[0.1, 0.7]"},
      {"sampling.top_k", "[0, 40]"},
      {"sampling.min_p", "[0, 0.05]"},
      {"sampling.top_p", "[1, 0.95]"},
      {"sampling.repetition_penalty", "[1, 1.1]"},
      {"sampling.presence_penalty", "[0, 0.3]"},
      {"sampling.frequency_penalty", "[0, -0.3]"},
      {"sampling.stop", R"([[], ["\n\n", "\"x\""]])"},
      {"limits.cell_timeout", R"(["90s", "2h"])"},
      {"limits.case_timeout", R"([30.5, "10m"])"},
      {"limits.memory_floor", R"([4096, "6GiB"])"},
      {"guard.enabled", "[true, false]"},
      {"guard.floor", R"(["4GiB", "6GiB"])"},
      {"guard.floors.load", R"(["4GiB", "6GiB"])"},
      {"guard.floors.capture", R"(["4GiB", "6GiB"])"},
      {"guard.floors.prefill", R"(["4GiB", "6GiB"])"},
      {"guard.floors.decode", R"(["4GiB", "6GiB"])"},
      {"guard.floors.idle", R"(["4GiB", "6GiB"])"},
      {"guard.floors.teardown", R"(["4GiB", "6GiB"])"},
      {"guard.rate", "[5, 20]"},
      {"guard.reaction", R"(["250ms", 1])"},
      {"guard.grace", R"(["1s", 5])"},
      {"server.url", R"(["http://a:1/v1", "http://b:1/v1"])"},
      {"server.model", R"(["m", "n"])"},
      {"server.api_key_env", R"(["KEY_A", "KEY_B"])"},
      {"server.form", R"(["chat", "completions"])"},
      {"server.stream", "[true, false]"},
      {"server.thinking", R"(["auto", "think"])"},
      {"server.concurrency", "[1, 8]"},
      {"server.connect_timeout", R"(["5s", 20])"},
      {"server.first_byte_timeout", R"(["30s", 60])"},
      {"server.stall_timeout", R"(["1s", 2.5])"},
      {"needle.lengths", "[[512], [512, 1024]]"},
      {"needle.depths", "[[0.0], [0.25, 0.5]]"},
      {"needle.style", R"(["bare", "a \"b\""])"},
      {"needle.cases", "[1, 2]"},
      {"needle.share", "[0.5, 0.125]"},
      {"needle.thinking", "[true, false]"},
      {"needle.kinds", R"([["a"], ["a", "b"]])"}};
  return kValues;
}

TEST(Axes, EveryKeyThatMayVaryMakesTwoCellsThatComeBackFromTheirText) {
  const ProfileLoader loader;
  for (const std::string& key : setting_keys(loader.load(kBase))) {
    SCOPED_TRACE(key);
    ASSERT_TRUE(two_values().contains(key)) << "give it two values";
    const Profile profile = loader.load(swept(key, two_values().at(key)));
    const Plan plan = make_plan(profile);
    ASSERT_EQ(plan.cells.size(), 2u);
    EXPECT_NE(plan.cells[0].key, plan.cells[1].key);
    EXPECT_NE(plan.cells[0].label, plan.cells[1].label);
    EXPECT_NE(setting_text(plan.cells[0].profile, key), setting_text(plan.cells[1].profile, key));
    for (const Cell& cell : plan.cells) {
      EXPECT_EQ(cell_to_json(cell_from_json(cell_to_json(cell))), cell_to_json(cell));
      const Plan again = make_plan(loader.load(cell_to_toml(profile, cell)));
      ASSERT_EQ(again.cells.size(), 1u);
      EXPECT_EQ(meaning(again.cells[0]), meaning(cell));
    }
  }
}

TEST(Axes, EveryKeyThatMayVaryMayBeSetAndCompared) {
  const ProfileLoader loader;
  for (const auto& [key, values] : two_values()) {
    SCOPED_TRACE(key);
    const Plan plan = make_plan(loader.load(swept(key, values)));
    for (const Cell& cell : plan.cells) {
      const std::string value = setting_text(cell.profile, key);
      const Profile set = loader.load(swept(key, values), {key + "=" + value});
      EXPECT_TRUE(set.axes.empty()) << "a key set is no longer swept";
      EXPECT_EQ(setting_text(set, key), value);
    }
  }
}

// "engine.kv_dtype", "guard.floors", "launch.flags": the keys in the tables of docs/profiles.md.
std::vector<std::string> documented_keys() {
  std::vector<std::string> keys;
  std::string prefix;
  std::istringstream page(read_file(test_support::source_dir() / "docs/profiles.md"));
  for (std::string line; std::getline(page, line);) {
    if (line.starts_with("## ")) {
      const size_t begin = line.find_first_not_of("[`", 3), end = line.find_first_of("]`", begin);
      const std::string section = line.substr(begin, end - begin);
      prefix = section == "Top level" ? "" : (section == "suite" ? "needle" : section) + ".";
    }
    if (!line.starts_with("| `")) continue;
    const std::string cell = line.substr(0, line.find(" |", 2));
    for (size_t at = cell.find('`'); at != cell.npos;
         at = cell.find('`', cell.find('`', at + 1) + 1)) {
      std::string key = cell.substr(at + 1, cell.find('`', at + 1) - at - 1);
      std::erase_if(key, [](char c) { return c == '[' || c == ']'; });
      keys.push_back(key.find('.') == key.npos ? prefix + key : key);
    }
  }
  return keys;
}

TEST(Axes, NoDocumentedKeyIsUnknown) {
  const ProfileLoader loader;
  std::vector<std::string> keys = documented_keys();
  EXPECT_GE(keys.size(), 60u);
  keys.insert(keys.end(), {"suite", "needle.name", "gate", "sweep", "launch", "launch.flags.port"});
  for (const std::string& key : keys) {
    SCOPED_TRACE(key);
    if (two_values().contains(key)) continue;
    if (two_values().contains(key + ".load")) continue;  // a table of such
    const Error error = loader.error(swept(key, "[\"x\", \"y\"]"));
    EXPECT_THAT(error.what(), HasSubstr("p.toml:8: [sweep] cannot vary `" + key + "`: "));
  }
  for (const char* key : {"guard.rates", "guard.floors.laod", "launcher", "needle.nam", "limit"}) {
    EXPECT_THAT(loader.error(swept(key, "[1]")).what(), HasSubstr("names the unknown key")) << key;
  }
}

TEST(Axes, AGuardThatDoesNotVaryNamesNoCell) {
  const ProfileLoader loader;
  const auto key = [&](const std::string& guard) {
    return make_plan(loader.load(kBase + guard)).cells[0].key;
  };
  EXPECT_EQ(key("[guard]\nfloor = \"6GiB\"\nrate = 20\nfloors = { load = \"1GiB\" }\n"), key(""));
  EXPECT_EQ(key("[guard.floors]\nload = \"1GiB\"\n"), key(""));
}

TEST(Axes, ConditionsSeeTheGuard) {
  const ProfileLoader loader;
  const Plan plan = make_plan(loader.load(swept("guard.floors.load", R"(["2GiB", "8GiB"])") +
                                          "exclude = [\"guard.floors.load > 4294967296\"]\n"));
  ASSERT_EQ(plan.cells.size(), 1u);
  EXPECT_EQ(plan.cells[0].label, "guard.floors.load=2GiB");
  EXPECT_EQ(plan.cells[0].profile.guard.floors.at("load"), int64_t{2} << 30);
}

}  // namespace
}  // namespace ds4::profiles
