// Where the sources lie, for tests that read committed files, and the folder beside them that has
// specifications and data. One translation unit knows the path, so that every other object file is
// the same in every checkout.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

namespace ds4::test_support {

std::filesystem::path source_dir();

/// A file or folder of $DS4_SHARED, else of ../shared, or nothing if it is not there.
std::optional<std::filesystem::path> shared_path(const std::string& relative);

}  // namespace ds4::test_support
