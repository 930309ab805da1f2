// The weight block as a file: its bytes are those of the plan, another checkpoint's or a damaged
// file is not taken, and neither a full disk nor a killed writer leaves one behind. No GPU is
// needed.
#include "engine/ops/cuda/packed_weights.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <functional>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "engine/api/inventory.h"
#include "engine/base/error.h"
#include "engine/base/files.h"
#include "engine/base/large_file.h"
#include "engine/ops/cuda/repack_host.h"
#include "engine/weights/byte_feed.h"
#include "engine/weights/structure.h"
#include "tests/support/file_size_limit.h"

namespace ds4::ops::cuda {
namespace {
namespace fs = std::filesystem;
using weights::Matrix;
using Layout = WeightPiece::Layout;
using Bytes = std::vector<std::byte>;

constexpr const char* kMicro = "synthetic:k7:layers=3:shape=micro";

Bytes random_bytes(int64_t count) {
  std::mt19937 random(7);
  Bytes bytes(static_cast<size_t>(count));
  for (std::byte& b : bytes) b = static_cast<std::byte>(random());
  return bytes;
}

// Where byte `b` of row `row` goes among tiles, from the sides of the source: 16-byte units, those
// of a lane 512 bytes apart, a lane being row % 8 and every fourth unit of a row.
int64_t place_of_unit_byte(const WeightPiece& piece, int64_t row, int64_t b) {
  const int64_t groups = piece.cols / 128;
  const int64_t in_group = piece.row_bytes / groups;
  const int64_t unit = b % in_group / 16;
  const int64_t tile = row / 16 * groups + b / in_group;
  const int64_t lane = row % 8 * 4 + unit % 4;
  const int64_t u = unit / 4 * 2 + row % 16 / 8;
  return tile * 16 * in_group + (u * 32 + lane) * 16 + b % 16;
}

TEST(RepackOnHost, PutsEveryUnitWhereItsLaneReadsIt) {
  struct Shape {
    int64_t rows, cols, bytes_per_value;
  };
  for (const Shape shape : {Shape{16, 128, 1}, {48, 384, 1}, {32, 256, 2}, {16, 4096, 2}}) {
    const int64_t row_bytes = shape.cols * shape.bytes_per_value;
    const WeightPiece piece{.from = nullptr,
                            .bytes = shape.rows * row_bytes,
                            .at = 0,
                            .layout = Layout::kUnits,
                            .row_bytes = row_bytes,
                            .cols = shape.cols};
    const Bytes from = random_bytes(piece.bytes);
    Bytes to(from.size(), std::byte{0xA5});
    repack_on_host(piece, from, to);
    for (int64_t row = 0; row < shape.rows; ++row) {
      for (int64_t b = 0; b < row_bytes; ++b) {
        ASSERT_EQ(to[static_cast<size_t>(place_of_unit_byte(piece, row, b))],
                  from[static_cast<size_t>(row * row_bytes + b)])
            << row << " " << b;
      }
    }
  }
}

// MXFP4, value by value: a group's row is 16 words of 8 codes; word w is the (w % 4)-th lane's word
// w / 4; inside each half the signs of codes 0..3 are bits 15, 12, 13, 14, the magnitudes three
// bits each from the top down.
TEST(RepackOnHost, SplitsFp4CodesIntoPlanes) {
  constexpr int64_t kRows = 32;
  constexpr int64_t kCols = 384;
  const WeightPiece piece{.from = nullptr,
                          .bytes = kRows * kCols / 2,
                          .at = 0,
                          .layout = Layout::kPlanes,
                          .row_bytes = kCols / 2,
                          .cols = kCols};
  const Bytes from = random_bytes(piece.bytes);
  Bytes to(from.size(), std::byte{0xA5});
  repack_on_host(piece, from, to);
  constexpr int kSignAt[] = {15, 12, 13, 14};
  for (int64_t row = 0; row < kRows; ++row) {
    for (int64_t col = 0; col < kCols; ++col) {
      const auto pair = static_cast<unsigned>(from[static_cast<size_t>((row * kCols + col) / 2)]);
      const unsigned code = col % 2 ? pair >> 4 : pair & 15;
      const int64_t word = col % 128 / 8;
      const int64_t tile = row / 16 * (kCols / 128) + col / 128;
      const int64_t lane = row % 8 * 4 + word % 4;
      const int64_t at =
          tile * 1024 + (row % 16 / 8 * 32 + lane) * 16 + word / 4 * 4 + col % 8 / 4 * 2;
      uint16_t half = 0;
      std::memcpy(&half, to.data() + at, sizeof half);
      const int i = static_cast<int>(col % 4);
      ASSERT_EQ(half >> (9 - 3 * i) & 7u, code & 7) << row << " " << col;
      ASSERT_EQ(half >> kSignAt[i] & 1u, code >> 3) << row << " " << col;
    }
  }
}

TEST(RepackOnHost, LaysTheScalesOfAGroupTogether) {
  constexpr int64_t kRows = 48;
  constexpr int64_t kCols = 512;
  const WeightPiece piece{.from = nullptr,
                          .bytes = kRows * kCols / 32,
                          .at = 0,
                          .layout = Layout::kFp4Scales,
                          .row_bytes = kCols / 32,
                          .cols = kCols};
  const Bytes from = random_bytes(piece.bytes);
  Bytes to(from.size(), std::byte{0xA5});
  repack_on_host(piece, from, to);
  for (int64_t row = 0; row < kRows; ++row) {
    for (int64_t block = 0; block < kCols / 32; ++block) {
      const int64_t at = (row / 16 * 4 + block / 4) * 64 + row % 16 * 4 + block % 4;
      ASSERT_EQ(to[static_cast<size_t>(at)], from[static_cast<size_t>(row * kCols / 32 + block)]);
    }
  }
}

// A cache folder and a checkpoint of their own.
class Packing : public testing::Test {
 protected:
  Packing()
      : folder_(fs::temp_directory_path() / ("ds4-packed-" + std::to_string(::getpid()))),
        checkpoint_(folder_ / "model") {
    fs::remove_all(folder_);
    fs::create_directories(folder_);
    if (const char* before = std::getenv("XDG_CACHE_HOME")) before_ = before;
    ::setenv("XDG_CACHE_HOME", folder_.c_str(), 1);
    synthesize_checkpoint(kMicro, checkpoint_, nullptr);
  }
  ~Packing() override {
    if (before_.empty()) {
      ::unsetenv("XDG_CACHE_HOME");
    } else {
      ::setenv("XDG_CACHE_HOME", before_.c_str(), 1);
    }
    fs::remove_all(folder_);
  }

  struct Opened {
    explicit Opened(const fs::path& name)
        : model(weights::open_model(name)),
          feed(model.checkpoint),
          named(weights::load_vectors(model, feed)),
          plan(true, [](const Matrix&) { return true; }) {
      plan.add(named);
    }
    fs::path path() const { return packed_weights_path(plan, model.checkpoint); }
    PackedWeights pack(const LoadProgress& progress = nullptr) const {
      return PackedWeights(plan, model.checkpoint, feed, progress);
    }
    // The block piece by piece, whole.
    Bytes expected() const {
      Bytes block(static_cast<size_t>(plan.bytes()));
      for (const WeightPiece& piece : plan.pieces()) {
        Bytes stored(static_cast<size_t>(piece.bytes));
        feed.read(piece.from, stored);
        repack_on_host(piece, stored,
                       std::span(block).subspan(static_cast<size_t>(piece.at), stored.size()));
      }
      return block;
    }

    weights::OpenedModel model;
    weights::ByteFeed feed;
    weights::ModelWeights named;
    WeightPlan plan;
  };
  static bool equal(std::span<const std::byte> a, std::span<const std::byte> b) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end());
  }
  static ino_t file_number(const fs::path& path) {
    struct stat info {};
    EXPECT_EQ(::stat(path.c_str(), &info), 0) << path;
    return info.st_ino;
  }
  int files_in_cache() const {
    const fs::path packed = folder_ / "ds4-sweep/packed";
    return fs::exists(packed) ? static_cast<int>(std::distance(fs::directory_iterator(packed), {}))
                              : 0;
  }

  const fs::path folder_;
  const fs::path checkpoint_;
  std::string before_;
};

TEST_F(Packing, HoldsTheBlockAndIsWrittenOnce) {
  for (const fs::path& name : {checkpoint_, fs::path(kMicro)}) {
    SCOPED_TRACE(name.string());
    const Opened opened(name);
    int64_t last = -1;
    int64_t whole = 0;
    const LoadProgress watch = [&](int64_t done, int64_t total) {
      EXPECT_GT(done, last);
      last = done;
      whole = total;
    };
    const PackedWeights written = opened.pack(watch);
    EXPECT_EQ(last, whole);
    EXPECT_GT(last, 0);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(written.block().data()) % 4096, 0);
    EXPECT_TRUE(equal(written.block(), opened.expected()));
    EXPECT_EQ(static_cast<int64_t>(fs::file_size(opened.path())),
              kPackedHeaderBytes + opened.plan.bytes());
    const ino_t number = file_number(opened.path());
    last = -1;
    const PackedWeights found = opened.pack(watch);
    EXPECT_EQ(last, whole);
    EXPECT_EQ(file_number(opened.path()), number) << "written again";
    EXPECT_TRUE(equal(found.block(), written.block()));
  }
  EXPECT_EQ(files_in_cache(), 2);
}

TEST_F(Packing, AnotherCheckpointOrLayoutIsAnotherFile) {
  const fs::path first = Opened(checkpoint_).path();
  EXPECT_EQ(Opened(checkpoint_).path(), first);
  EXPECT_NE(Opened(kMicro).path(), first);
  EXPECT_NE(Opened("synthetic:k6:layers=3:shape=micro").path(), Opened(kMicro).path());
  const Opened opened(checkpoint_);
  WeightPlan untiled(false, [](const Matrix&) { return true; });
  untiled.add(opened.named);
  EXPECT_NE(packed_weights_path(untiled, opened.model.checkpoint), first);
  // The same bytes in another order.
  const auto two = [&](const Matrix& a, const Matrix& b) {
    WeightPlan plan(false, [](const Matrix&) { return true; });
    plan.add_plain(a);
    plan.add_plain(b);
    return packed_weights_path(plan, opened.model.checkpoint);
  };
  const weights::Attention& attn = opened.named.layers[0].attn;
  EXPECT_NE(two(attn.wq_a, attn.wq_b), two(attn.wq_b, attn.wq_a));
  // The same headers and sizes, written anew: other weights for all that is known.
  for (const fs::directory_entry& entry : fs::directory_iterator(checkpoint_)) {
    if (entry.path().extension() == ".safetensors") {
      fs::last_write_time(entry, fs::last_write_time(entry) + std::chrono::seconds(1));
    }
  }
  EXPECT_NE(Opened(checkpoint_).path(), first);
}

TEST_F(Packing, FilesThatAreNotWholeAreWrittenAgain) {
  const Opened opened(checkpoint_);
  const Bytes expected = opened.expected();
  opened.pack();
  const fs::path path = opened.path();
  const auto size = fs::file_size(path);
  const auto damages = std::to_array<std::pair<const char*, std::function<void()>>>({
      {"cut in the block", [&] { fs::resize_file(path, size - 1); }},
      {"cut in the header", [&] { fs::resize_file(path, 100); }},
      {"empty", [&] { fs::resize_file(path, 0); }},
      {"longer", [&] { fs::resize_file(path, size + 4096); }},
      {"of another checkpoint", [&] { std::fstream(path, std::ios::in | std::ios::out).put('D'); }},
      {"behind the text",
       [&] {
         std::fstream file(path, std::ios::in | std::ios::out);
         file.seekp(kPackedHeaderBytes - 1);
         file.put('x');
       }},
      {"zeros",
       [&] {
         fs::resize_file(path, 0);
         fs::resize_file(path, size);
       }},
  });
  for (const auto& [what, damage] : damages) {
    SCOPED_TRACE(what);
    damage();
    EXPECT_TRUE(equal(opened.pack().block(), expected));
    EXPECT_EQ(fs::file_size(path), size);
    EXPECT_EQ(files_in_cache(), 1);
  }
  // What is in the way and is no file cannot be replaced, and says so.
  fs::remove(path);
  fs::create_directory(path);
  EXPECT_THROW(opened.pack(), Error);
}

TEST_F(Packing, AFullDiskLeavesNothingBehind) {
  const Opened opened(checkpoint_);
  for (const int64_t limit : {int64_t{1000}, opened.plan.bytes() / 2, opened.plan.bytes()}) {
    try {
      const test_support::FileSizeLimit full(static_cast<uint64_t>(limit));
      opened.pack();
      FAIL() << "wrote beyond the limit";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kIo);
      EXPECT_NE(std::string(error.what()).find(opened.path().string()), std::string::npos)
          << error.what();
      EXPECT_NE(error.hint().find("Free space"), std::string::npos) << error.hint();
    }
    EXPECT_EQ(files_in_cache(), 0);
  }
  EXPECT_TRUE(equal(opened.pack().block(), opened.expected()));
}

TEST_F(Packing, WhatAKilledWriterLeftIsOverwritten) {
  const Opened opened(checkpoint_);
  const pid_t child = ::fork();
  if (child == 0) {
    opened.pack([](int64_t, int64_t) { ::raise(SIGKILL); });
    ::_exit(1);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFSIGNALED(status));
  EXPECT_FALSE(fs::exists(opened.path()));
  EXPECT_EQ(files_in_cache(), 1) << "its part";
  EXPECT_TRUE(equal(opened.pack().block(), opened.expected()));
  EXPECT_EQ(files_in_cache(), 1) << "the file alone";
}

TEST_F(Packing, ManyProcessesShareOneFile) {
  const Opened opened(checkpoint_);
  const Bytes expected = opened.expected();
  std::vector<pid_t> children;
  for (int i = 0; i < 6; ++i) {
    const pid_t child = ::fork();
    if (child == 0) {
      const PackedWeights packed = opened.pack();
      ::_exit(equal(packed.block(), expected) ? 0 : 1);
    }
    children.push_back(child);
  }
  for (const pid_t child : children) {
    int status = -1;
    ::waitpid(child, &status, 0);
    EXPECT_EQ(status, 0);
  }
  EXPECT_EQ(files_in_cache(), 1);
}

// One byte of a tensor's bytes in its file, where direct reads find it.
void put(const fs::path& folder, const std::string& tensor, int byte) {
  const weights::Checkpoint checkpoint = weights::Checkpoint::open(folder);
  const weights::TensorRef* found = checkpoint.find(tensor);
  ASSERT_NE(found, nullptr);
  const int fd = ::open(found->file->path().c_str(), O_WRONLY | O_CLOEXEC);
  ASSERT_GE(fd, 0);
  const auto value = static_cast<unsigned char>(byte);
  EXPECT_EQ(::pwrite(fd, &value, 1, found->data.data() - found->file->bytes().data()), 1);
  EXPECT_EQ(::fsync(fd), 0);
  ::close(fd);
}

TEST_F(Packing, RefusesWhatTheLoaderRefusesAndOddScales) {
  put(checkpoint_, "layers.1.ffn.experts.3.w1.scale", 0);
  const auto message = [&] {
    try {
      Opened(checkpoint_).pack();
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kCheckpoint);
      return std::string(error.what()) + " " + error.hint();
    }
    return std::string("no error");
  };
  EXPECT_NE(message().find("layers.1.ffn.experts.3.w1.scale"), std::string::npos) << message();
  EXPECT_NE(message().find("engine.residency"), std::string::npos);
  put(checkpoint_, "layers.1.ffn.experts.3.w1.scale", 127);
  put(checkpoint_, "layers.2.attn.wq_b.weight", 0x7F);
  EXPECT_NE(message().find("NaN"), std::string::npos) << message();
  EXPECT_EQ(files_in_cache(), 0);
}

// Of two that want the same file, the second waits, and is not led astray by the first's end.
TEST(LargeFile, GoesOnWhereAnotherGaveUp) {
  const fs::path path = fs::temp_directory_path() / ("ds4-two-" + std::to_string(::getpid()));
  const std::string text = "abc";
  auto first = std::make_unique<LargeFile>(path);
  std::atomic<bool> waited = false;
  std::thread second([&] {
    LargeFile file(path);
    waited = true;
    file.reserve(3);
    file.write_at(0, std::as_bytes(std::span(text)));
    file.commit();
  });
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  EXPECT_FALSE(waited);
  first.reset();
  second.join();
  EXPECT_EQ(read_file(path), text);
  fs::remove(path);
}

TEST(LargeFile, ReservesZerosAndVanishesUncommitted) {
  const fs::path path = fs::temp_directory_path() / ("ds4-large-" + std::to_string(::getpid()));
  const std::string text = "abc";
  write_file_atomic(path.string() + ".part", "left by somebody who was killed");
  {
    LargeFile file(path);
    file.reserve(10);
    file.write_at(4, std::as_bytes(std::span(text)));
    EXPECT_EQ(read_file(path.string() + ".part"),
              std::string(4, '\0') + text + std::string(3, '\0'));
  }
  EXPECT_FALSE(fs::exists(path));
  EXPECT_FALSE(fs::exists(path.string() + ".part"));
  {
    LargeFile file(path);
    file.reserve(10);
    file.write_at(4, std::as_bytes(std::span(text)));
    file.commit();
  }
  EXPECT_EQ(read_file(path), std::string(4, '\0') + "abc" + std::string(3, '\0'));
  fs::remove(path);
  EXPECT_THROW(LargeFile("/nonexistent/folder/file"), Error);
}

}  // namespace
}  // namespace ds4::ops::cuda
