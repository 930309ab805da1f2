#include "runners/guard/container.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <fstream>
#include <set>
#include <string>

#include "engine/base/error.h"

namespace ds4::runners::guard {
namespace {

constexpr size_t kShortestId = 12, kLongestId = 64;

bool is_hex(char c) {
  return std::isdigit(static_cast<unsigned char>(c)) || (c >= 'a' && c <= 'f');
}

// The whole ids that begin with `id` in a cgroup file: runs of 64 hexadecimal digits, as container
// engines name the groups they make ("/docker/ID", "docker-ID.scope", "libpod-ID.scope").
void collect_ids(std::string_view text, std::string_view id, std::set<std::string>& ids) {
  for (size_t at = 0; at < text.size();) {
    if (!is_hex(text[at])) {
      ++at;
      continue;
    }
    const size_t end = static_cast<size_t>(
        std::find_if_not(text.begin() + static_cast<ptrdiff_t>(at), text.end(), is_hex) -
        text.begin());
    const std::string_view run = text.substr(at, end - at);
    if (run.size() == kLongestId && run.starts_with(id)) ids.emplace(run);
    at = end;
  }
}

std::string text_of(const std::filesystem::path& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

// Number 1 of a process namespace below the machine's: NSpid lists a process's numbers from the
// outside in.
bool is_namespace_init(const std::string& status) {
  const size_t at = status.find("\nNSpid:");
  if (at == std::string::npos) return false;
  std::string numbers = status.substr(at + 7, status.find('\n', at + 1) - at - 7);
  numbers.erase(numbers.find_last_not_of(" \t") + 1);
  const size_t last = numbers.find_last_of(" \t");
  return last != std::string::npos && numbers.find_first_not_of(" \t") < last &&
         numbers.substr(last + 1) == "1";
}

}  // namespace

pid_t container_init(std::string_view id, const std::filesystem::path& proc) {
  const std::string shown(id);
  if (id.size() < kShortestId || id.size() > kLongestId ||
      !std::all_of(id.begin(), id.end(), is_hex)) {
    throw Error(ErrorCode::kUsage, "`" + shown + "` is no container id",
                "Give 12 to 64 hexadecimal digits, as `docker ps` prints them; a name can pass to "
                "another container.");
  }
  std::set<std::string> ids;
  pid_t init = 0;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(proc, error)) {
    const std::string name = entry.path().filename();
    pid_t pid = 0;
    const auto parsed = std::from_chars(name.data(), name.data() + name.size(), pid);
    if (parsed.ptr != name.data() + name.size()) continue;
    std::set<std::string> here;
    collect_ids(text_of(entry.path() / "cgroup"), id, here);
    if (here.empty()) continue;
    ids.insert(here.begin(), here.end());
    if (is_namespace_init(text_of(entry.path() / "status")))
      init = init == 0 ? pid : std::min(init, pid);
  }
  if (ids.empty()) {
    throw Error(ErrorCode::kUsage, "container " + shown + ": none is running",
                "`docker ps` lists what runs. Inside a container others cannot be seen: run the "
                "guard outside.");
  }
  if (ids.size() > 1) {
    throw Error(ErrorCode::kUsage, "container " + shown + ": several ids begin so",
                "Give more of its digits.");
  }
  if (init == 0) {
    throw Error(ErrorCode::kUsage,
                "container " + shown + ": shares the machine's process numbers (--pid host)",
                "Guard its process group instead: pid:PID.");
  }
  return init;
}

}  // namespace ds4::runners::guard
