#include "engine/weights/byte_feed.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <memory>

#include "engine/base/check.h"
#include "engine/base/error.h"
#include "engine/weights/nan_codes.h"
#include "engine/weights/synthetic/generate.h"

namespace ds4::weights {
namespace {

constexpr int64_t kAlign = ByteFeed::kAlign;

[[noreturn]] void fail(const SafetensorsFile& file, const std::string& what) {
  throw Error(ErrorCode::kIo, file.path().string() + ": " + what,
              "Check the disk, and leave the files of a checkpoint alone while it is loaded.");
}

bool inside(const std::byte* address, std::span<const std::byte> range) {
  return address >= range.data() && address < range.data() + range.size();
}

}  // namespace

ByteFeed::ByteFeed(const Checkpoint& checkpoint) : checkpoint_(&checkpoint) {
  for (const auto& file : checkpoint.files()) {
    File& opened = files_.emplace_back();
    opened.file = file.get();
    const char* path = file->path().c_str();
    opened.direct = ::open(path, O_RDONLY | O_CLOEXEC | O_DIRECT);
    opened.cached = ::open(path, O_RDONLY | O_CLOEXEC);
    if (opened.cached < 0) fail(*file, std::string("cannot open: ") + std::strerror(errno));
  }
  for (const TensorRef& tensor : checkpoint.tensors()) {
    if (!tensor.data.empty()) tensors_.push_back(&tensor);
  }
  std::sort(tensors_.begin(), tensors_.end(),
            [](const TensorRef* a, const TensorRef* b) { return a->data.data() < b->data.data(); });
}

ByteFeed::~ByteFeed() {
  for (const File& file : files_) {
    if (file.direct >= 0) ::close(file.direct);
    if (file.cached >= 0) ::close(file.cached);
  }
}

const ByteFeed::File* ByteFeed::file_of(const std::byte* address) const {
  for (const File& file : files_) {
    if (inside(address, file.file->bytes())) return &file;
  }
  return nullptr;
}

bool ByteFeed::generated(const std::byte* address) const {
  return files_.empty() && !tensors_.empty() && address >= tensors_.front()->data.data() &&
         address < tensors_.back()->data.data() + tensors_.back()->data.size();
}

bool ByteFeed::together(const std::byte* a, const std::byte* b) const {
  const File* file = file_of(a);
  return file ? file == file_of(b) : generated(a) && generated(b);
}

size_t ByteFeed::tensor_behind(const std::byte* address) const {
  const auto found = std::upper_bound(tensors_.begin(), tensors_.end(), address,
                                      [](const std::byte* at, const TensorRef* tensor) {
                                        return at < tensor->data.data() + tensor->data.size();
                                      });
  return static_cast<size_t>(found - tensors_.begin());
}

const std::byte* ByteFeed::fetch(const std::byte* from, int64_t bytes,
                                 std::span<std::byte> room) const {
  DS4_CHECK(reinterpret_cast<uintptr_t>(room.data()) % kAlign == 0 && bytes >= 0 &&
            static_cast<int64_t>(room.size()) >= room_for(bytes));
  const auto size = static_cast<size_t>(bytes);
  if (const File* file = file_of(from)) {
    const std::byte* at = read_file(*file, from - file->file->bytes().data(), bytes, room);
    check(from, {at, size});
    return at;
  }
  if (generated(from)) {
    generate(from, room.first(size));
  } else {
    std::memcpy(room.data(), from, size);
  }
  return room.data();
}

void ByteFeed::read(const std::byte* from, std::span<std::byte> to) const {
  const auto room_bytes = static_cast<size_t>(room_for(static_cast<int64_t>(to.size())));
  const std::unique_ptr<std::byte, decltype(&std::free)> room(
      static_cast<std::byte*>(std::aligned_alloc(kAlign, room_bytes)), &std::free);
  DS4_CHECK(room != nullptr);
  const std::byte* bytes = fetch(from, static_cast<int64_t>(to.size()), {room.get(), room_bytes});
  std::copy_n(bytes, to.size(), to.data());
}

const std::byte* ByteFeed::read_file(const File& file, int64_t offset, int64_t bytes,
                                     std::span<std::byte> room) const {
  const int64_t begin = offset / kAlign * kAlign;
  const int64_t needed = offset + bytes - begin;
  const int64_t whole = (needed + kAlign - 1) / kAlign * kAlign;
  if (file.direct >= 0 && !file.refused &&
      read_direct(file, begin, needed, room.first(static_cast<size_t>(whole)))) {
    return room.data() + (offset - begin);
  }
  read_cached(file, offset, room.first(static_cast<size_t>(bytes)));
  return room.data();
}

bool ByteFeed::read_direct(const File& file, int64_t begin, int64_t needed,
                           std::span<std::byte> to) const {
  for (int64_t done = 0; done < needed;) {
    const ssize_t n =
        ::pread(file.direct, to.data() + done, to.size() - static_cast<size_t>(done), begin + done);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == EINVAL) {
      file.refused = true;  // opened, but not read: some file systems tell so late
      return false;
    }
    if (n < 0) fail(*file.file, std::string("cannot read: ") + std::strerror(errno));
    if (n == 0) fail(*file.file, "has become shorter");
    done += n;
    // A short read ends inside a block only at the end of the file.
    if (done < needed && done % kAlign != 0) fail(*file.file, "has become shorter");
  }
  return true;
}

void ByteFeed::read_cached(const File& file, int64_t offset, std::span<std::byte> to) const {
  for (size_t done = 0; done < to.size();) {
    const ssize_t n = ::pread(file.cached, to.data() + done, to.size() - done,
                              offset + static_cast<int64_t>(done));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) fail(*file.file, std::string("cannot read: ") + std::strerror(errno));
    if (n == 0) fail(*file.file, "has become shorter");
    done += static_cast<size_t>(n);
  }
  // The cache drops whole pages only: begin with the one that the piece in front left behind.
  const int64_t begin = offset / kAlign * kAlign;
  ::posix_fadvise(file.cached, begin, offset + static_cast<int64_t>(to.size()) - begin,
                  POSIX_FADV_DONTNEED);
}

void ByteFeed::generate(const std::byte* from, std::span<std::byte> to) const {
  constexpr int64_t kGrain = synthetic::kGrain;
  const std::byte* end = from + to.size();
  std::fill(to.begin(), to.end(), std::byte{0});  // between tensors
  for (size_t i = tensor_behind(from); i < tensors_.size() && tensors_[i]->data.data() < end; ++i) {
    const TensorRef& tensor = *tensors_[i];
    const std::byte* tensor_end = tensor.data.data() + tensor.data.size();
    const int64_t first = std::max(from, tensor.data.data()) - tensor.data.data();
    const int64_t last = std::min(end, tensor_end) - tensor.data.data();
    std::byte* out = to.data() + (tensor.data.data() + first - from);
    const int64_t whole = std::min(last, (first + kGrain - 1) / kGrain * kGrain);
    if (first < whole) {
      std::byte grain[kGrain];
      synthetic::generate(*tensor.recipe, first / kGrain * kGrain, grain);
      std::copy_n(grain + first % kGrain, whole - first, out);
    }
    if (whole < last) {
      synthetic::generate(*tensor.recipe, whole,
                          {out + (whole - first), static_cast<size_t>(last - whole)});
    }
  }
}

void ByteFeed::check(const std::byte* from, std::span<const std::byte> bytes) const {
  const std::byte* end = from + bytes.size();
  for (size_t i = tensor_behind(from); i < tensors_.size() && tensors_[i]->data.data() < end; ++i) {
    const TensorRef& tensor = *tensors_[i];
    const std::byte* first = std::max(from, tensor.data.data());
    const std::byte* last = std::min(end, tensor.data.data() + tensor.data.size());
    refuse_nan(checkpoint_->directory(), tensor, first - tensor.data.data(),
               bytes.subspan(static_cast<size_t>(first - from), static_cast<size_t>(last - first)));
  }
}

}  // namespace ds4::weights
