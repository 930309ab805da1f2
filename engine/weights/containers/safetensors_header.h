// Parses the JSON text of a safetensors header in one pass, keeping nothing but the tensors.
// Private to safetensors.cpp.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "engine/weights/containers/safetensors.h"

namespace ds4::weights {

/// The tensors in file order with unchecked but non-negative numbers; every tensor has its three
/// fields. `file` is only named in errors. Throws Error(kCheckpoint).
std::vector<TensorHeader> parse_safetensors_header(std::string_view json, const std::string& file);

}  // namespace ds4::weights
