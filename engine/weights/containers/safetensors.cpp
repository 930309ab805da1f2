#include "engine/weights/containers/safetensors.h"

#include <algorithm>
#include <numeric>
#include <unordered_set>

#include "engine/base/check.h"
#include "engine/base/error.h"
#include "engine/weights/containers/safetensors_header.h"

namespace ds4::weights {
namespace {

// The limit of the format's own library; real headers stay below 200 KB.
constexpr uint64_t kMaxHeaderBytes = 100'000'000;
constexpr uint64_t kLengthBytes = 8;
constexpr size_t kMaxShownName = 120;

[[noreturn]] void fail(const std::string& file, const std::string& what) {
  throw Error(ErrorCode::kCheckpoint, file + ": " + what,
              "The file is damaged or cut off; download or export it again.");
}

uint64_t load_little_endian(std::span<const std::byte> bytes) {
  uint64_t value = 0;
  for (uint64_t i = 0; i < kLengthBytes; ++i) {
    value |= static_cast<uint64_t>(bytes[i]) << (8 * i);
  }
  return value;
}

// Bytes of a tensor, or -1 when the product leaves 63 bits.
int64_t tensor_bytes(const TensorHeader& tensor) {
  // A zero anywhere makes the product zero, even beside factors that would overflow without it.
  if (std::count(tensor.shape.begin(), tensor.shape.end(), 0) > 0) return 0;
  int64_t bytes = dtype_bytes(tensor.dtype);
  for (const int64_t size : tensor.shape) {
    if (__builtin_mul_overflow(bytes, size, &bytes)) return -1;
  }
  return bytes;
}

void check_sizes(const std::vector<TensorHeader>& tensors, int64_t data_bytes,
                 const std::string& file) {
  for (const TensorHeader& tensor : tensors) {
    const std::string name = "tensor " + quoted_name(tensor.name);
    const std::string range =
        "[" + std::to_string(tensor.begin) + "," + std::to_string(tensor.end) + "]";
    if (tensor.begin > tensor.end) fail(file, name + " has data_offsets " + range);
    if (tensor.end > data_bytes) {
      fail(file, name + " has data_offsets " + range + " but the file holds " +
                     std::to_string(data_bytes) + " data bytes");
    }
    const int64_t expected = tensor_bytes(tensor);
    if (expected != tensor.end - tensor.begin) {
      fail(file,
           name + " of " + std::string(dtype_name(tensor.dtype)) + " " + shape_text(tensor.shape) +
               " spans " + std::to_string(tensor.end - tensor.begin) + " bytes" +
               (expected < 0 ? "; its shape is impossible" : ", not " + std::to_string(expected)));
    }
  }
}

void check_names(const std::vector<TensorHeader>& tensors, const std::string& file) {
  std::unordered_set<std::string_view> names;
  names.reserve(tensors.size());
  for (const TensorHeader& tensor : tensors) {
    if (tensor.name.empty()) fail(file, "a tensor has an empty name");
    if (!names.insert(tensor.name).second) {
      fail(file, "tensor " + quoted_name(tensor.name) + " occurs twice");
    }
  }
}

void check_overlaps(const std::vector<TensorHeader>& tensors, const std::string& file) {
  std::vector<const TensorHeader*> order;
  order.reserve(tensors.size());
  for (const TensorHeader& tensor : tensors) {
    if (tensor.begin != tensor.end) order.push_back(&tensor);
  }
  std::sort(order.begin(), order.end(),
            [](const TensorHeader* a, const TensorHeader* b) { return a->begin < b->begin; });
  for (size_t i = 1; i < order.size(); ++i) {
    if (order[i]->begin < order[i - 1]->end) {
      fail(file, "tensors " + quoted_name(order[i - 1]->name) + " and " +
                     quoted_name(order[i]->name) + " share bytes");
    }
  }
}

}  // namespace

SafetensorsFile::SafetensorsFile(const std::filesystem::path& path) : path_(path) {
  const std::string file = path.string();
  std::error_code ignored;
  // Opening a pipe would wait for a writer.
  if (!std::filesystem::is_regular_file(path, ignored)) {
    throw Error(ErrorCode::kCheckpoint, file + ": missing, or not a regular file",
                "Download or export the checkpoint again.");
  }
  try {
    file_ = MappedFile(path);
  } catch (const Error& error) {
    throw Error(ErrorCode::kCheckpoint, error.what(), error.hint());
  }
  const std::span<const std::byte> bytes = file_.bytes();
  if (bytes.size() < kLengthBytes) {
    fail(file, std::to_string(bytes.size()) + " bytes are too few for a safetensors file");
  }
  const uint64_t length = load_little_endian(bytes);
  if (length > bytes.size() - kLengthBytes || length > kMaxHeaderBytes) {
    fail(file, "the header claims " + std::to_string(length) + " bytes; the file has " +
                   std::to_string(bytes.size()) + " and the format allows " +
                   std::to_string(kMaxHeaderBytes));
  }
  header_ = std::string_view(reinterpret_cast<const char*>(bytes.data()) + kLengthBytes,
                             static_cast<size_t>(length));
  if (header_.empty() || header_.front() != '{') fail(file, "the header is no JSON object");
  // The JSON library takes a zero byte for the end of its input and would ignore what follows.
  if (header_.find('\0') != std::string_view::npos) fail(file, "the header holds a zero byte");
  tensors_ = parse_safetensors_header(header_, file);
  check_sizes(tensors_, static_cast<int64_t>(bytes.size() - kLengthBytes - length), file);
  check_names(tensors_, file);
  check_overlaps(tensors_, file);
}

std::span<const std::byte> SafetensorsFile::data(const TensorHeader& tensor) const {
  const size_t start = kLengthBytes + header_.size() + static_cast<size_t>(tensor.begin);
  const size_t size = static_cast<size_t>(tensor.end - tensor.begin);
  DS4_CHECK(start + size <= file_.bytes().size());
  return file_.bytes().subspan(start, size);
}

std::string quoted_name(std::string_view name) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string text = "`";
  for (const char c : name.substr(0, kMaxShownName)) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7F) {
      text += "\\x";
      text += kDigits[byte >> 4];
      text += kDigits[byte & 15];
    } else {
      text += c;
    }
  }
  return text + (name.size() > kMaxShownName ? "...`" : "`");
}

std::string shape_text(std::span<const int64_t> shape) {
  std::string text = "[";
  for (size_t i = 0; i < shape.size(); ++i) {
    text += (i ? "," : "") + std::to_string(shape[i]);
  }
  return text + "]";
}

}  // namespace ds4::weights
