// Validating a pruned checkpoint: structure and values by the loader, then every tensor against the
// parent's. Finds out itself which experts were kept unless a plan lies beside the weights.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>
#include <set>

#include "engine/api/reap.h"
#include "engine/base/error.h"
#include "engine/reap/compare.h"
#include "engine/reap/layout.h"
#include "engine/reap/manifest.h"
#include "engine/weights/codecs/f32.h"
#include "engine/weights/weights.h"

namespace ds4::reap {
namespace {

namespace fs = std::filesystem;
using weights::Checkpoint;
using weights::OpenedModel;
using weights::TensorRef;

// The kinds of tensors in the table, by what a name contains; the first that fits decides.
struct Kind {
  std::string_view part;
  const char* group;
};
constexpr Kind kKinds[] = {
    {".ffn.experts.", "routed experts (kept)"}, {".ffn.gate.weight", "router rows (kept)"},
    {".ffn.gate.bias", "router biases (kept)"}, {".ffn.gate.tid2eid", "hash tables"},
    {".ffn.shared_experts.", "shared experts"}, {".attn.", "attention"},
    {"", "embedding, head, norms, streams"}};

const char* group_of(std::string_view name) {
  for (const Kind& kind : kKinds) {
    if (name.find(kind.part) != std::string_view::npos) return kind.group;
  }
  return kKinds[std::size(kKinds) - 1].group;
}

class Validating {
 public:
  explicit Validating(const ValidateOptions& options) : options_(options) {}

  Validation run() {
    for (const Kind& kind : kKinds) result_.groups.push_back({.group = kind.group, .worst = ""});
    try {
      child_ = weights::open_model(options_.checkpoint);
      weights::load_weights(options_.checkpoint);  // table entries, scales that are NaN
    } catch (const Error& error) {
      result_.failures.push_back(error.what());
      result_.groups.clear();
      return std::move(result_);
    }
    for (const Cut& block : all_blocks(child_->config, child_->structure)) {
      result_.experts_per_block.push_back(block.n_experts);
    }
    note_config();
    if (options_.source.empty()) {
      result_.groups.clear();
      return std::move(result_);
    }
    const OpenedModel parent = weights::open_model(options_.source);
    if (find_cuts(parent)) compare(parent);
    std::erase_if(result_.groups, [](const GroupCheck& group) { return group.tensors == 0; });
    return std::move(result_);
  }

 private:
  void fail(const std::string& what) { result_.failures.push_back(what); }

  GroupCheck& group(std::string_view name) {
    const char* wanted = group_of(name);
    return *std::find_if(result_.groups.begin(), result_.groups.end(),
                         [&](const GroupCheck& group) { return group.group == wanted; });
  }

  void note_config() {
    const int most =
        *std::max_element(result_.experts_per_block.begin(), result_.experts_per_block.end());
    if (child_->config.n_routed_experts != most) {
      result_.notes.push_back("config.json says n_routed_experts " +
                              std::to_string(child_->config.n_routed_experts) +
                              "; the routers have " + std::to_string(most) + " rows");
    }
  }

  // Which of the parent's experts the blocks kept: by the plan beside the weights, else by router
  // rows that are equal byte for byte, in ascending order.
  bool find_cuts(const OpenedModel& parent) {
    cuts_ = all_blocks(parent.config, parent.structure);
    if (cuts_.size() != result_.experts_per_block.size()) {
      fail("has " + std::to_string(result_.experts_per_block.size()) + " blocks of experts; " +
           options_.source.string() + " has " + std::to_string(cuts_.size()));
      return false;
    }
    const fs::path plan_path = options_.checkpoint / kPlanName;
    if (const auto plan = our_plan(plan_path)) {
      cuts_ = cuts_of(*plan, plan_path.string(), parent.config, parent.structure);
      result_.notes.push_back("kept experts by " + plan_path.string());
    } else {
      for (size_t i = 0; i < cuts_.size(); ++i) {
        if (!find_by_router(parent, result_.experts_per_block[i], &cuts_[i])) return false;
      }
      result_.notes.push_back("kept experts found by equal router rows");
    }
    for (size_t i = 0; i < cuts_.size(); ++i) {
      if (std::ssize(cuts_[i].kept) != result_.experts_per_block[i]) {
        fail(cuts_[i].name + " has " + std::to_string(result_.experts_per_block[i]) +
             " experts; its plan keeps " + std::to_string(cuts_[i].kept.size()));
        return false;
      }
    }
    return true;
  }

  // Other tools leave files of the same name.
  static std::optional<Plan> our_plan(const fs::path& path) {
    std::error_code ignored;
    if (!fs::exists(path, ignored)) return std::nullopt;
    try {
      return read_plan(path);
    } catch (const Error&) {
      return std::nullopt;
    }
  }

  bool find_by_router(const OpenedModel& parent, int n_kept, Cut* cut) {
    const std::string name = cut->name + ".ffn.gate.weight";
    const TensorRef& child_rows = *child_->checkpoint.find(name);
    const TensorRef& parent_rows = *parent.checkpoint.find(name);
    const auto bytes = static_cast<size_t>(parent_rows.bytes() / parent_rows.shape[0]);
    cut->kept.clear();
    int candidate = 0;
    for (int row = 0; row < n_kept && candidate < cut->n_experts; ++candidate) {
      if (child_rows.bytes() != static_cast<int64_t>(bytes) * n_kept) break;
      if (std::memcmp(child_rows.data.data() + static_cast<size_t>(row) * bytes,
                      parent_rows.data.data() + static_cast<size_t>(candidate) * bytes,
                      bytes) == 0) {
        cut->kept.push_back(candidate);
        ++row;
      }
    }
    if (std::ssize(cut->kept) == n_kept) return true;
    fail(name + ": row " + std::to_string(cut->kept.size()) +
         " is no later row of the parent's router, and no " + kPlanName +
         " of ours says which experts were kept");
    return false;
  }

  void compare(const OpenedModel& parent) {
    std::set<std::string_view> expected;
    const auto shards = lay_out(parent.checkpoint, cuts_);
    for (const OutputShard& shard : shards) {
      for (const OutputTensor& tensor : shard.tensors) {
        expected.insert(tensor.name);
        if (tensor.change == OutputTensor::Change::kTable) {
          compare_table(tensor);
        } else {
          compare_tensor(parent.checkpoint, tensor);
        }
      }
    }
    for (const TensorRef& tensor : child_->checkpoint.tensors()) {
      if (expected.count(tensor.name) || scale_of_requantised(tensor.name)) continue;
      fail(tensor.name + " is not a tensor of the parent");
    }
  }

  bool scale_of_requantised(std::string_view name) const {
    return options_.requantised && name.ends_with(".scale");
  }

  void compare_tensor(const Checkpoint& parent, const OutputTensor& wanted) {
    GroupCheck& check = group(wanted.name);
    ++check.tensors;
    const TensorRef* found = child_->checkpoint.find(wanted.name);
    if (!found) {
      if (scale_of_requantised(wanted.name)) return;  // the weight is stored without scales
      check.passed = false;
      fail(wanted.name + " is missing");
      return;
    }
    const bool rows = wanted.change == OutputTensor::Change::kRows;
    const TensorView mine{&child_->checkpoint, found, nullptr};
    const TensorView theirs{&parent, wanted.source, rows ? &wanted.cut->kept : nullptr};
    if (identical(mine, theirs)) {
      ++check.identical;
      return;
    }
    if (!comparable(mine, theirs)) {
      if (scale_of_requantised(wanted.name)) return;  // judged with its weight
      check.passed = false;
      fail(wanted.name + " differs from the parent's " + wanted.source->name);
      return;
    }
    judge(wanted, distance(mine, theirs), &check);
  }

  void judge(const OutputTensor& wanted, const Distance& found, GroupCheck* check) {
    if (!(found.cosine >= check->cosine)) {
      check->cosine = found.cosine;
      check->worst = wanted.name;
    }
    if (!(found.relative_mae <= check->relative_mae)) check->relative_mae = found.relative_mae;
    if (!options_.requantised) {
      check->passed = false;
      fail(wanted.name + " is not byte for byte the parent's " + wanted.source->name);
      return;
    }
    const bool near =
        found.cosine >= options_.min_cosine && found.relative_mae <= options_.max_relative_mae;
    if (near) return;
    check->passed = false;
    char text[80];
    std::snprintf(text, sizeof text, "cosine %.5f, relative MAE %.4f", found.cosine,
                  found.relative_mae);
    fail(wanted.name + " is too far from the parent's " + wanted.source->name + ": " + text);
  }

  // Entries of kept experts must follow them; for the others our rule is one of several.
  void compare_table(const OutputTensor& wanted) {
    GroupCheck& check = group(wanted.name);
    ++check.tensors;
    const TensorRef* found = child_->checkpoint.find(wanted.name);
    if (!found || found->shape != wanted.source->shape) {
      check.passed = false;
      fail(wanted.name + " is missing or has another shape");
      return;
    }
    const int64_t cols = found->shape[1];
    const auto entry = [](const TensorRef& table, int64_t at) {
      return table.dtype == weights::Dtype::kI64
                 ? weights::load_i64(table.data.data() + 8 * at)
                 : int64_t{weights::load_i32(table.data.data() + 4 * at)};
    };
    std::vector<int64_t> row(static_cast<size_t>(cols));
    int64_t wrong = 0;
    int64_t by_another_rule = 0;
    for (int64_t token = 0; token < found->shape[0]; ++token) {
      for (int64_t slot = 0; slot < cols; ++slot) {
        row[static_cast<size_t>(slot)] = entry(*wanted.source, token * cols + slot);
      }
      const std::vector<int64_t> parent_row = row;
      remap_row(*wanted.cut, token, row);
      for (int64_t slot = 0; slot < cols; ++slot) {
        const int64_t is = entry(*found, token * cols + slot);
        if (is == row[static_cast<size_t>(slot)]) continue;
        const auto parent_expert = static_cast<int>(parent_row[static_cast<size_t>(slot)]);
        ++(wanted.cut->place_of(parent_expert) >= 0 ? wrong : by_another_rule);
      }
    }
    check.identical += wrong + by_another_rule == 0;
    if (wrong) {
      check.passed = false;
      fail(wanted.name + ": " + std::to_string(wrong) +
           " entries of kept experts name another expert than the parent's");
    }
    if (by_another_rule) {
      result_.notes.push_back(wanted.name + ": " + std::to_string(by_another_rule) +
                              " entries of dropped experts follow another rule than ours");
    }
  }

  const ValidateOptions& options_;
  std::optional<OpenedModel> child_;
  std::vector<Cut> cuts_;
  Validation result_;
};

}  // namespace

Validation validate(const ValidateOptions& options) {
  std::error_code ignored;
  if (!fs::is_directory(options.checkpoint, ignored)) {
    throw Error(ErrorCode::kUsage, options.checkpoint.string() + ": not a directory",
                "Give the folder of a checkpoint.");
  }
  return Validating(options).run();
}

}  // namespace ds4::reap
