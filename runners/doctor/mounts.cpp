#include "runners/doctor/mounts.h"

#include <algorithm>
#include <array>
#include <vector>

namespace ds4::runners::doctor {
namespace {

std::vector<std::string_view> words(std::string_view line) {
  std::vector<std::string_view> found;
  while (!line.empty()) {
    const size_t end = std::min(line.find(' '), line.size());
    if (end > 0) found.push_back(line.substr(0, end));
    line.remove_prefix(std::min(line.size(), end + 1));
  }
  return found;
}

// "\040" of the table is a blank.
std::string unescaped(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    const std::string_view digits = text.substr(std::min(text.size(), i + 1), 3);
    if (text[i] == '\\' && digits.size() == 3 &&
        digits.find_first_not_of("01234567") == std::string_view::npos) {
      out += static_cast<char>((digits[0] - '0') * 64 + (digits[1] - '0') * 8 + (digits[2] - '0'));
      i += 3;
    } else {
      out += text[i];
    }
  }
  return out;
}

bool holds(std::string_view mount, std::string_view path) {
  if (mount == "/") return path.starts_with('/');
  return path.starts_with(mount) && (path.size() == mount.size() || path[mount.size()] == '/');
}

}  // namespace

std::string mount_type(std::string_view mountinfo, const std::filesystem::path& path) {
  std::string type;
  size_t longest = 0;
  while (!mountinfo.empty()) {
    const size_t end = std::min(mountinfo.find('\n'), mountinfo.size());
    const auto row = words(mountinfo.substr(0, end));
    mountinfo.remove_prefix(std::min(mountinfo.size(), end + 1));
    // proc(5): id, parent, device, root, mount point, options, fields of their own, "-", type, ...
    const auto dash = std::find(row.begin(), row.end(), "-");
    if (row.size() < 6 || dash - row.begin() < 6 || row.end() - dash < 2) continue;
    const std::string mount = unescaped(row[4]);
    // Of two on the same point, the later hides the earlier.
    if (mount.size() < longest || !holds(mount, path.native())) continue;
    longest = mount.size();
    type = dash[1];
  }
  return type;
}

FileSystem file_system_kind(std::string_view type) {
  constexpr std::array kNetwork = {"nfs",  "nfs4",   "cifs", "smb3",   "smbfs",     "9p",
                                   "ceph", "lustre", "afs",  "beegfs", "glusterfs", "virtiofs"};
  if (type == "tmpfs" || type == "ramfs") return FileSystem::kMemory;
  if (type.starts_with("fuse")) return FileSystem::kNetwork;  // most of what people mount so
  return std::find(kNetwork.begin(), kNetwork.end(), type) == kNetwork.end() ? FileSystem::kLocal
                                                                             : FileSystem::kNetwork;
}

}  // namespace ds4::runners::doctor
