// Which files of data sets are there, where they come from, and which names are refused.
#include "runners/fetch/data_sets.h"

#include <gmock/gmock.h>

#include "engine/base/error.h"
#include "engine/base/files.h"
#include "engine/base/hash.h"

namespace ds4::runners::fetch {
namespace {

suites::Dataset set_with(const std::string& file) {
  return {"toy", "MIT", "here", "https://h.example/x/", {{file, 3, sha256_hex("abc")}}};
}

TEST(DataSets, SayWhatLiesThere) {
  const std::filesystem::path folder =
      ::testing::TempDir() + "ds4-sets-" + std::to_string(::getpid());
  const suites::Dataset set = set_with("sub/a.json");
  const auto state = [&] { return states_of({&set}, folder).at(0); };
  EXPECT_EQ(state().kind, FileState::kMissing);
  EXPECT_EQ(state().path, folder / "toy/sub/a.json");
  make_folders(folder / "toy/sub");
  write_file_atomic(folder / "toy/sub/a.json.part", "ab");
  EXPECT_EQ(state().kind, FileState::kHalf);
  EXPECT_EQ(state().bytes, 2);
  write_file_atomic(folder / "toy/sub/a.json", "abd");
  EXPECT_EQ(state().kind, FileState::kOther);
  write_file_atomic(folder / "toy/sub/a.json", "abc");
  EXPECT_EQ(state().kind, FileState::kRight);
  std::filesystem::remove_all(folder);
}

TEST(DataSets, ComeFromTheirAddressOrAMirror) {
  const suites::Dataset set = set_with("sub/a.json");
  const FileState state = states_of({&set}, "/nonexistent").at(0);
  EXPECT_EQ(url_of(state, ""), "https://h.example/x/sub/a.json");
  EXPECT_EQ(url_of(state, "http://m/y"), "http://m/y/toy/sub/a.json");
  EXPECT_EQ(url_of(state, "http://m/y/"), "http://m/y/toy/sub/a.json");
}

TEST(DataSets, NamesStayInTheFolder) {
  for (const char* name : {"../a", "a/../../b", "/etc/passwd", "", "a/", "a//b", ".hidden", "a b",
                           "a\\b", "a%2Fb", "a\nb", "..", "a/.."}) {
    const suites::Dataset set = set_with(name);
    EXPECT_THROW(states_of({&set}, "/nonexistent"), Error) << name;
  }
  EXPECT_NO_THROW(states_of({&suites::dataset("gsm8k"), &suites::dataset("bfcl")}, "/nonexistent"));
}

TEST(DataSets, AllOfThemAreOverTls) {
  for (const suites::Dataset& set : suites::datasets()) {
    EXPECT_TRUE(set.url.starts_with("https://")) << set.name;
    EXPECT_TRUE(set.url.ends_with('/')) << set.name;
    for (const auto& file : set.files) EXPECT_EQ(file.sha256.size(), 64u) << file.name;
  }
}

}  // namespace
}  // namespace ds4::runners::fetch
