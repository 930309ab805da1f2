#include "engine/weights/containers/safetensors_writer.h"

#include <nlohmann/json.hpp>

#include "engine/base/check.h"

namespace ds4::weights {

std::string safetensors_header(std::span<const TensorHeader> tensors, std::string_view metadata) {
  DS4_CHECK(!tensors.empty());
  std::string text = "{";
  if (!metadata.empty()) text.append("\"__metadata__\":").append(metadata) += ",";
  for (const TensorHeader& tensor : tensors) {
    text += nlohmann::json(tensor.name).dump() + ":{\"dtype\":\"" +
            std::string(dtype_name(tensor.dtype)) + "\",\"shape\":" + shape_text(tensor.shape) +
            ",\"data_offsets\":[" + std::to_string(tensor.begin) + "," +
            std::to_string(tensor.end) + "]},";
  }
  text.back() = '}';
  text.resize((text.size() + 7) / 8 * 8, ' ');
  std::string length;
  for (int byte = 0; byte < 8; ++byte) {
    length += static_cast<char>((uint64_t{text.size()} >> (8 * byte)) & 255);
  }
  return length + text;
}

SafetensorsWriter::SafetensorsWriter(const std::filesystem::path& path, std::string_view header,
                                     int64_t data_bytes)
    : file_(path), missing_(data_bytes) {
  file_.write(header);
}

void SafetensorsWriter::append(std::string_view bytes) {
  missing_ -= static_cast<int64_t>(bytes.size());
  DS4_CHECK(missing_ >= 0, "more data than the header announces");
  file_.write(bytes);
}

void SafetensorsWriter::finish() {
  DS4_CHECK(missing_ == 0, "less data than the header announces");
  file_.commit();
}

}  // namespace ds4::weights
