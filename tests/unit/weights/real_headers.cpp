#include "tests/unit/weights/real_headers.h"

#include <unistd.h>

#include <cstdio>

#include "tests/unit/weights/model_files.h"

namespace ds4::weights {
namespace {

namespace fs = std::filesystem;
using nlohmann::ordered_json;

std::string gunzip(const fs::path& path) {
  FILE* pipe = ::popen(("gzip -dc '" + path.string() + "'").c_str(), "r");
  std::string text;
  char buffer[1 << 16];
  size_t n = 0;
  while (pipe && (n = std::fread(buffer, 1, sizeof buffer, pipe)) > 0) text.append(buffer, n);
  return pipe && ::pclose(pipe) == 0 ? text : "";
}

}  // namespace

fs::path real_headers_folder() {
  const fs::path shared = shared_folder();
  return shared.empty() ? fs::path() : shared / "spec" / "real-headers";
}

ordered_json read_real_headers() {
  const std::string text = gunzip(real_headers_folder() / "k160-tensors.json.gz");
  return text.empty() ? ordered_json() : ordered_json::parse(text);
}

bool lay_out_shard(const ordered_json& shard, const fs::path& folder) {
  ordered_json header;
  for (const auto& t : shard["tensors"]) {
    header[t[0]] = {{"dtype", t[1]}, {"shape", t[2]}, {"data_offsets", {t[3], t[4]}}};
  }
  std::string text = header.dump();
  text.resize((text.size() + 7) / 8 * 8, ' ');
  const fs::path path = folder / shard["file"].get<std::string>();
  write_text(path, raw_safetensors(text, ""));
  const auto size = 8 + text.size() + shard["data_bytes"].get<size_t>();
  return ::truncate(path.c_str(), static_cast<off_t>(size)) == 0;
}

}  // namespace ds4::weights
