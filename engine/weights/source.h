// What a checkpoint's name stands for: the one place where folders and generated weights are told
// apart. Everything in the engine that takes a checkpoint comes through here.
#pragma once

#include <filesystem>
#include <optional>

#include "engine/weights/synthetic/spec.h"

namespace ds4::weights {

struct Source {
  std::filesystem::path directory;           // where the files are; empty for generated weights
  std::optional<synthetic::Spec> synthetic;  // weights that come from a counter instead of files
};

/// `checkpoint` is a folder or a name (is_synthetic_name of engine/base/checkpoint_name.h). Whether
/// a folder exists is not looked at. Throws Error(kUsage) for a malformed name.
Source resolve_source(const std::filesystem::path& checkpoint);

}  // namespace ds4::weights
