#include "tests/unit/engine/golden_file.h"

#include <cstring>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "engine/base/files.h"
#include "engine/weights/codecs/e4m3.h"
#include "engine/weights/codecs/f32.h"
#include "tests/support/source_dir.h"

namespace ds4::golden {
using weights::Dtype;
using weights::Matrix;

std::filesystem::path vectors_dir() {
  return test_support::source_dir() / "tests/golden/vectors";
}

const weights::TensorHeader* GoldenFile::find(const std::string& name) const {
  for (const weights::TensorHeader& tensor : file_.tensors()) {
    if (tensor.name == name) return &tensor;
  }
  return nullptr;
}

const weights::TensorHeader& GoldenFile::at(const std::string& name) const {
  const weights::TensorHeader* tensor = find(name);
  if (!tensor) throw std::runtime_error(file_.path().string() + ": no tensor " + name);
  return *tensor;
}

std::vector<int64_t> GoldenFile::shape(const std::string& name) const {
  return at(name).shape;
}

std::vector<uint8_t> GoldenFile::bytes(const std::string& name) const {
  const auto data = file_.data(at(name));
  const auto* begin = reinterpret_cast<const uint8_t*>(data.data());
  return {begin, begin + data.size()};
}

std::vector<float> GoldenFile::floats(const std::string& name) const {
  const weights::TensorHeader& tensor = at(name);
  const auto data = file_.data(tensor);
  const auto step = static_cast<size_t>(weights::dtype_bytes(tensor.dtype));
  std::vector<float> values(data.size() / step);
  for (size_t i = 0; i < values.size(); ++i) {
    const std::byte* p = data.data() + i * step;
    switch (tensor.dtype) {
      case Dtype::kF32:
        values[i] = weights::load_f32(p);
        break;
      case Dtype::kBF16:
        values[i] = weights::load_bf16(p);
        break;
      case Dtype::kF8E4M3:
        values[i] = weights::e4m3_decode(static_cast<uint8_t>(*p));
        break;
      case Dtype::kU8:
      case Dtype::kF8E8M0:
        values[i] = static_cast<float>(static_cast<uint8_t>(*p));
        break;
      default:
        throw std::runtime_error(name + ": dtype not read as floats");
    }
  }
  return values;
}

std::vector<int64_t> GoldenFile::integers(const std::string& name) const {
  const weights::TensorHeader& tensor = at(name);
  if (tensor.dtype != Dtype::kI64) throw std::runtime_error(name + ": not I64");
  const auto data = file_.data(tensor);
  std::vector<int64_t> values(data.size() / 8);
  for (size_t i = 0; i < values.size(); ++i) values[i] = weights::load_i64(data.data() + i * 8);
  return values;
}

Matrix GoldenFile::matrix(const std::string& weight, const std::string& scale) const {
  const weights::TensorHeader& tensor = at(weight);
  Matrix m;
  m.rows = tensor.shape.at(0);
  m.cols = tensor.shape.at(1);
  m.data = file_.data(tensor).data();
  switch (tensor.dtype) {
    case Dtype::kI8:
      m.format = Matrix::Format::kFp4;
      m.cols *= 2;
      break;
    case Dtype::kF8E4M3:
      m.format = Matrix::Format::kFp8;
      break;
    case Dtype::kBF16:
      m.format = Matrix::Format::kBf16;
      break;
    default:
      m.format = Matrix::Format::kF32;
  }
  if (m.quantised()) m.scales = reinterpret_cast<const uint8_t*>(file_.data(at(scale)).data());
  return m;
}

std::vector<int32_t> read_tokens(const std::filesystem::path& path) {
  return nlohmann::json::parse(read_file(path)).get<std::vector<int32_t>>();
}

}  // namespace ds4::golden
