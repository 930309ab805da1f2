#include "engine/base/files.h"

#include <gtest/gtest.h>

#include "engine/base/error.h"

namespace ds4 {
namespace {

class Files : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "ds4-files-XXXXXX";
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }
  std::filesystem::path folder_;
};

TEST_F(Files, AtomicWriteReplacesAndLeavesNothingBehind) {
  write_file_atomic(folder_ / "a", "first");
  write_file_atomic(folder_ / "a", "second");
  EXPECT_EQ(read_file(folder_ / "a"), "second");
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder_), {}), 1);
}

TEST_F(Files, AnAtomicFileAppearsWholeOrNotAtAll) {
  write_file_atomic(folder_ / "a", "before");
  {
    AtomicFile file(folder_ / "a");
    file.write("half");
  }
  EXPECT_EQ(read_file(folder_ / "a"), "before");
  AtomicFile file(folder_ / "a");
  file.write("one ");
  file.write("two");
  EXPECT_EQ(read_file(folder_ / "a"), "before");
  file.commit();
  EXPECT_EQ(read_file(folder_ / "a"), "one two");
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder_), {}), 1);
}

TEST_F(Files, RefusesWhatIsTooLargeMissingOrNoFile) {
  write_file_atomic(folder_ / "a", "12345");
  EXPECT_THROW(read_file(folder_ / "a", 4), Error);
  EXPECT_THROW(read_file(folder_ / "missing"), Error);
  EXPECT_THROW(read_file(folder_), Error);
  EXPECT_THROW(MappedFile{folder_ / "missing"}, Error);
  EXPECT_THROW(write_file_atomic(folder_ / "no" / "such", "x"), Error);
}

TEST_F(Files, MapsAlsoAnEmptyFile) {
  write_file_atomic(folder_ / "empty", "");
  write_file_atomic(folder_ / "full", "abc");
  EXPECT_TRUE(MappedFile(folder_ / "empty").bytes().empty());
  MappedFile mapped(folder_ / "full");
  const MappedFile moved = std::move(mapped);
  ASSERT_EQ(moved.bytes().size(), 3u);
  EXPECT_EQ(static_cast<char>(moved.bytes()[2]), 'c');
}

}  // namespace
}  // namespace ds4
