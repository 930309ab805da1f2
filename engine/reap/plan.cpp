// Plans: from sums to the experts that stay, and the plan file.
#include <algorithm>
#include <nlohmann/json.hpp>
#include <numeric>

#include "engine/api/reap.h"
#include "engine/base/error.h"
#include "engine/base/hash.h"
#include "engine/reap/origin.h"

namespace ds4::reap {
namespace {

constexpr const char* kFormat = "ds4-reap-plan-1";
constexpr const char* kOwnRule = "reap";
constexpr int kMaxExperts = 1 << 16;

[[noreturn]] void refuse(const std::string& what, const std::string& hint) {
  throw Error(ErrorCode::kUsage, what, hint);
}

bool observed(const BlockSums& block) {
  return std::any_of(block.counts.begin(), block.counts.end(), [](int64_t n) { return n > 0; });
}

// The mean over the tokens routed to an expert; an expert that no token chose scores 0.
std::vector<double> scores_of(const BlockSums& block) {
  std::vector<double> scores(block.sums.size(), 0.0);
  for (size_t e = 0; e < scores.size(); ++e) {
    if (block.counts[e] > 0) scores[e] = block.sums[e] / static_cast<double>(block.counts[e]);
  }
  return scores;
}

// The ids of the `keep` largest scores, ascending; equal scores: the lower id.
std::vector<int> best(const std::vector<double>& scores, int keep) {
  std::vector<int> ids(scores.size());
  std::iota(ids.begin(), ids.end(), 0);
  std::stable_sort(ids.begin(), ids.end(), [&](int a, int b) {
    return scores[static_cast<size_t>(a)] > scores[static_cast<size_t>(b)];
  });
  ids.resize(std::min(ids.size(), static_cast<size_t>(keep)));
  std::sort(ids.begin(), ids.end());
  return ids;
}

// Blocks without observed tokens take the kept experts of the block that `as` names.
void fill_unobserved(const Observation& observation, const std::map<std::string, std::string>& as,
                     Plan* plan) {
  for (const auto& [name, model] : as) {
    const auto is = [](const std::string& wanted) {
      return [&wanted](const BlockPlan& block) { return block.block == wanted; };
    };
    const auto block = std::find_if(plan->blocks.begin(), plan->blocks.end(), is(name));
    const auto from = std::find_if(plan->blocks.begin(), plan->blocks.end(), is(model));
    if (block == plan->blocks.end() || from == plan->blocks.end()) {
      refuse("no block " + (block == plan->blocks.end() ? name : model) + " was observed for",
             "Blocks are called layers.N and mtp.N; `reap show` lists them.");
    }
    const auto at = static_cast<size_t>(block - plan->blocks.begin());
    if (observed(observation.blocks[at])) {
      refuse(name + " was observed; it is planned by its own scores", "Leave it out of --as.");
    }
    if (from->rule != kOwnRule || from->n_experts() != block->n_experts()) {
      refuse(name + " cannot take the experts of " + model,
             "Name an observed block with the same number of experts.");
    }
    block->rule = "as " + model;
    block->kept = from->kept;
  }
}

}  // namespace

Plan make_plan(const Observation& observation, int keep,
               const std::map<std::string, std::string>& as) {
  if (!observation.complete) {
    refuse("the observation is not complete: " + std::to_string(observation.tokens) + " tokens",
           "Give the `reap observe` command again; it goes on where it stopped.");
  }
  if (keep < observation.experts_per_token) {
    refuse("cannot keep " + std::to_string(keep) + " experts: each token takes " +
               std::to_string(observation.experts_per_token),
           "Keep at least that many.");
  }
  Plan plan{.keep = keep,
            .origin = observation.origin,
            .observation_sha256 = sha256_hex(observation_text(observation)),
            .tokens = observation.tokens,
            .blocks = {}};
  int most = 0;
  for (const BlockSums& sums : observation.blocks) {
    BlockPlan block{.block = sums.block,
                    .hashed = sums.hashed,
                    .rule = observed(sums) ? kOwnRule : "",
                    .kept = {},
                    .scores = scores_of(sums)};
    most = std::max(most, block.n_experts());
    if (observed(sums)) block.kept = best(block.scores, keep);
    plan.blocks.push_back(std::move(block));
  }
  if (keep > most) {
    refuse("cannot keep " + std::to_string(keep) + " experts: the largest block has " +
               std::to_string(most),
           "Keep fewer.");
  }
  fill_unobserved(observation, as, &plan);
  for (const BlockPlan& block : plan.blocks) {
    if (block.rule.empty()) {
      refuse("no token of the observation reached " + block.block,
             "State a block whose experts it takes, e.g. --as " + block.block + "=layers." +
                 std::to_string(plan.blocks.size() - 2) + ".");
    }
  }
  return plan;
}

std::string plan_text(const Plan& plan) {
  nlohmann::ordered_json object;
  object["format"] = kFormat;
  object["score"] =
      "mean over the tokens routed to an expert of route weight x L2 norm of its output";
  object["keep"] = plan.keep;
  object["identity"] = plan.origin.identity;
  object["sha256"] = plan.origin.sha256;
  object["observation_sha256"] = plan.observation_sha256;
  object["calibration"] = plan.origin.calibration;
  object["calibration_sha256"] = plan.origin.calibration_sha256;
  object["tokens"] = plan.tokens;
  object["blocks"] = nlohmann::ordered_json::array();
  for (const BlockPlan& block : plan.blocks) {
    nlohmann::ordered_json entry;
    entry["block"] = block.block;
    entry["hashed"] = block.hashed;
    entry["rule"] = block.rule;
    entry["kept"] = block.kept;
    entry["scores"] = block.scores;
    object["blocks"].push_back(std::move(entry));
  }
  return lines_of(object);
}

Plan read_plan(const std::filesystem::path& path) {
  const nlohmann::json object = read_json_file(path, kFormat);
  const JsonFields fields(object, path.string());
  Plan plan;
  plan.keep = static_cast<int>(fields.integer("keep", 1, kMaxExperts));
  plan.origin = read_origin(fields);
  plan.observation_sha256 = fields.text("observation_sha256");
  plan.tokens = fields.integer("tokens", 0, kMaxCount);
  for (const JsonFields& entry : block_entries(fields)) {
    BlockPlan block{.block = entry.text("block"),
                    .hashed = entry.boolean("hashed"),
                    .rule = entry.text("rule"),
                    .kept = {},
                    .scores = entry.amounts("scores")};
    if (block.scores.empty() || block.n_experts() > kMaxExperts) {
      entry.fail("`scores` must have one entry per expert");
    }
    for (const int64_t id : entry.integers("kept", 0, block.n_experts() - 1)) {
      if (!block.kept.empty() && id <= block.kept.back()) entry.fail("`kept` does not ascend");
      block.kept.push_back(static_cast<int>(id));
    }
    if (static_cast<int>(block.kept.size()) != std::min(plan.keep, block.n_experts())) {
      entry.fail("`kept` has " + std::to_string(block.kept.size()) + " experts; `keep` is " +
                 std::to_string(plan.keep));
    }
    plan.blocks.push_back(std::move(block));
  }
  return plan;
}

}  // namespace ds4::reap
