// A cell written as a profile of its own measures the same, loaded from another folder.
#include "profiles/schema/cell_toml.h"

#include <gtest/gtest.h>

#include "tests/support/source_dir.h"
#include "tests/unit/profiles/cell_meaning.h"
#include "tests/unit/profiles/fixtures.h"

namespace ds4::profiles {
namespace {

// Each cell of the profile in `file`, there and back.
void expect_round_trip(const std::filesystem::path& file,
                       const std::vector<std::string>& overrides) {
  const ProfileLoader folder;
  const Profile swept = load_profile(file, overrides);
  const Plan plan = make_plan(swept);
  for (const Cell& cell : plan.cells) {
    SCOPED_TRACE(cell.label);
    // Through the form in which the store keeps both.
    const Profile stored = cell_from_json(cell_to_json(Cell{"", "", "", swept})).profile;
    write_file_atomic(folder.path(), cell_to_toml(stored, cell_from_json(cell_to_json(cell))));
    const Profile back = load_profile(folder.path());
    const Plan again = make_plan(back);
    ASSERT_EQ(again.cells.size(), 1u);
    EXPECT_EQ(again.cells[0].key, cell.key);
    EXPECT_EQ(meaning(again.cells[0]), meaning(cell));
  }
}

TEST(CellToml, EveryCellOfTheShippedProfilesComesBack) {
  for (const auto& entry :
       std::filesystem::directory_iterator(test_support::source_dir() / "profiles")) {
    if (entry.path().extension() != ".toml") continue;
    SCOPED_TRACE(entry.path());
    expect_round_trip(entry.path(), {});
  }
}

TEST(CellToml, KeepsWhatWasSetAndZippedAndCondensesNothing) {
  const ProfileLoader folder;
  const auto file = folder.path().parent_path() / "swept.toml";
  write_file_atomic(file, R"(
name = "swept"
target = "null"
[engine]
seed = 3
[[suite]]
name = "needle"
[[gate]]
suite = "needle"
score = "exact"
min = 0.5
[[gate]]
no = "oom"
[sampling]
temperature = 0.7
stop = ["\n\n", "\"end\""]
[limits]
cell_timeout = "2h"
memory_floor = "3GiB"
[guard]
floor = "2GiB"
floors = { load = "4GiB" }
grace = "1s"
target = "pid:4711"
[launch]
server = "vllm"
model = "a/b"
[launch.flags]
port = 8002
enforce-eager = true
attention-config = '{"backend": "x\n"}'
[launch.env]
VLLM_X = "1"
[sweep]
mode = "cartesian"
order = "random"
seed = 7
exclude = ["engine.seed > 3"]
repeats = 2
refuse_unfit = false
sentinel = true
sentinel_bound = 0.3
settle_tolerance = "2GiB"
guard.floors.decode = ["5GiB", 6442450944]
limits.case_timeout = ["30s", 60]
engine.kv_dtype = ["fp8", "bf16"]
"needle.lengths" = [[512], [1024, 2048]]
[[sweep.zip]]
engine.context_length = [4096, 8192]
engine.prefill_chunk = [128, 256]
)");
  ASSERT_EQ(make_plan(load_profile(file)).cells.size(), 32u);
  expect_round_trip(file, {});
  expect_round_trip(file, {"engine.kv_dtype=bf16", "limits.case_timeout=90", "needle.samples=[2]",
                           "guard.floors.prefill=1GiB", "launch.env.VLLM_Y=2", "sweep.repeats=3"});
}

}  // namespace
}  // namespace ds4::profiles
