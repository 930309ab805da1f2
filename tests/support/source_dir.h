// Where the sources lie, for tests that read committed files. One translation unit knows the path,
// so that every other object file is the same in every checkout.
#pragma once

#include <filesystem>

namespace ds4::test_support {

std::filesystem::path source_dir();

}  // namespace ds4::test_support
