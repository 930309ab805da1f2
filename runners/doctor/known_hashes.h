// The sha256 that came with a file: what its publisher or its downloader wrote beside it.
#pragma once

#include <filesystem>
#include <string>

namespace ds4::runners::doctor {

/// 64 hexadecimal digits, or "" when nothing says: from SHA256SUMS of the folder (as sha256sum
/// writes it), else from what the Hugging Face client keeps of a download.
std::string known_sha256(const std::filesystem::path& file);

}  // namespace ds4::runners::doctor
