// Which file system a path is on, as the kernel's mount table tells.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

namespace ds4::runners::doctor {

/// The type ("ext4") of the mount that holds the absolute `path`, from the text of
/// /proc/self/mountinfo; "" when no line says. Lines that are no mounts are skipped.
std::string mount_type(std::string_view mountinfo, const std::filesystem::path& path);

enum class FileSystem { kLocal, kNetwork, kMemory };
FileSystem file_system_kind(std::string_view type);

}  // namespace ds4::runners::doctor
