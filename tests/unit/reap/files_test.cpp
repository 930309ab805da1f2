// Observation and manifest files that are not what they should be: each refused by file and key.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <ostream>

#include "engine/reap/manifest.h"
#include "tests/unit/reap/fixtures.h"

namespace ds4::reap {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;

struct Damage {
  const char* what;
  void (*apply)(json&);
  const char* named;
};

void PrintTo(const Damage& damage, std::ostream* out) {
  *out << damage.what;
}

std::string good_observation() {
  Observation observation;
  observation.origin.identity = "i";
  observation.origin.sha256 = "s";
  observation.experts_per_token = 2;
  observation.origin.calibration = "c.jsonl";
  observation.origin.calibration_sha256 = "cs";
  observation.sequence_tokens = 8;
  observation.blocks = {{"layers.0", false, {1, 2, 3}, {1, 1, 1}},
                        {"layers.1", false, {3, 2, 1}, {1, 1, 1}}};
  return observation_text(observation);
}

class ObservationFileRefuses : public testing::TestWithParam<Damage> {};

TEST_P(ObservationFileRefuses, NamingFileAndKey) {
  const weights::TemporaryFolder folder;
  const auto path = folder.path() / "seen.json";
  json object = json::parse(good_observation());
  weights::write_text(path, object.dump());
  EXPECT_EQ(message_of([&] { read_observation(path); }), "");
  GetParam().apply(object);
  weights::write_text(path, object.dump());
  const std::string error = message_of([&] { read_observation(path); });
  EXPECT_THAT(error, HasSubstr("seen.json"));
  EXPECT_THAT(error, HasSubstr(GetParam().named));
  EXPECT_THAT(error, HasSubstr("Make the file again"));
}

INSTANTIATE_TEST_SUITE_P(
    Hostile, ObservationFileRefuses,
    testing::Values(
        Damage{"a plan", [](json& o) { o["format"] = "ds4-reap-plan-1"; }, "`format`"},
        Damage{"no hash", [](json& o) { o.erase("sha256"); }, "`sha256`"},
        Damage{"no experts", [](json& o) { o["experts_per_token"] = 0; }, "`experts_per_token`"},
        Damage{"a sequence of one", [](json& o) { o["sequence_tokens"] = 1; }, "`sequence_tokens`"},
        Damage{"complete as a number", [](json& o) { o["complete"] = 1; }, "`complete`"},
        Damage{"negative bytes", [](json& o) { o["bytes_done"] = -1; }, "`bytes_done`"},
        Damage{"tokens that would overflow", [](json& o) { o["tokens"] = INT64_MAX; }, "`tokens`"},
        Damage{"tokens of 2^64 - 1", [](json& o) { o["tokens"] = UINT64_MAX; }, "`tokens`"},
        Damage{"no blocks", [](json& o) { o["blocks"] = json::array(); }, "`blocks`"},
        Damage{"blocks as text", [](json& o) { o["blocks"] = "x"; }, "`blocks`"},
        Damage{"a block twice", [](json& o) { o["blocks"][1]["block"] = "layers.0"; },
               "repeats the block layers.0"},
        Damage{"fewer counts than sums",
               [](json& o) {
                 o["blocks"][0]["counts"] = {1, 2};
               },
               "`blocks` 0: `sums` and `counts`"},
        Damage{"a negative count", [](json& o) { o["blocks"][0]["counts"][1] = -1; }, "`counts`"},
        Damage{"a negative sum", [](json& o) { o["blocks"][1]["sums"][1] = -0.5; },
               "`blocks` 1: `sums`"},
        Damage{"a sum that is null", [](json& o) { o["blocks"][1]["sums"][1] = nullptr; },
               "`sums`"}));

class ManifestRefuses : public testing::TestWithParam<Damage> {};

TEST_P(ManifestRefuses, NamingFileAndKey) {
  const weights::TemporaryFolder folder;
  const auto path = folder.path() / kManifestName;
  Manifest manifest;
  manifest.keep = 3;
  manifest.shards.emplace_back().size.file = "a.safetensors";
  write_manifest(manifest, path);
  EXPECT_EQ(message_of([&] { read_manifest(path); }), "");
  json object = json::parse(read_file(path));
  GetParam().apply(object);
  weights::write_text(path, object.dump());
  const std::string error = message_of([&] { read_manifest(path); });
  EXPECT_THAT(error, HasSubstr(kManifestName));
  EXPECT_THAT(error, HasSubstr(GetParam().named));
}

INSTANTIATE_TEST_SUITE_P(
    Hostile, ManifestRefuses,
    testing::Values(Damage{"another format", [](json& o) { o["format"] = "x"; }, "`format`"},
                    Damage{"no tool", [](json& o) { o.erase("tool"); }, "`tool`"},
                    Damage{"keep of 0", [](json& o) { o["keep"] = 0; }, "`keep`"},
                    Damage{"no shards", [](json& o) { o.erase("shards"); }, "`shards`"},
                    Damage{"a shard without a hash",
                           [](json& o) { o["shards"][0].erase("output_sha256"); },
                           "`shards` 0: lacks the key `output_sha256`"},
                    Damage{"bytes that would overflow",
                           [](json& o) { o["shards"][0]["tensor_bytes"] = INT64_MAX; },
                           "`tensor_bytes`"}));

TEST(ReapFiles, EveryCutIsRefused) {
  const weights::TemporaryFolder folder;
  const auto path = folder.path() / "cut.json";
  const std::string text = good_observation();
  for (size_t n = 0; n + 2 < text.size(); n += 3) {
    weights::write_text(path, text.substr(0, n));
    EXPECT_THAT(message_of([&] { read_observation(path); }), HasSubstr("cut.json")) << n;
  }
}

}  // namespace
}  // namespace ds4::reap
