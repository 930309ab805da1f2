// DIR:kN of engine/api/checkpoints.h: a checkpoint pruned by a plan that lies beside it, made once.
#include <unistd.h>

#include <algorithm>

#include "engine/api/checkpoints.h"
#include "engine/api/reap.h"
#include "engine/base/cache_folder.h"
#include "engine/base/checkpoint_name.h"
#include "engine/base/error.h"
#include "engine/base/files.h"
#include "engine/base/hash.h"
#include "engine/weights/checkpoint.h"

namespace ds4 {
namespace {

namespace fs = std::filesystem;

// Part of a sibling's key: to be changed when prune() writes something else from the same input.
constexpr const char* kForm = "reap-1";

// "k20" of ".../tiny:k20", or "".
std::string plan_of(const std::string& name) {
  const size_t colon = name.rfind(':');
  if (colon == std::string::npos || colon + 2 >= name.size() || name[colon + 1] != 'k') return "";
  const std::string digits = name.substr(colon + 2);
  const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
  return std::all_of(digits.begin(), digits.end(), is_digit) ? "k" + digits : "";
}

// Makes the sibling under a name of this process, then moves it; whoever comes second finds it
// made.
void make(const fs::path& source, const fs::path& plan, const fs::path& out) {
  fs::path work = out;
  work += "." + std::to_string(::getpid());
  make_folders(out.parent_path());
  reap::prune({.source = source, .plan = plan, .out = work, .hash_cache = {}},
              [](int64_t, int64_t) {});
  std::error_code error;
  fs::rename(work, out, error);
  std::error_code ignored;
  if (error) fs::remove_all(work, ignored);
  if (!fs::exists(out, ignored)) {
    throw Error(ErrorCode::kIo, out.string() + ": cannot create: " + error.message(),
                "Check the permissions of the cache folder, or set XDG_CACHE_HOME to another one.");
  }
}

}  // namespace

fs::path resolve_checkpoint(const fs::path& name) {
  const std::string text = name.string();
  const std::string plan_name = plan_of(text);
  std::error_code ignored;
  if (plan_name.empty() || is_synthetic_name(text) || fs::exists(name, ignored)) return name;
  const fs::path source = text.substr(0, text.rfind(':'));
  const fs::path plan = source / "plans" / (plan_name + ".json");
  if (!fs::exists(plan, ignored)) {
    throw Error(ErrorCode::kCheckpoint, text + ": there is no plan " + plan.string(),
                "DIR:kN needs DIR/plans/kN.json; `ds4-sweep reap plan` makes one.");
  }
  const weights::Checkpoint checkpoint = weights::Checkpoint::open(source);
  const std::string key = sha256_hex(std::string(kForm) + "\n" + read_file(plan) + "\n" +
                                     weights::content_sha256(checkpoint));
  const fs::path folder = fs::absolute(source).lexically_normal();
  const fs::path base = folder.has_filename() ? folder.filename() : folder.parent_path().filename();
  const fs::path out =
      cache_folder() / "checkpoints" / (base.string() + "-" + plan_name + "-" + key.substr(0, 16));
  if (!fs::exists(out, ignored)) make(source, plan, out);
  return out;
}

}  // namespace ds4
