#include "runners/cli/reap_text.h"

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <numeric>

#include "engine/base/units.h"

namespace ds4::cli {
namespace {

using nlohmann::ordered_json;

template <typename... Values>
std::string print(const char* format, Values... values) {
  char line[400];
  std::snprintf(line, sizeof line, format, values...);
  return line;
}

std::string short_hash(const std::string& hash) {
  return hash.substr(0, 16);
}

// Of all scores in a block, the share that the kept experts have.
double kept_share(const reap::BlockPlan& block) {
  const double all = std::accumulate(block.scores.begin(), block.scores.end(), 0.0);
  double kept = 0;
  for (const int id : block.kept) kept += block.scores[static_cast<size_t>(id)];
  return all > 0 ? kept / all : 0;
}

std::string ids_text(const std::vector<int>& ids) {
  std::string text;
  for (const int id : ids) text += (text.empty() ? "" : " ") + std::to_string(id);
  return text;
}

}  // namespace

std::string observation_table(const reap::Observation& observation) {
  std::string text = observation.origin.calibration + " (sha256 " +
                     short_hash(observation.origin.calibration_sha256) +
                     "): " + format_count(observation.tokens) + " tokens, " +
                     format_count(observation.sequences) + " sequences of at most " +
                     format_count(observation.sequence_tokens) +
                     (observation.complete ? "\n" : ", not complete\n") + "checkpoint " +
                     short_hash(observation.origin.sha256) + "\n";
  text += print("%-12s %8s %10s %8s %12s %12s %12s\n", "block", "experts", "routed", "unused",
                "least mean", "median mean", "largest mean");
  for (const reap::BlockSums& block : observation.blocks) {
    std::vector<double> means;
    int64_t routed = 0;
    int64_t unused = 0;
    for (size_t e = 0; e < block.sums.size(); ++e) {
      routed += block.counts[e];
      unused += block.counts[e] == 0;
      means.push_back(block.counts[e] ? block.sums[e] / static_cast<double>(block.counts[e]) : 0);
    }
    std::sort(means.begin(), means.end());
    const std::string name = block.block + (block.hashed ? " (hash)" : "");
    text += print("%-16s %4zu %10s %8s %12.5g %12.5g %12.5g\n", name.c_str(), block.sums.size(),
                  format_count(routed).c_str(), format_count(unused).c_str(), means.front(),
                  means[means.size() / 2], means.back());
  }
  return text;
}

std::string plan_table(const reap::Plan& plan) {
  std::string text = "keep " + std::to_string(plan.keep) + ", from " + plan.origin.calibration +
                     " (sha256 " + short_hash(plan.origin.calibration_sha256) + "), " +
                     format_count(plan.tokens) + " tokens\ncheckpoint " +
                     short_hash(plan.origin.sha256) + ", observation " +
                     short_hash(plan.observation_sha256) + "\n";
  text += print("%-16s %-14s %8s %14s  %s\n", "block", "rule", "of", "share of means", "kept");
  for (const reap::BlockPlan& block : plan.blocks) {
    const std::string name = block.block + (block.hashed ? " (hash)" : "");
    const std::string share =
        block.rule == "reap" ? print("%.1f %%", 100 * kept_share(block)) : std::string("-");
    text += print("%-16s %-14s %8d %14s  ", name.c_str(), block.rule.c_str(), block.n_experts(),
                  share.c_str()) +
            ids_text(block.kept) + "\n";
  }
  return text;
}

std::string sizes_text(const reap::PruneSizes& sizes) {
  std::string text =
      print("%-36s %16s %16s %9s\n", "shard", "source bytes", "pruned bytes", "tensors");
  int64_t source = 0;
  for (const reap::ShardSize& shard : sizes.shards) {
    source += shard.source_bytes;
    text +=
        print("%-36s %16s %16s %9s\n", shard.file.c_str(), format_count(shard.source_bytes).c_str(),
              format_count(shard.output_bytes).c_str(), format_count(shard.tensors).c_str());
  }
  text += print("%-36s %16s %16s %9s\n", "all", format_count(source).c_str(),
                format_count(sizes.output_bytes()).c_str(), format_count(sizes.tensors()).c_str());
  text += "keep " + std::to_string(sizes.keep) + ": " + format_count(sizes.tensor_bytes()) +
          " tensor bytes (" + format_bytes(sizes.tensor_bytes()) + ") of " +
          format_count(sizes.source_tensor_bytes) + "\n";
  return text;
}

std::string sizes_json(const reap::PruneSizes& sizes) {
  ordered_json object{{"format", "ds4-reap-sizes-1"},
                      {"keep", sizes.keep},
                      {"source_tensor_bytes", sizes.source_tensor_bytes},
                      {"tensor_bytes", sizes.tensor_bytes()},
                      {"output_bytes", sizes.output_bytes()},
                      {"tensors", sizes.tensors()}};
  for (const reap::ShardSize& shard : sizes.shards) {
    object["shards"].push_back({{"file", shard.file},
                                {"source_bytes", shard.source_bytes},
                                {"output_bytes", shard.output_bytes},
                                {"tensor_bytes", shard.tensor_bytes},
                                {"tensors", shard.tensors}});
  }
  return object.dump(2) + "\n";
}

std::string validation_text(const reap::Validation& validation) {
  constexpr size_t kMostShown = 20;
  std::string text;
  if (!validation.groups.empty()) {
    text += print("%-32s %8s %10s %10s %10s  %s\n", "against the parent", "tensors", "identical",
                  "cosine >=", "MAE <=", "");
  }
  for (const reap::GroupCheck& group : validation.groups) {
    text += print("%-32s %8s %10s %10.5f %10.5f  %s\n", group.group.c_str(),
                  format_count(group.tensors).c_str(), format_count(group.identical).c_str(),
                  group.cosine, group.relative_mae, group.passed ? "ok" : "FAILED");
  }
  for (const std::string& note : validation.notes) text += "note: " + note + "\n";
  for (size_t i = 0; i < std::min(validation.failures.size(), kMostShown); ++i) {
    text += "FAILED: " + validation.failures[i] + "\n";
  }
  if (validation.failures.size() > kMostShown) {
    text +=
        "... and " +
        format_count(std::ssize(validation.failures) - static_cast<std::ptrdiff_t>(kMostShown)) +
        " more (--json lists all)\n";
  }
  return text + (validation.failures.empty() ? "valid\n" : "not valid\n");
}

std::string validation_json(const reap::Validation& validation) {
  ordered_json object{{"format", "ds4-reap-validation-1"},
                      {"valid", validation.failures.empty()},
                      {"failures", validation.failures},
                      {"notes", validation.notes},
                      {"experts_per_block", validation.experts_per_block},
                      {"groups", ordered_json::array()}};
  for (const reap::GroupCheck& group : validation.groups) {
    object["groups"].push_back({{"group", group.group},
                                {"tensors", group.tensors},
                                {"identical", group.identical},
                                {"cosine", group.cosine},
                                {"relative_mae", group.relative_mae},
                                {"worst", group.worst},
                                {"passed", group.passed}});
  }
  return object.dump(2) + "\n";
}

}  // namespace ds4::cli
