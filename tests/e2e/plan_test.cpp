// `plan --machine` through the binary: exit codes, JSON, and every shipped profile of the real
// model.
#include <gmock/gmock.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "engine/base/files.h"
#include "reports/store/store.h"
#include "tests/support/command.h"
#include "tests/support/source_dir.h"

namespace ds4::test_support {
namespace {

using ::testing::HasSubstr;

CommandResult plan(const std::string& profile, const std::string& machine,
                   std::vector<std::string> more = {}) {
  std::vector<std::string> argv = {DS4_SWEEP_BINARY, "plan",
                                   source_dir() / "profiles" / (profile + ".toml"), "--machine",
                                   machine};
  argv.insert(argv.end(), more.begin(), more.end());
  return run_command(argv);
}

TEST(Plan, OfEveryLargeProfileOnASparkNeedsNoWeights) {
  int profiles = 0;
  for (const auto& entry : std::filesystem::directory_iterator(source_dir() / "profiles")) {
    const std::string name = entry.path().stem();
    if (entry.path().extension() != ".toml" || !name.starts_with("k1")) continue;
    ++profiles;
    const CommandResult result = plan(name, "spark", {"--json"});
    ASSERT_THAT(result.exit_code, ::testing::AnyOf(0, 1)) << name << result.err;
    const auto json = nlohmann::json::parse(result.out);
    EXPECT_EQ(json["machine"]["name"], "spark");
    bool all_fit = true;
    for (const auto& cell : json["cells"]) {
      EXPECT_EQ(cell["sizes_from"], "shapes of generated weights");
      const auto& fit = cell["fit"];
      all_fit = all_fit && fit["verdict"] != "does not fit";
      EXPECT_EQ(fit["margin_bytes"],
                fit["usable_bytes"].get<int64_t>() - fit["need_bytes"].get<int64_t>());
      int64_t load = 0, decode = 0;
      for (const auto& owner : fit["owners"]) {
        load += owner["bytes"].get<int64_t>();
        if (!owner["load_only"]) decode += owner["bytes"].get<int64_t>();
      }
      EXPECT_EQ(fit["need_bytes"], load);
      const auto& last = fit["peak_bytes"]["decode"];
      EXPECT_EQ(last["gpu"].get<int64_t>() + last["host"].get<int64_t>(), decode);
    }
    EXPECT_EQ(result.exit_code, all_fit ? 0 : 1) << name;
  }
  EXPECT_EQ(profiles, 6);
}

TEST(Plan, SaysInTextWhatFitsAndWhatToChange) {
  const CommandResult fits = plan("k160-mtp2-200k", "spark");
  EXPECT_EQ(fits.exit_code, 0) << fits.err;
  EXPECT_THAT(fits.out, HasSubstr("shapes of generated weights"));
  EXPECT_THAT(fits.out, HasSubstr("fits"));
  EXPECT_THAT(fits.out, HasSubstr("MTP weights"));
  const CommandResult too_large =
      plan("k160-mtp2-200k", "spark", {"--set", "checkpoint=synthetic:k256"});
  EXPECT_EQ(too_large.exit_code, 1);
  EXPECT_THAT(too_large.out, HasSubstr("does not fit"));
  EXPECT_THAT(too_large.out, HasSubstr("checkpoint = \"synthetic:k"));
}

TEST(Plan, WarningsChangeNoExitCode) {
  const std::string profile = source_dir() / "profiles/k160-mtp2-200k.toml";
  const std::vector<std::string> bare = {DS4_SWEEP_BINARY, "plan", profile};
  const CommandResult text = run_command(bare);
  EXPECT_EQ(text.exit_code, 0) << text.err;
  EXPECT_THAT(text.out, HasSubstr("small-chunk: "));
  EXPECT_THAT(text.out, HasSubstr("silent with engine.prefill_chunk = 8192; source: MiaAI-Lab/"));
  const CommandResult both = plan("k160-mtp2-200k", "spark",
                                  {"--json", "--set", "engine.residency=managed", "--set",
                                   "sweep.engine.prefill_chunk=[4096, 8192]"});
  ASSERT_EQ(both.exit_code, 0) << both.err;
  const auto cells = nlohmann::json::parse(both.out)["cells"];
  ASSERT_EQ(cells.size(), 2u);
  EXPECT_EQ(cells[0]["findings"][0]["rule"], "small-chunk");
  EXPECT_EQ(cells[0]["findings"][0]["key"], "engine.prefill_chunk");
  EXPECT_EQ(cells[0]["findings"][0]["value"], "8192");
  EXPECT_EQ(cells[1]["findings"][0]["rule"], "managed-weights");  // asks for the verdict
  EXPECT_THAT(run_command({DS4_SWEEP_BINARY, "plan", source_dir() / "profiles/tiny.toml"}).out,
              ::testing::Not(HasSubstr("warnings")));
}

TEST(Plan, SaysWhatMappedWeightsTakeOfDiskAndPageCache) {
  const std::vector<std::string> mapped = {"--set", "engine.residency=mapped"};
  const CommandResult text = plan("k160-mtp2-200k", "spark", mapped);
  EXPECT_EQ(text.exit_code, 0) << text.err;
  EXPECT_THAT(text.out, HasSubstr("mapped weights beside it: a file in "));
  EXPECT_THAT(text.out, HasSubstr("weights, file pages"));
  const CommandResult data = plan("k160-mtp2-200k", "spark", {"--json", mapped[0], mapped[1]});
  const auto cell = nlohmann::json::parse(data.out)["cells"][0];
  const auto& owner = cell["fit"]["owners"][0];
  EXPECT_EQ(owner["owner"], "weights, file pages");
  EXPECT_EQ(owner["place"], "host");
  EXPECT_EQ(owner["file"], true);
  EXPECT_EQ(owner["bytes"], cell["mapped_bytes"]);
  EXPECT_GT(cell["mapped_bytes"].get<int64_t>(), int64_t{90} << 30);
  EXPECT_LT(cell["planned_memory_bytes"].get<int64_t>(), int64_t{10} << 30);
}

TEST(Plan, MarksWhatRunWouldRefuse) {
  const std::vector<std::string> floors = {"--set",
                                           "sweep.guard.floors.load=[\"6GiB\", \"60GiB\"]"};
  const auto plan_with = [&](std::vector<std::string> more) {
    more.insert(more.begin(), floors.begin(), floors.end());
    return plan("k160-mtp2-200k", "spark", more);
  };
  const CommandResult text = plan_with({});
  EXPECT_EQ(text.exit_code, 1) << text.err;
  EXPECT_THAT(text.out, HasSubstr("on spark, run would refuse 1 of 2 cells"));
  EXPECT_THAT(text.out, HasSubstr("in load; run refuses it"));
  EXPECT_THAT(text.out, ::testing::Not(HasSubstr("\x1b["))) << "no terminal, no colours";
  const auto cells = nlohmann::json::parse(plan_with({"--json"}).out)["cells"];
  EXPECT_EQ(cells[0]["fit"]["refused"], false);
  EXPECT_EQ(cells[1]["fit"]["refused"], true);
  EXPECT_EQ(cells[0]["fit"]["usable_bytes"].get<int64_t>() -
                cells[1]["fit"]["usable_bytes"].get<int64_t>(),
            int64_t{54} << 30);
  const CommandResult launched = plan_with({"--set", "sweep.refuse_unfit=false"});
  EXPECT_EQ(launched.exit_code, 1);
  EXPECT_THAT(launched.out, ::testing::Not(HasSubstr("run refuses it")));
}

// What `plan --machine this` marks is what `run` does not launch.
TEST(Plan, AgreesWithRun) {
  const TemporaryFolder folder;
  const std::string profile = folder / "p.toml", db = folder / "results.db";
  write_file_atomic(profile, "checkpoint = \"" + (source_dir() / "checkpoints/tiny").string() +
                                 "\"\n[[suite]]\nname = \"smoke\"\n"
                                 "[sweep]\nguard.floor = [\"1MiB\", \"900TiB\"]\n"
                                 "engine.kv_dtype = [\"fp8\", \"bf16\"]\n");
  const auto planned = nlohmann::json::parse(
      run_command({DS4_SWEEP_BINARY, "plan", profile, "--machine", "this", "--json"}).out);
  std::map<std::string, bool> refused;
  for (const auto& cell : planned["cells"]) refused[cell["key"]] = cell["fit"]["refused"];
  run_command(
      {DS4_SWEEP_BINARY, "run", profile, "--db", db, "--no-lock", "--no-progress", "--quiet"});
  const auto store = reports::Store::open_read_only(db);
  std::map<std::string, bool> not_launched;
  for (const auto& turn : store->queue(store->run("latest").id)) {
    not_launched[turn.cell_key] = turn.state == "refused";
  }
  EXPECT_EQ(refused, not_launched);
  EXPECT_EQ(std::count_if(refused.begin(), refused.end(), [](const auto& r) { return r.second; }),
            2);
}

TEST(Plan, TheProfilesFloorIsUsed) {
  EXPECT_EQ(plan("k160-mtp2-200k", "spark", {"--set", "limits.memory_floor=60GiB"}).exit_code, 1);
  const CommandResult wrong =
      plan("k160-mtp2-200k", "spark", {"--set", "limits.memory_floor=lots"});
  EXPECT_EQ(wrong.exit_code, 2);
  EXPECT_THAT(wrong.err, HasSubstr("limits.memory_floor"));
}

TEST(Plan, ExitCodesOfMachines) {
  EXPECT_EQ(plan("tiny", "this").exit_code, 0);
  EXPECT_EQ(plan("k160-mtp2-200k", "no/such/machine.toml").exit_code, 3);
  const CommandResult unknown = plan("k160-mtp2-200k", "sparc");
  EXPECT_EQ(unknown.exit_code, 2);
  EXPECT_THAT(unknown.err, HasSubstr("`spark`"));
  EXPECT_EQ(plan("tiny", "h200").exit_code, 2);  // runs on the CPU, of which the card says nothing
  const TemporaryFolder folder;
  write_file_atomic(folder / "small.toml",
                    "unified = true\n[memory]\ntotal = \"16MiB\"\nheld = 0\nfloor = 0\n");
  EXPECT_EQ(plan("tiny", folder / "small.toml").exit_code, 1);
}

}  // namespace
}  // namespace ds4::test_support
