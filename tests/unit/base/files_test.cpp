#include "engine/base/files.h"

#include <gtest/gtest.h>

#include <csignal>

#include "engine/base/error.h"
#include "engine/base/mapped_files.h"
#include "tests/support/file_size_limit.h"

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

TEST_F(Files, FoldersThatCannotBeMadeAreNamed) {
  make_folders(folder_ / "a" / "b");
  make_folders(folder_ / "a" / "b");
  write_file_atomic(folder_ / "file", "x");
  try {
    make_folders(folder_ / "file" / "c");
    FAIL() << "nothing thrown";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kIo);
    EXPECT_NE(std::string(error.what()).find((folder_ / "file" / "c").string()), std::string::npos);
  }
}

TEST_F(Files, AFullDiskIsNamedAndLeavesTheOldFile) {
  write_file_atomic(folder_ / "a", "before");
  {
    const test_support::FileSizeLimit limit(1000);
    try {
      write_file_atomic(folder_ / "a", std::string(5000, 'x'));
      FAIL() << "nothing thrown";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kIo);
      EXPECT_NE(std::string(error.what()).find((folder_ / "a").string() + ": cannot write"),
                std::string::npos)
          << error.what();
      EXPECT_NE(error.hint().find("Free space"), std::string::npos);
    }
  }
  EXPECT_EQ(read_file(folder_ / "a"), "before");
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder_), {}), 1);
}

TEST_F(Files, ACutMappedFileEndsWithItsName) {
  const auto path = folder_ / "weights.safetensors";
  write_file_atomic(path, std::string(100'000, 'x'));
  write_file_atomic(folder_ / "other", std::string(100'000, 'x'));
  const auto cut_and_read = [&] {
    guard_mapped_files();
    const MappedFile other(folder_ / "other");
    MappedFile mapped(path);
    const MappedFile moved = std::move(mapped);
    { const MappedFile gone(folder_ / "other"); }
    std::filesystem::resize_file(path, 10);
    volatile std::byte last = moved.bytes()[99'999];
    static_cast<void>(last);
  };
  EXPECT_EXIT(cut_and_read(), testing::ExitedWithCode(3),
              "weights.safetensors: cannot be read any more: the file was cut shorter");
}

TEST(FilesDeathTest, AnotherBusErrorStaysOne) {
  const auto raise_it = [] {
    std::signal(SIGBUS, SIG_DFL);  // a sanitizer has a handler of its own
    guard_mapped_files();
    ::raise(SIGBUS);
    ::raise(SIGBUS);  // what an access would do by itself: happen again
  };
  EXPECT_EXIT(raise_it(), testing::KilledBySignal(SIGBUS), "^$");
}

}  // namespace
}  // namespace ds4
