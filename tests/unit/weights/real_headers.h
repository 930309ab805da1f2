// The headers of the real K160 checkpoint, laid out as sparse files. Needs ../shared and gzip.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

namespace ds4::weights {

/// ../shared/spec/real-headers, or empty.
std::filesystem::path real_headers_folder();

/// {"shards": [{file, data_bytes, tensors: [[name, dtype, shape, begin, end], ...]}, ...]}; null
/// when gzip cannot read it.
nlohmann::ordered_json read_real_headers();

/// One sparse shard as model.md 9 describes them: compact JSON in data order, padded to 8 bytes.
/// False when the file system takes no sparse files.
bool lay_out_shard(const nlohmann::ordered_json& shard, const std::filesystem::path& folder);

}  // namespace ds4::weights
