// Files under /dev/shm that a process group makes and a killed one leaves behind. Only what is
// proved to be the group's and nobody else's is removed.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "runners/guard/group.h"

namespace ds4::runners::guard {

struct Leftovers {
  std::vector<std::string> removed, kept;  // names
};

class SharedMemory {
 public:
  explicit SharedMemory(std::filesystem::path folder = "/dev/shm");
  ~SharedMemory();
  SharedMemory(const SharedMemory&) = delete;
  SharedMemory& operator=(const SharedMemory&) = delete;

  /// Readable when a file was made there; -1 when that cannot be told.
  int fd() const { return inotify_; }
  /// Looks at the files made since the last call: one that only processes of the group use is the
  /// group's. Reads their maps: slow when there are new files.
  void look(const Group& group);
  /// After the group's end: removes each file that was seen to be its own, is still the same file,
  /// and is in use by no process that is left. What the group shared, or what cannot be shown to be
  /// unused, is kept.
  Leftovers clean_up();

 private:
  struct File {
    dev_t device = 0;
    ino_t inode = 0;
    bool operator<(const File& other) const {
      return std::pair(device, inode) < std::pair(other.device, other.inode);
    }
    bool operator==(const File&) const = default;
  };

  static constexpr int kLooks = 10;  // a new file that the group does not use by then is another's

  std::map<std::string, File> files() const;
  std::set<File> used_by(pid_t pid, bool& known) const;
  std::set<File> used_by_others(const std::set<pid_t>& members, bool& known) const;
  void take_events();

  std::filesystem::path folder_;
  int inotify_ = -1;
  std::map<std::string, int> new_;      // names made, and how often they were looked for
  std::map<std::string, File> own_;     // the group's
  std::map<std::string, File> shared_;  // used by the group and by others
};

}  // namespace ds4::runners::guard
