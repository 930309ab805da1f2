// ByteFeed: any piece equals the mapped bytes, generated pieces equal the whole, what only data can
// show to be wrong is found on the way, and no file stays in the page cache.
#include "engine/weights/byte_feed.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <memory>
#include <random>
#include <thread>

#include "engine/weights/structure.h"
#include "engine/weights/weights.h"
#include "tests/unit/weights/model_files.h"

namespace ds4::weights {
namespace {

class Room {
 public:
  explicit Room(int64_t bytes)
      : bytes_(static_cast<size_t>(ByteFeed::room_for(bytes))),
        data_(static_cast<std::byte*>(std::aligned_alloc(ByteFeed::kAlign, bytes_)), &std::free) {
    std::memset(data_.get(), 0xA5, bytes_);
  }
  std::span<std::byte> span() const { return {data_.get(), bytes_}; }

 private:
  size_t bytes_;
  std::unique_ptr<std::byte, decltype(&std::free)> data_;
};

void expect_piece(const ByteFeed& feed, std::span<const std::byte> whole, int64_t first,
                  int64_t bytes) {
  const Room room(bytes);
  const std::byte* got = feed.fetch(whole.data() + first, bytes, room.span());
  ASSERT_GE(got, room.span().data());
  ASSERT_LE(got + bytes, room.span().data() + room.span().size());
  ASSERT_EQ(std::memcmp(got, whole.data() + first, static_cast<size_t>(bytes)), 0)
      << first << " + " << bytes;
}

// A checkpoint of one tensor of `bytes` random bytes behind a header of an odd length.
void write_blob(const std::filesystem::path& folder, size_t bytes) {
  std::mt19937_64 random(5);
  std::string data(bytes, '\0');
  for (char& c : data) c = static_cast<char>(random());
  const StoredTensors tensors{{"blob", {"U8", {static_cast<int64_t>(bytes)}, data}}};
  write_text(folder / "model.safetensors", safetensors_bytes(tensors, {}, 3));
  ::sync();  // direct reads see what is on the disk
}

std::vector<std::filesystem::path> folders() {
  // A disk, and memory, which older kernels do not read directly.
  std::vector<std::filesystem::path> all{std::filesystem::temp_directory_path()};
  if (std::filesystem::is_directory("/dev/shm")) all.emplace_back("/dev/shm");
  return all;
}

class Folder {
 public:
  explicit Folder(const std::filesystem::path& parent)
      : path_(parent / ("ds4-feed-" + std::to_string(::getpid()))) {
    std::filesystem::create_directories(path_);
  }
  ~Folder() { std::filesystem::remove_all(path_); }
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

TEST(ByteFeed, PiecesOfFilesEqualTheMapping) {
  constexpr int64_t kBytes = 3 * 1048576 + 4321;
  for (const auto& parent : folders()) {
    SCOPED_TRACE(parent);
    const Folder folder(parent);
    write_blob(folder.path(), kBytes);
    const Checkpoint checkpoint = Checkpoint::open(folder.path());
    const std::span<const std::byte> whole = checkpoint.find("blob")->data;
    ASSERT_EQ(whole.size(), static_cast<size_t>(kBytes));
    const ByteFeed feed(checkpoint);
    for (const int64_t first : {0, 1, 7, 511, 4095, 4096, 4097, 100003}) {
      for (const int64_t bytes : {0, 1, 13, 4095, 4096, 4097, 8192, 70001, 1048576}) {
        expect_piece(feed, whole, first, bytes);
        expect_piece(feed, whole, kBytes - first - bytes, bytes);
      }
    }
    expect_piece(feed, whole, 0, kBytes);
    EXPECT_TRUE(feed.together(whole.data(), whole.data() + kBytes - 1));
  }
}

TEST(ByteFeed, ThreadsShareIt) {
  const TemporaryFolder folder;
  write_blob(folder.path(), 1 << 20);
  const Checkpoint checkpoint = Checkpoint::open(folder.path());
  const std::span<const std::byte> whole = checkpoint.find("blob")->data;
  const ByteFeed feed(checkpoint);
  std::vector<std::jthread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 50; ++i) expect_piece(feed, whole, 1000 * i + 37 * t, 20000);
    });
  }
}

TEST(ByteFeed, MemoryIsCopied) {
  const ByteFeed nothing;
  const std::vector<float> numbers{1, 2, 3};
  std::vector<float> copy(3);
  nothing.read(reinterpret_cast<const std::byte*>(numbers.data()),
               std::as_writable_bytes(std::span(copy)));
  EXPECT_EQ(copy, numbers);
  EXPECT_FALSE(nothing.together(reinterpret_cast<const std::byte*>(numbers.data()),
                                reinterpret_cast<const std::byte*>(numbers.data())));
}

TEST(ByteFeed, GeneratedPiecesEqualTheWhole) {
  const std::string name = "synthetic:k7:layers=5:shape=micro";
  const Checkpoint untouched = Checkpoint::open(name);
  Checkpoint filled = Checkpoint::open(name);
  filled.generate();
  const ByteFeed feed(untouched);
  std::mt19937 random(9);
  for (const TensorRef& tensor : filled.tensors()) {
    const TensorRef& same = *untouched.find(tensor.name);
    for (int i = 0; i < 6; ++i) {
      const auto size = static_cast<int64_t>(tensor.data.size());
      const int64_t first = i ? static_cast<int64_t>(random()) % size : 0;
      const int64_t bytes = i ? static_cast<int64_t>(random()) % (size - first + 1) : size;
      const Room room(bytes);
      const std::byte* got = feed.fetch(same.data.data() + first, bytes, room.span());
      ASSERT_EQ(std::memcmp(got, tensor.data.data() + first, static_cast<size_t>(bytes)), 0)
          << tensor.name << " " << first << " + " << bytes;
    }
  }
  // Over the end of one tensor into the next.
  std::vector<const TensorRef*> order;
  for (const TensorRef& tensor : untouched.tensors()) order.push_back(&tensor);
  std::sort(order.begin(), order.end(),
            [](auto* a, auto* b) { return a->data.data() < b->data.data(); });
  for (size_t i = 1; i < order.size(); i += 7) {
    const std::byte* first = order[i]->data.data() - 5;
    const Room room(11);
    const std::byte* got = feed.fetch(first, 11, room.span());
    ASSERT_EQ(std::memcmp(got + 5, filled.find(order[i]->name)->data.data(), 6), 0);
    EXPECT_TRUE(feed.together(first, order[i]->data.data()));
  }
}

TEST(ByteFeed, RefusesNanWhereItPasses) {
  for (const auto& [name, at, code, text] :
       {std::tuple{"layers.0.attn.wq_a.weight", 26 * 10 - 1, 0x7F, "row 9, column 25"},
        std::tuple{"layers.0.attn.wq_a.weight", 30, 0xFF, "row 1, column 4"},
        std::tuple{"layers.1.ffn.experts.1.w2.scale", 0, 0xFF, "row 0, column 0"}}) {
    const TemporaryFolder folder;
    TestModel model;
    model.tensors[name].bytes[static_cast<size_t>(at)] = static_cast<char>(code);
    model.write(folder.path());
    ::sync();
    // The words of load_weights(), whichever way the bytes come.
    const std::string expected = error_of([&] { load_weights(folder.path()); });
    const Checkpoint checkpoint = Checkpoint::open(folder.path());
    const ByteFeed feed(checkpoint);
    const std::span<const std::byte> whole = checkpoint.files()[0]->bytes();
    const Room room(static_cast<int64_t>(whole.size()));
    const std::string error = error_of(
        [&] { feed.fetch(whole.data(), static_cast<int64_t>(whole.size()), room.span()); });
    EXPECT_EQ(error, expected);
    EXPECT_NE(error.find(text), std::string::npos) << error;
    const std::span<const std::byte> tensor = checkpoint.find(name)->data;
    EXPECT_EQ(error_of([&] { feed.fetch(tensor.data() + at, 1, room.span()); }), expected);
    EXPECT_EQ(error_of([&] { feed.fetch(tensor.data() + at + 1, 0, room.span()); }), "");
  }
}

TEST(ByteFeed, NamesAFileThatBecameShorter) {
  const TemporaryFolder folder;
  write_blob(folder.path(), 1 << 20);
  const Checkpoint checkpoint = Checkpoint::open(folder.path());
  const std::span<const std::byte> whole = checkpoint.find("blob")->data;
  const ByteFeed feed(checkpoint);
  for (const int64_t left : {600'001, 4096 * 100, 0}) {
    std::filesystem::resize_file(folder.path() / "model.safetensors", static_cast<uintmax_t>(left));
    const Room room(1 << 20);
    try {
      feed.fetch(whole.data(), 1 << 20, room.span());
      ADD_FAILURE() << "read a file of " << left << " bytes";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kIo);
      EXPECT_NE(std::string(error.what()).find("model.safetensors"), std::string::npos);
    }
  }
}

double share_in_page_cache(std::span<const std::byte> mapped) {
  const auto page = static_cast<size_t>(::sysconf(_SC_PAGESIZE));
  std::vector<unsigned char> resident((mapped.size() + page - 1) / page);
  EXPECT_EQ(::mincore(const_cast<std::byte*>(mapped.data()), mapped.size(), resident.data()), 0);
  size_t count = 0;
  for (const unsigned char flags : resident) count += flags & 1u;
  return static_cast<double>(count) / static_cast<double>(resident.size());
}

TEST(ByteFeed, LeavesNoFileInThePageCache) {
  constexpr int64_t kBytes = 16 << 20;
  const TemporaryFolder folder;
  write_blob(folder.path(), kBytes);
  const Checkpoint checkpoint = Checkpoint::open(folder.path());
  const std::span<const std::byte> file = checkpoint.files()[0]->bytes();
  const std::span<const std::byte> blob = checkpoint.find("blob")->data;
  const ByteFeed feed(checkpoint);
  const auto pass = [&] {
    for (int64_t at = 0; at < kBytes; at += 1 << 20) expect_piece(feed, blob, at, 1 << 20);
  };
  pass();  // compares, hence maps: the cache holds it now
  EXPECT_GT(share_in_page_cache(file), 0.9) << "the measure itself does not work";
  release_pages(file);  // mapped pages are never dropped
  const int fd = ::open((folder.path() / "model.safetensors").c_str(), O_RDONLY);
  ::posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
  ::close(fd);
  if (share_in_page_cache(file) > 0.1) GTEST_SKIP() << "this file system keeps its pages";
  const Room room(1 << 20);
  for (int64_t at = 0; at < kBytes; at += 1 << 20) {
    feed.fetch(blob.data() + at, 1 << 20, room.span());
  }
  EXPECT_LT(share_in_page_cache(file), 0.02);
}

// What the GPU gets instead of load_weights(): equal vectors, matrices of equal shape.
TEST(LoadVectors, EqualsLoadWeightsButForTheBytes) {
  const TemporaryFolder folder;
  TestModel model;
  model.write(folder.path());
  ::sync();
  const ModelWeights whole = load_weights(folder.path());
  const OpenedModel opened = open_model(folder.path());
  const ByteFeed feed(opened.checkpoint);
  const ModelWeights vectors = load_vectors(opened, feed);
  const ModelWeights shapes = model_shapes(opened);
  EXPECT_EQ(vectors.identity, whole.identity);
  EXPECT_EQ(vectors.norm, whole.norm);
  EXPECT_EQ(vectors.layers[0].ffn.tid2eid, whole.layers[0].ffn.tid2eid);
  EXPECT_EQ(vectors.layers[2].hc_ffn.base, whole.layers[2].hc_ffn.base);
  EXPECT_EQ(shapes.layers[0].ffn.tid2eid.size(), whole.layers[0].ffn.tid2eid.size());
  EXPECT_EQ(shapes.norm, std::vector<float>(whole.norm.size()));
  const Matrix& a = vectors.layers[1].ffn.experts[2].w2;
  const Matrix& b = whole.layers[1].ffn.experts[2].w2;
  ASSERT_EQ(a.stored_bytes(), b.stored_bytes());
  std::vector<std::byte> bytes(static_cast<size_t>(a.rows * a.row_bytes()));
  feed.read(a.data, bytes);
  EXPECT_EQ(std::memcmp(bytes.data(), b.data, bytes.size()), 0);

  model.tensors["layers.0.ffn.gate.tid2eid"].bytes[7] = 1;
  model.write(folder.path());
  ::sync();
  EXPECT_NE(error_of([&] {
              const OpenedModel again = open_model(folder.path());
              load_vectors(again, ByteFeed(again.checkpoint));
            }).find("tid2eid"),
            std::string::npos);
}

}  // namespace
}  // namespace ds4::weights
