#include "engine/weights/containers/safetensors_writer.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <nlohmann/json.hpp>

#include "engine/base/check.h"
#include "engine/base/error.h"

namespace ds4::weights {
namespace {

constexpr size_t kHeaderUnit = 8;  // the format pads headers with blanks to whole units

int64_t data_bytes(const TensorHeader& tensor) {
  int64_t bytes = dtype_bytes(tensor.dtype);
  for (const int64_t size : tensor.shape) bytes *= size;
  return bytes;
}

[[noreturn]] void fail(const std::filesystem::path& path, const char* action) {
  const bool full = errno == ENOSPC || errno == EDQUOT || errno == EFBIG;
  throw Error(ErrorCode::kIo, path.string() + ": cannot " + action + ": " + std::strerror(errno),
              full ? "Free some space or choose another disk."
                   : "Check the path, the permissions and the disk.");
}

}  // namespace

SafetensorsWriter::SafetensorsWriter(const std::filesystem::path& path,
                                     std::vector<TensorHeader> tensors,
                                     const std::map<std::string, std::string>& metadata)
    : path_(path) {
  nlohmann::ordered_json header;
  if (!metadata.empty()) header["__metadata__"] = metadata;
  std::string text = header.is_null() ? "{" : header.dump();
  if (!header.is_null()) text.back() = ',';
  for (const TensorHeader& tensor : tensors) {
    const int64_t end = missing_ + data_bytes(tensor);
    const nlohmann::ordered_json entry = {{"dtype", dtype_name(tensor.dtype)},
                                          {"shape", tensor.shape},
                                          {"data_offsets", {missing_, end}}};
    text += nlohmann::json(tensor.name).dump() + ":" + entry.dump() + ",";
    missing_ = end;
  }
  DS4_CHECK(!tensors.empty());
  text.back() = '}';
  text.append((kHeaderUnit - text.size() % kHeaderUnit) % kHeaderUnit, ' ');

  fd_ = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (fd_ < 0) fail(path_, "create");
  std::string length;
  for (size_t i = 0; i < 8; ++i) length += static_cast<char>(text.size() >> (8 * i));
  write_all(length.data(), length.size());
  write_all(text.data(), text.size());
}

SafetensorsWriter::~SafetensorsWriter() {
  if (fd_ >= 0) ::close(fd_);
}

void SafetensorsWriter::append(std::span<const std::byte> bytes) {
  missing_ -= static_cast<int64_t>(bytes.size());
  DS4_CHECK(missing_ >= 0, "more data than the header announces");
  write_all(reinterpret_cast<const char*>(bytes.data()), bytes.size());
}

void SafetensorsWriter::finish() {
  DS4_CHECK(missing_ == 0, "less data than the header announces");
  if (::fsync(fd_) != 0) fail(path_, "sync");
  const int closing = fd_;
  fd_ = -1;
  if (::close(closing) != 0) fail(path_, "close");
}

void SafetensorsWriter::write_all(const char* bytes, size_t size) {
  while (size > 0) {
    const ssize_t n = ::write(fd_, bytes, size);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) fail(path_, "write");
    bytes += n;
    size -= static_cast<size_t>(n);
  }
}

}  // namespace ds4::weights
