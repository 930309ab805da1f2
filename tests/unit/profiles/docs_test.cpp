// docs/profiles.md against the loader: its example loads, and every key is in it.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "engine/base/checkpoint_name.h"
#include "engine/base/files.h"
#include "probes/metric.h"
#include "tests/support/source_dir.h"
#include "tests/unit/profiles/fixtures.h"

namespace ds4::profiles {
namespace {

std::string docs(const char* name) {
  return read_file(test_support::source_dir() / "docs" / name);
}

TEST(ProfileDocs, TheExampleLoadsWithTheRealSuites) {
  const std::string text = docs("profiles.md");
  const size_t start = text.find("```toml\n") + 8;
  const std::string example = text.substr(start, text.find("```\n", start) - start);
  const ProfileLoader folder;
  write_file_atomic(folder.path(), example);
  const Plan plan = make_plan(load_profile(folder.path()));
  EXPECT_EQ(plan.cells.size(), 4u);
  EXPECT_EQ(plan.profile.gates.size(), 1u);
}

TEST(SweepDocs, TheExampleMakesTheCellsThePageSays) {
  const std::string text = docs("sweeps.md");
  const size_t start = text.find("```toml\n") + 8;
  const ProfileLoader folder;
  write_file_atomic(folder.path(), text.substr(start, text.find("```\n", start) - start));
  const Plan plan = make_plan(load_profile(folder.path()));
  EXPECT_EQ(plan.cells.size(), 4u);
  ASSERT_EQ(plan.excluded.size(), 1u);
  EXPECT_EQ(plan.excluded[0].cells, 2);
}

TEST(ProfileDocs, NameEveryKey) {
  const std::string text = docs("profiles.md");
  const ProfileLoader loader;
  const Plan plan = make_plan(
      loader.load("target=\"null\"\n[[suite]]\nname=\"smoke\"\n[sampling]\ntemperature=1\n"));
  std::vector<std::string> keys = {"name",         "description",  "target",      "checkpoint",
                                   "script",       "score",        "metric",      "suite",
                                   "tags",         "min",          "max",         "min_n",
                                   "cell_timeout", "case_timeout", "memory_floor"};
  const auto cell = nlohmann::json::parse(cell_to_json(plan.cells[0]));
  for (const auto& [key, value] : cell.at("profile").at("sweep").items()) {
    keys.push_back(key.ends_with("_s") ? key.substr(0, key.size() - 2) : key);
  }
  const auto semantics = nlohmann::json::parse(plan.cells[0].semantics);
  for (const auto& [key, value] : semantics.at("engine").items()) keys.push_back(key);
  for (const auto& [key, value] : semantics.at("sampling").items()) keys.push_back(key);
  for (const std::string& key : keys) {
    EXPECT_NE(text.find("`" + key + "`"), std::string::npos) << key;
  }
}

TEST(ProfileDocs, TheGlossaryDefinesEveryMetric) {
  const std::string text = docs("glossary.md");
  for (const probes::Metric& metric : probes::all_metrics()) {
    EXPECT_NE(
        text.find("| `" + std::string(metric.name) + "` | " + std::string(metric.unit) + " |"),
        std::string::npos)
        << metric.name;
  }
}

TEST(ShippedProfiles, LoadAndExpand) {
  for (const auto& entry :
       std::filesystem::directory_iterator(test_support::source_dir() / "profiles")) {
    if (entry.path().extension() != ".toml") continue;
    const Plan plan = make_plan(load_profile(entry.path()));
    EXPECT_FALSE(plan.cells.empty()) << entry.path();
    EXPECT_TRUE(std::filesystem::exists(plan.profile.checkpoint) ||
                is_synthetic_name(plan.profile.checkpoint.string()) ||
                plan.profile.target != "engine")
        << entry.path() << " names " << plan.profile.checkpoint;
  }
}

}  // namespace
}  // namespace ds4::profiles
