#include "engine/weights/containers/safetensors_header.h"

#include <nlohmann/json.hpp>

#include "engine/base/error.h"

namespace ds4::weights {
namespace {

using nlohmann::json;

constexpr size_t kMaxRank = 8;

// Events of a streaming parser. Depth 1 is the object of tensors, depth 2 one tensor (or the
// metadata), depth 3 one of its lists. A document tree of the 46,000 tensors of a real checkpoint
// would cost several times the memory.
class HeaderEvents : public nlohmann::json_sax<json> {
 public:
  HeaderEvents(const std::string& file, std::vector<TensorHeader>* tensors)
      : file_(file), tensors_(*tensors) {}

  bool null() override { return scalar("null"); }
  bool boolean(bool) override { return scalar("a truth value"); }
  bool number_integer(number_integer_t value) override { return integer(value); }
  bool number_unsigned(number_unsigned_t value) override {
    if (value > static_cast<uint64_t>(INT64_MAX)) fail("holds the number " + std::to_string(value));
    return integer(static_cast<int64_t>(value));
  }
  bool number_float(number_float_t, const string_t& text) override {
    if (list_ != List::kNone) fail("holds " + quoted_name(text) + " where a whole number belongs");
    return scalar("a number");
  }
  bool binary(binary_t&) override { return scalar("binary data"); }

  bool string(string_t& value) override {
    if (in_metadata_) return true;
    if (depth_ != 2 || list_ != List::kNone || field_ != "dtype") return scalar("text");
    const std::optional<Dtype> dtype = parse_dtype(value);
    if (!dtype) fail("has the unknown dtype " + quoted_name(value));
    tensors_.back().dtype = *dtype;
    return true;
  }

  bool start_object(size_t) override {
    ++depth_;
    if (depth_ == 1 && list_ == List::kNone) return true;
    if (depth_ == 2 && list_ == List::kNone) {
      in_metadata_ = name_ == "__metadata__";
      seen_ = 0;
      if (!in_metadata_) tensors_.push_back({.name = name_, .shape = {}});
      return true;
    }
    fail("holds an object where none belongs");
  }

  bool key(string_t& value) override {
    if (depth_ == 1) {
      name_ = value;
      return true;
    }
    field_ = value;
    if (!in_metadata_) note_field();
    return true;
  }

  bool end_object() override {
    if (depth_ == 2 && !in_metadata_ && seen_ != (kDtype | kShape | kOffsets)) {
      fail("lacks one of dtype, shape and data_offsets");
    }
    in_metadata_ = false;
    field_.clear();
    --depth_;
    return true;
  }

  bool start_array(size_t) override {
    if (depth_ != 2 || in_metadata_ || list_ != List::kNone || field_ == "dtype") {
      fail("holds a list where none belongs");
    }
    list_ = field_ == "shape" ? List::kShape : List::kOffsets;
    n_offsets_ = 0;
    return true;
  }

  bool end_array() override {
    if (list_ == List::kOffsets && n_offsets_ != 2) fail("needs exactly two data_offsets");
    list_ = List::kNone;
    return true;
  }

  bool parse_error(size_t position, const std::string&, const json::exception& error) override {
    throw Error(ErrorCode::kCheckpoint,
                file_ + ": the header is not valid JSON (byte " + std::to_string(position) +
                    "): " + error.what(),
                "The file is damaged or no safetensors file; download or export it again.");
  }

 private:
  enum class List { kNone, kShape, kOffsets };
  static constexpr int kDtype = 1, kShape = 2, kOffsets = 4;

  void note_field() {
    const int bit = field_ == "dtype"          ? kDtype
                    : field_ == "shape"        ? kShape
                    : field_ == "data_offsets" ? kOffsets
                                               : 0;
    if (bit == 0) fail("has the unknown field " + quoted_name(field_));
    if (seen_ & bit) fail("has " + field_ + " twice");
    seen_ |= bit;
  }

  bool integer(int64_t value) {
    if (list_ == List::kNone) return scalar("a number");
    if (value < 0) fail("has the negative number " + std::to_string(value) + " in " + field_);
    TensorHeader& tensor = tensors_.back();
    if (list_ == List::kShape) {
      if (tensor.shape.size() == kMaxRank) {
        fail("has more than " + std::to_string(kMaxRank) + " dimensions");
      }
      tensor.shape.push_back(value);
    } else {
      if (n_offsets_ == 2) fail("needs exactly two data_offsets");
      (n_offsets_++ == 0 ? tensor.begin : tensor.end) = value;
    }
    return true;
  }

  // A value that is neither a list entry nor a dtype.
  bool scalar(const char* what) {
    if (in_metadata_) return true;
    fail(std::string("holds ") + what + " where it does not belong");
  }

  [[noreturn]] void fail(const std::string& what) const {
    const std::string subject = depth_ == 0    ? "the header"
                                : in_metadata_ ? "__metadata__"
                                               : "tensor " + quoted_name(name_);
    throw Error(ErrorCode::kCheckpoint, file_ + ": " + subject + " " + what,
                "The file is damaged or of a newer format; download or export it again.");
  }

  const std::string& file_;
  std::vector<TensorHeader>& tensors_;
  int depth_ = 0;
  bool in_metadata_ = false;
  std::string name_;   // key at depth 1
  std::string field_;  // key at depth 2
  int seen_ = 0;
  List list_ = List::kNone;
  int n_offsets_ = 0;
};

}  // namespace

std::vector<TensorHeader> parse_safetensors_header(std::string_view text, const std::string& file) {
  std::vector<TensorHeader> tensors;
  HeaderEvents events(file, &tensors);
  json::sax_parse(text.begin(), text.end(), &events);
  return tensors;
}

}  // namespace ds4::weights
