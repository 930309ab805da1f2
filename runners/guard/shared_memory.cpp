#include "runners/guard/shared_memory.h"

#include <sys/inotify.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <optional>

namespace ds4::runners::guard {
namespace {

namespace fs = std::filesystem;

bool is_number(const std::string& name) {
  return !name.empty() &&
         std::all_of(name.begin(), name.end(), [](char c) { return c >= '0' && c <= '9'; });
}

}  // namespace

SharedMemory::SharedMemory(fs::path folder)
    : folder_(std::move(folder)), inotify_(::inotify_init1(IN_NONBLOCK | IN_CLOEXEC)) {
  if (inotify_ >= 0) ::inotify_add_watch(inotify_, folder_.c_str(), IN_CREATE | IN_MOVED_TO);
}

SharedMemory::~SharedMemory() {
  if (inotify_ >= 0) ::close(inotify_);
}

void SharedMemory::take_events() {
  alignas(inotify_event) std::array<char, 8192> bytes;
  ssize_t n;
  while (inotify_ >= 0 && (n = ::read(inotify_, bytes.data(), bytes.size())) > 0) {
    for (ssize_t at = 0; at < n;) {
      const auto* event = reinterpret_cast<const inotify_event*>(bytes.data() + at);
      if (event->len > 0) new_[event->name] = 0;
      at += static_cast<ssize_t>(sizeof(inotify_event) + event->len);
    }
  }
}

std::map<std::string, SharedMemory::File> SharedMemory::files() const {
  std::map<std::string, File> result;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder_, error)) {
    struct stat info {};
    if (::lstat(entry.path().c_str(), &info) != 0 || !S_ISREG(info.st_mode)) continue;
    result[entry.path().filename()] = {info.st_dev, info.st_ino};
  }
  return result;
}

// What a process has mapped or open. `known` becomes false when it may not be looked at.
std::set<SharedMemory::File> SharedMemory::used_by(pid_t pid, bool& known) const {
  std::set<File> files;
  const fs::path process = fs::path("/proc") / std::to_string(pid);
  std::ifstream maps(process / "maps");
  std::string line;
  while (std::getline(maps, line)) {
    if (line.find(folder_.string()) == std::string::npos) continue;
    unsigned major_number = 0, minor_number = 0;
    unsigned long inode = 0;
    if (std::sscanf(line.c_str(), "%*s %*s %*s %x:%x %lu", &major_number, &minor_number, &inode) ==
        3) {
      files.insert({makedev(major_number, minor_number), inode});
    }
  }
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(process / "fd", error)) {
    struct stat info {};
    if (::stat(entry.path().c_str(), &info) == 0) files.insert({info.st_dev, info.st_ino});
  }
  if (error) {  // one that has ended uses nothing; one that may not be read might use anything
    const auto stat = read_stat(pid);
    if (stat && stat->state != 'Z') known = false;
  }
  return files;
}

std::set<SharedMemory::File> SharedMemory::used_by_others(const std::set<pid_t>& members,
                                                          bool& known) const {
  std::set<File> used;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator("/proc", error)) {
    const std::string name = entry.path().filename();
    if (!is_number(name) || members.contains(std::stoi(name))) continue;
    used.merge(used_by(std::stoi(name), known));
  }
  return used;
}

void SharedMemory::look(const Group& group) {
  take_events();
  if (new_.empty()) return;
  const std::map<std::string, File> there = files();
  const std::vector<pid_t> pids = group.members();
  const std::set<pid_t> members(pids.begin(), pids.end());
  bool known = true;
  std::set<File> used;
  for (const pid_t pid : members) used.merge(used_by(pid, known));
  std::optional<std::set<File>> others;
  for (auto at = new_.begin(); at != new_.end();) {
    const auto file = there.find(at->first);
    const bool in_use = file != there.end() && used.contains(file->second);
    if (in_use) {
      if (!others) others = used_by_others(members, known);
      (others->contains(file->second) ? shared_ : own_)[at->first] = file->second;
    }
    const bool settled = in_use || file == there.end() || ++at->second >= kLooks;
    at = settled ? new_.erase(at) : std::next(at);
  }
}

Leftovers SharedMemory::clean_up() {
  Leftovers left;
  const std::map<std::string, File> there = files();
  const auto still_there = [&](const auto& entry) {
    const auto now = there.find(entry.first);
    return now != there.end() && now->second == entry.second;
  };
  for (const auto& entry : shared_) {
    if (still_there(entry)) left.kept.push_back(entry.first);
  }
  bool known = true;
  std::set<File> used;
  if (std::any_of(own_.begin(), own_.end(), still_there)) used = used_by_others({}, known);
  for (const auto& entry : own_) {
    if (!still_there(entry)) continue;
    const fs::path path = folder_ / entry.first;
    struct stat info {};
    // Processes that may not be looked at belong to other users; they can use what others may open.
    const bool unused = !used.contains(entry.second) && ::lstat(path.c_str(), &info) == 0 &&
                        (known || (info.st_mode & 077) == 0);
    (unused && ::unlink(path.c_str()) == 0 ? left.removed : left.kept).push_back(entry.first);
  }
  own_.clear();
  shared_.clear();
  return left;
}

}  // namespace ds4::runners::guard
