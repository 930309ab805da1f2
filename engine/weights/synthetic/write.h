// Writes a synthetic checkpoint to disk in the official layout: shards, index, config.json.
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <string>

#include "engine/weights/synthetic/spec.h"

namespace ds4::weights::synthetic {

/// Makes the new folder `directory`: `files` (name -> text) beside shards, index and config.json.
/// Streams: memory stays below 64 MiB. The folder appears complete or not at all; what an error or
/// a full disk leaves behind is removed. `progress`, if set, receives the bytes done and in all.
/// Throws Error(kUsage) when `directory` exists, Error(kIo) when the space does not suffice.
void write_checkpoint(const Spec& spec, const std::filesystem::path& directory,
                      const std::map<std::string, std::string>& files,
                      const std::function<void(int64_t, int64_t)>& progress);

}  // namespace ds4::weights::synthetic
