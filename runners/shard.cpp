#include "runners/shard.h"

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <numeric>

#include "engine/base/error.h"
#include "engine/base/hash.h"

namespace ds4::runners {
namespace {

constexpr size_t kMaxIdLength = 64;
constexpr int kMaxShards = 10000;

// A case costs this many prompt tokens beside its own: its answer, and prompts of unknown length.
constexpr int64_t kTokensPerCase = 1024;

[[noreturn]] void bad_shard(const std::string& text) {
  throw Error(ErrorCode::kUsage, "--shard " + text + ": not of the form i/n",
              "Write for example --shard 2/3: the second of three machines.");
}

int number_of(std::string_view digits, const std::string& text) {
  int number = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
  if (digits.empty() || error != std::errc() || end != digits.data() + digits.size()) {
    bad_shard(text);
  }
  return number;
}

int64_t work_of(const profiles::Profile& profile) {
  int64_t work = 0;
  for (const profiles::SuiteSection& section : profile.suites) {
    for (const suites::CaseSpec& spec :
         suites::find_suite(section.name)->plan(section.parameters)) {
      work += kTokensPerCase;
      const auto tag = spec.tags.find("length");
      if (tag == spec.tags.end()) continue;
      int64_t length = 0;
      std::from_chars(tag->second.data(), tag->second.data() + tag->second.size(), length);
      work += length;
    }
  }
  return work;
}

}  // namespace

Shard parse_shard(const std::string& text, const std::string& sweep_id) {
  Shard shard{0, 1, sweep_id};
  const bool plain = std::all_of(sweep_id.begin(), sweep_id.end(), [](const char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-';
  });
  if (!plain || sweep_id.size() > kMaxIdLength) {
    throw Error(ErrorCode::kUsage, "--sweep-id " + sweep_id + ": not a plain name",
                "Use up to 64 letters, digits, '.', '_' and '-', such as the number of the job.");
  }
  if (text.empty()) return shard;
  const size_t slash = text.find('/');
  if (slash == std::string::npos) bad_shard(text);
  shard.index = number_of(std::string_view(text).substr(0, slash), text);
  shard.count = number_of(std::string_view(text).substr(slash + 1), text);
  if (shard.index < 1 || shard.index > shard.count || shard.count > kMaxShards) {
    throw Error(ErrorCode::kUsage, "--shard " + text + ": no such shard",
                "Shards are counted from 1: 1/3, 2/3 and 3/3 are the three of three.");
  }
  return shard;
}

std::vector<int> shards_of(const profiles::Plan& plan, int count) {
  const size_t n_cells = plan.cells.size();
  if (static_cast<size_t>(count) > n_cells) {
    throw Error(ErrorCode::kUsage,
                plan.profile.name + ": " + std::to_string(count) + " shards, but " +
                    std::to_string(n_cells) + (n_cells == 1 ? " cell" : " cells"),
                "Every shard needs a cell: use at most --shard i/" + std::to_string(n_cells) + ".");
  }
  std::vector<int64_t> work;
  for (const profiles::Cell& cell : plan.cells) work.push_back(work_of(cell.profile));
  std::vector<size_t> order(n_cells);
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return work[a] > work[b]; });
  struct Load {
    int64_t work = 0, cells = 0;
    auto operator<=>(const Load&) const = default;
  };
  std::vector<Load> loads(static_cast<size_t>(count));
  std::vector<int> shards(n_cells);
  for (const size_t cell : order) {
    const auto least = std::min_element(loads.begin(), loads.end());
    shards[cell] = static_cast<int>(least - loads.begin()) + 1;
    least->work += work[cell];
    ++least->cells;
  }
  return shards;
}

profiles::Plan own_cells(const profiles::Plan& plan, const Shard& shard) {
  if (shard.index == 0) return plan;
  const std::vector<int> shards = shards_of(plan, shard.count);
  profiles::Plan own = plan;
  own.cells.clear();
  for (size_t i = 0; i < plan.cells.size(); ++i) {
    if (shards[i] == shard.index) own.cells.push_back(plan.cells[i]);
  }
  return own;
}

std::string sweep_key(const profiles::Plan& plan) {
  Sha256 hash;
  hash.update(plan.profile.text);
  for (const profiles::Cell& cell : plan.cells) hash.update("\n" + cell.key);
  return hash.hex().substr(0, 16);
}

}  // namespace ds4::runners
