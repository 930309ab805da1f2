// The golden checks: which micro-model shows which mechanisms. Every model runs through embedding,
// norms, projections, attention and head; beyond that it exercises what its line says, and all else
// is neutral in it (tests/golden/cases/micro.py).
#include <algorithm>

#include "engine/selftest/golden.h"

namespace ds4::selftest {
namespace fs = std::filesystem;
namespace {

constexpr const char* kBasic = "embedding, norms, projections, scores, head";

struct Line {
  const char* name;
  std::vector<std::string> mechanisms;
  const char* model = nullptr;  // default: the name
  Positions positions = Positions::kAll;
  int64_t tokens = 0;  // default: as stored
};

const std::vector<Line>& lines() {
  static const std::vector<Line> kLines{
      {"plain", {}},
      {"norm_eps", {"norm epsilon"}},
      {"groups", {"output groups"}},
      {"window", {"window"}},
      {"sink", {"attention sink"}},
      {"rope", {"RoPE"}},
      {"inverse_rope", {"inverse RoPE"}},
      {"plain_theta", {"RoPE", "inverse RoPE", "theta of window layers"}},
      {"far", {"RoPE", "window", "angles far out"}, nullptr, Positions::kAll, 66000},
      {"hca", {"compressed rows", "HCA", "visibility"}},
      {"hca_ape", {"compressed rows", "HCA", "visibility", "ape"}},
      {"csa", {"compressed rows", "CSA"}, nullptr, Positions::kInsideBlocks},
      {"block_end", {"compressed rows", "CSA", "visibility"}, "csa", Positions::kBlockEnds},
      {"csa_ape", {"compressed rows", "CSA", "visibility", "ape"}},
      {"overlap", {"compressed rows", "CSA", "visibility", "compressor overlap"}},
      {"row_position",
       {"compressed rows", "CSA", "visibility", "RoPE", "position of compressed rows"}},
      {"compressed_theta",
       {"compressed rows", "CSA", "visibility", "RoPE", "position of compressed rows",
        "theta of compressed layers"}},
      {"yarn",
       {"compressed rows", "CSA", "visibility", "RoPE", "position of compressed rows", "YaRN"}},
      {"indexer", {"compressed rows", "CSA", "visibility", "indexer"}},
      {"indexer_rope", {"compressed rows", "CSA", "visibility", "indexer", "indexer RoPE"}},
      {"router", {"router", "route weights", "routed experts"}},
      {"router_bias", {"router", "route weights", "routed experts", "router bias"}},
      {"route_scale", {"router", "route weights", "routed experts", "route scale"}},
      {"hash_routing", {"route weights", "routed experts", "hash routing"}},
      {"hash_duplicates",
       {"route weights", "routed experts", "hash routing", "experts named twice"}},
      {"expert_order", {"router", "route weights", "routed experts", "expert order"}},
      {"routed_clamp", {"router", "route weights", "routed experts", "clamp of routed experts"}},
      {"shared_expert", {"shared expert"}},
      {"shared_clamp", {"shared expert", "clamp of the shared expert"}},
      {"mhc_mix", {"shared expert", "mHC mix"}},
      {"mhc_sinkhorn", {"shared expert", "mHC streams", "mHC Sinkhorn"}},
      {"mhc_orientation", {"shared expert", "mHC streams", "head mix", "mHC orientation"}},
      {"head_mix", {"shared expert", "mHC streams", "head mix"}},
      {"fp8_weights", {"E4M3 and E8M0 decoding"}},
      {"fp4_weights",
       {"router", "route weights", "routed experts", "E2M1 decoding and nibble order"}},
      {"kv_rounding", {"RoPE", "inverse RoPE", "KV rounding"}},
      {"activation_rounding",
       {"shared expert", "KV rounding", "E4M3 and E8M0 decoding", "activation rounding"}},
      {"expert_rounding",
       {"router", "route weights", "routed experts", "KV rounding",
        "E2M1 decoding and nibble order", "activation rounding", "place of the route weight"}},
      {"index_rounding",
       {"compressed rows", "CSA", "indexer", "indexer RoPE", "KV rounding",
        "FP4 and Hadamard of the indexer"}},
  };
  return kLines;
}

fs::path model_of(const fs::path& models, const Line& line) {
  return models / (line.model ? line.model : line.name);
}

Measured compare_line(const Bench& bench, const fs::path& models, const Line& line,
                      Precision precision) {
  const fs::path model = model_of(models, line);
  return compare_golden(bench, model, read_golden(model / kGoldenName, precision, line.tokens),
                        line.positions);
}

/// A model in f32, where faults are sharpest, if it has golden logits of that precision.
Check golden_check(const fs::path& models, const Line& line) {
  Check check{line.name, {kBasic}, {}};
  check.mechanisms.insert(check.mechanisms.end(), line.mechanisms.begin(), line.mechanisms.end());
  check.run = [models, line](const Bench& bench) {
    const bool exact = has_golden(model_of(models, line) / kGoldenName, Precision::kF32);
    return compare_line(bench, models, line, exact ? Precision::kF32 : Precision::kReference);
  };
  return check;
}

/// All models in the precision that serves; the one nearest to its bound counts.
Measured compare_rounded(const Bench& bench, const fs::path& models) {
  Measured worst{0, kF32Bound};
  for (const Line& line : lines()) {
    const Measured measured = compare_line(bench, models, line, Precision::kReference);
    if (measured.error / measured.bound > worst.error / worst.bound) worst = measured;
  }
  return worst;
}

/// Tokens drawn at the end of a text, the last of which count as an answer's; `error` is the share
/// of wrong ones.
Measured compare_draws(const Bench& bench, const fs::path& model) {
  const Golden golden = read_golden(model / kGoldenName, Precision::kF32);
  const auto n = static_cast<int64_t>(golden.tokens.size());
  const auto engine = bench.make(model, bench.settings(Precision::kF32, n + 1, 512));
  const auto session = engine->new_session();
  const std::span<const TokenId> text(golden.tokens);
  session->extend_to(text.first(text.size() - kDrawAnswer));
  for (const TokenId token : text.last(kDrawAnswer)) session->append(token);
  const std::vector<GoldenDraw> draws = read_draws(model / kGoldenName);
  int wrong = 0;
  for (const GoldenDraw& draw : draws) wrong += session->sample(draw.sampling) != draw.token;
  return {static_cast<double>(wrong) / static_cast<double>(draws.size()), 0};
}

/// Rounds with two drafts by the MTP block; `error` is the share of rounds of another length. The
/// tokens would be right whatever the drafts are, so only this shows what the block guesses.
Measured compare_rounds(const Bench& bench, const fs::path& model) {
  const Golden golden = read_golden(model / kGoldenName, Precision::kF32);
  const std::vector<int64_t> rounds = read_rounds(model / kGoldenName);
  const auto n = static_cast<int64_t>(golden.tokens.size());
  EngineSettings settings =
      bench.settings(Precision::kF32, n + 3 * static_cast<int64_t>(rounds.size()), 512);
  settings.draft_tokens = 2;
  const auto engine = bench.make(model, settings);
  const auto session = engine->new_session();
  session->extend_to(golden.tokens);
  SamplingSettings sampling;
  sampling.temperature = kRoundTemperature;
  sampling.seed = kRoundSeed;
  int wrong = 0;
  for (const int64_t length : rounds) {
    const auto tokens = session->decode(sampling, 3, {});
    wrong += static_cast<int64_t>(tokens.size()) != length;
  }
  return {static_cast<double>(wrong) / static_cast<double>(rounds.size()), 0};
}

}  // namespace

std::vector<Check> golden_checks(const fs::path& models) {
  std::vector<Check> checks;
  Line whole{"whole", {}};
  for (const Line& line : lines()) {
    checks.push_back(golden_check(models, line));
    for (const std::string& mechanism : line.mechanisms) {
      if (std::find(whole.mechanisms.begin(), whole.mechanisms.end(), mechanism) ==
          whole.mechanisms.end()) {
        whole.mechanisms.push_back(mechanism);
      }
    }
  }
  checks.push_back(golden_check(models, whole));
  checks.push_back(
      {"rounded", {}, [models](const Bench& bench) { return compare_rounded(bench, models); }});
  checks.push_back({"draws", {"sampling"}, [model = models / "plain"](const Bench& bench) {
                      return compare_draws(bench, model);
                    }});
  checks.push_back(
      {"drafts",
       {"sampling", "speculation", "MTP block"},
       [model = models / "draft"](const Bench& bench) { return compare_rounds(bench, model); }});
  return checks;
}

}  // namespace ds4::selftest
