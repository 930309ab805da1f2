// A cell written as a profile of its own measures the same, loaded from another folder.
#include "profiles/schema/cell_toml.h"

#include <gtest/gtest.h>

#include "tests/support/source_dir.h"
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
    EXPECT_TRUE(back.axes.empty());
    EXPECT_EQ(back.name, swept.name);
    EXPECT_EQ(back.checkpoint, cell.profile.checkpoint);
    EXPECT_EQ(back.gates.size(), swept.gates.size());
    EXPECT_EQ(back.cell_timeout_s, cell.profile.cell_timeout_s);
    EXPECT_EQ(back.case_timeout_s, cell.profile.case_timeout_s);
    const Plan again = make_plan(back);
    ASSERT_EQ(again.cells.size(), 1u);
    EXPECT_EQ(again.cells[0].key, cell.key);
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
[sweep]
engine.kv_dtype = ["fp8", "bf16"]
"needle.lengths" = [[512], [1024, 2048]]
[[sweep.zip]]
engine.context_length = [4096, 8192]
engine.prefill_chunk = [128, 256]
)");
  ASSERT_EQ(make_plan(load_profile(file)).cells.size(), 8u);
  expect_round_trip(file, {});
  expect_round_trip(file, {"engine.kv_dtype=bf16", "limits.case_timeout=90", "needle.samples=[2]"});
}

}  // namespace
}  // namespace ds4::profiles
