#include "runners/fit/remedy.h"

#include <charconv>
#include <functional>
#include <optional>
#include <string_view>

#include "runners/fit/verdict.h"

namespace ds4::runners::fit {
namespace {

constexpr int64_t kContextStep = 1024;
constexpr int64_t kLeastChunk = 256;  // below that a prompt is read at a fraction of the speed
constexpr int64_t kLeastExperts = 6;  // of synthetic checkpoints

bool fits(const profiles::Profile& cell, const profiles::Machine& machine) {
  return judge(predict(cell), machine, floors_of(cell, machine)).fit == Fit::kFits;
}

// The largest value in [least, below) that fits, in steps of `step`; the need must grow with it.
std::optional<int64_t> largest(int64_t least, int64_t below, int64_t step,
                               const std::function<bool(int64_t)>& fits_with) {
  int64_t low = (least + step - 1) / step, high = (below - 1) / step;
  if (low > high || !fits_with(low * step)) return std::nullopt;
  while (low < high) {
    const int64_t middle = low + (high - low + 1) / 2;
    if (fits_with(middle * step)) {
      low = middle;
    } else {
      high = middle - 1;
    }
  }
  return low * step;
}

class Search {
 public:
  Search(const profiles::Profile& cell, const profiles::Machine& machine)
      : cell_(cell), machine_(machine) {}

  std::vector<Remedy> all() {
    chunk();
    fewer("engine.sequences", &profiles::EngineSection::sequences, 1);
    fewer("engine.draft_tokens", &profiles::EngineSection::draft_tokens, 0);
    coarser("engine.kv_dtype", &profiles::EngineSection::kv_dtype, "fp8");
    coarser("engine.index_dtype", &profiles::EngineSection::index_dtype, "fp4");
    context();
    if (found_.empty()) experts();
    return std::move(found_);
  }

 private:
  bool fits_with(const std::function<void(profiles::Profile&)>& change) const {
    profiles::Profile changed = cell_;
    change(changed);
    return fits(changed, machine_);
  }

  // Halves: chunks are powers of two by habit.
  void chunk() {
    for (int64_t chunk = cell_.engine.prefill_chunk / 2; chunk >= kLeastChunk; chunk /= 2) {
      if (!fits_with([&](profiles::Profile& p) { p.engine.prefill_chunk = chunk; })) continue;
      found_.push_back({"engine.prefill_chunk", std::to_string(chunk), false});
      return;
    }
  }

  void fewer(const char* key, int64_t profiles::EngineSection::*setting, int64_t least) {
    const auto value = largest(least, cell_.engine.*setting, 1, [&](int64_t n) {
      return fits_with([&](profiles::Profile& p) { p.engine.*setting = n; });
    });
    if (value) found_.push_back({key, std::to_string(*value), false});
  }

  void coarser(const char* key, std::string profiles::EngineSection::*setting, const char* value) {
    if (cell_.engine.*setting == value) return;
    if (!fits_with([&](profiles::Profile& p) { p.engine.*setting = value; })) return;
    found_.push_back({key, "\"" + std::string(value) + "\"", true});
  }

  // Shorter prompts are other cases, so other answers.
  void context() {
    const auto value =
        largest(kContextStep, cell_.engine.context_length, kContextStep, [&](int64_t length) {
          return fits_with([&](profiles::Profile& p) { p.engine.context_length = length; });
        });
    if (value) found_.push_back({"engine.context_length", std::to_string(*value), true});
  }

  // `synthetic:kN...`: the most experts that fit.
  void experts() {
    constexpr std::string_view kPrefix = "synthetic:k";
    const std::string name = cell_.checkpoint.string();
    if (!name.starts_with(kPrefix)) return;
    int64_t experts = 0;
    const auto parsed =
        std::from_chars(name.data() + kPrefix.size(), name.data() + name.size(), experts);
    const std::string rest(parsed.ptr);
    const auto named = [&](int64_t n) { return std::string(kPrefix) + std::to_string(n) + rest; };
    const auto value = largest(kLeastExperts, experts, 1, [&](int64_t n) {
      return fits_with([&](profiles::Profile& p) { p.checkpoint = named(n); });
    });
    if (value) found_.push_back({"checkpoint", "\"" + named(*value) + "\"", true});
  }

  const profiles::Profile& cell_;
  const profiles::Machine& machine_;
  std::vector<Remedy> found_;
};

}  // namespace

std::vector<Remedy> remedies(const profiles::Profile& cell, const profiles::Machine& machine) {
  return Search(cell, machine).all();
}

}  // namespace ds4::runners::fit
