// Which files are mapped, and what happens when one of them cannot be read any more. A file that is
// cut shorter while it is mapped, or whose disk fails, answers a read with SIGBUS, out of which no
// exception can come; the guard turns it into a message that names the file.
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>

namespace ds4 {

/// From now on a SIGBUS inside a known mapping ends the process with a message on standard error
/// and the exit code of ErrorCode::kIo. Any other SIGBUS does what it did before.
void guard_mapped_files();

/// Makes a mapping known to the guard. Returns a place for forget_mapped_file(), or -1 when there
/// are too many (then the guard does not know this one).
int remember_mapped_file(const std::filesystem::path& path, std::span<const std::byte> bytes);
void forget_mapped_file(int place);

}  // namespace ds4
