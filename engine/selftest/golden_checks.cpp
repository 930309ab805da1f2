// The golden checks: which micro-model shows which mechanisms. Every model runs through embedding,
// norms, projections, attention and head; beyond that it exercises what its line says, and all else
// is neutral in it (tests/golden/cases/micro.py).
#include <algorithm>
#include <cmath>
#include <limits>

#include "engine/selftest/check.h"
#include "engine/selftest/micro_models.h"

namespace ds4::selftest {
namespace fs = std::filesystem;
namespace {

// f32 has no rounding points; only the order of summation separates an engine from float64, which
// moves logits by 4e-7 at most. The smallest fault of docs/faults.md is far above.
constexpr double kF32Bound = 1e-5;
// In the reference precision a sum may land on the other side of a rounding boundary. One layer
// cannot cascade, so most positions agree as closely as f32 does; how far the quartile may go where
// more of them differ is measured by the reference itself (its noise).
constexpr double kNoiseMargin = 4;

constexpr const char* kBasic = "embedding, norms, projections, scores, head";

const char* set_name(Precision precision) {
  return precision == Precision::kF32 ? "f32" : "reference";
}

/// Which golden positions a check looks at: those that complete a block of four see the row made
/// of it for the first time.
enum class Positions { kAll, kInsideBlocks, kBlockEnds };

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

bool wanted(int64_t position, Positions which) {
  const bool ends = position % 4 == 3;
  return which == Positions::kAll || ends == (which == Positions::kBlockEnds);
}

double upper_quartile(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() * 3 / 4];
}

/// Relative errors of the golden positions that `which` names.
std::vector<double> position_errors(std::span<const float> got, const Golden& golden,
                                    Positions which) {
  if (got.size() != golden.logits.size()) return {std::numeric_limits<double>::infinity()};
  double largest = 0;
  for (const float w : golden.logits) largest = std::max(largest, std::fabs(double{w}));
  const size_t vocab = golden.logits.size() / golden.positions.size();
  std::vector<double> errors;
  for (size_t i = 0; i < golden.positions.size(); ++i) {
    if (!wanted(golden.positions[i], which)) continue;
    double error = 0;
    for (size_t j = i * vocab; j < (i + 1) * vocab; ++j) {
      error = std::max(error, std::isfinite(got[j]) ? std::fabs(double{got[j]} - golden.logits[j])
                                                    : std::numeric_limits<double>::infinity());
    }
    errors.push_back(error / largest);
  }
  return errors;
}

Measured compare_model(const Bench& bench, const fs::path& model, const Line& line,
                       Precision precision) {
  const bool exact = precision == Precision::kF32;
  const Golden golden = read_golden(model, set_name(precision), line.tokens);
  const auto n = static_cast<int64_t>(golden.tokens.size());
  const auto engine = bench.make(model, bench.settings(precision, n, 512));
  const auto session = engine->new_session();
  const auto vocab = static_cast<size_t>(engine->info().vocab_size);
  std::vector<float> got;
  auto next = golden.positions.begin();
  if (*next > 0) session->extend_to(std::span(golden.tokens).first(static_cast<size_t>(*next)));
  session->extend_to(golden.tokens, nullptr, [&](int64_t first, std::span<const float> rows) {
    for (size_t i = 0; i < rows.size() / vocab; ++i) {
      if (next == golden.positions.end() || *next != first + static_cast<int64_t>(i)) continue;
      const auto row = rows.subspan(i * vocab, vocab);
      got.insert(got.end(), row.begin(), row.end());
      ++next;
    }
  });
  std::vector<double> errors = position_errors(got, golden, line.positions);
  if (exact) return {*std::max_element(errors.begin(), errors.end()), kF32Bound};
  const std::vector<double> noise(golden.noise.begin(), golden.noise.end());
  return {upper_quartile(std::move(errors)), kF32Bound + kNoiseMargin * upper_quartile(noise)};
}

/// A model in f32, where faults are sharpest, if it has golden logits of that precision.
Check golden_check(const fs::path& models, const Line& line) {
  const fs::path model = models / (line.model ? line.model : line.name);
  Check check{line.name, {kBasic}, {}};
  check.mechanisms.insert(check.mechanisms.end(), line.mechanisms.begin(), line.mechanisms.end());
  check.run = [model, line](const Bench& bench) {
    const bool exact = has_golden(model, set_name(Precision::kF32));
    return compare_model(bench, model, line, exact ? Precision::kF32 : Precision::kReference);
  };
  return check;
}

/// All models in the precision that serves; the one nearest to its bound counts.
Measured compare_rounded(const Bench& bench, const fs::path& models) {
  Measured worst{0, kF32Bound};
  for (const Line& line : lines()) {
    const fs::path model = models / (line.model ? line.model : line.name);
    const Measured measured = compare_model(bench, model, line, Precision::kReference);
    if (measured.error / measured.bound > worst.error / worst.bound) worst = measured;
  }
  return worst;
}

/// Tokens drawn at the end of a text; `error` is the share of wrong ones.
Measured compare_draws(const Bench& bench, const fs::path& model) {
  const Golden golden = read_golden(model, set_name(Precision::kF32), 0);
  const auto n = static_cast<int64_t>(golden.tokens.size());
  const auto engine = bench.make(model, bench.settings(Precision::kF32, n + 1, 512));
  const auto session = engine->new_session();
  session->extend_to(golden.tokens);
  const std::vector<GoldenDraw> draws = read_draws(model);
  int wrong = 0;
  for (const GoldenDraw& draw : draws) {
    SamplingSettings sampling;
    sampling.temperature = draw.temperature;
    sampling.top_p = draw.top_p;
    sampling.seed = draw.seed;
    sampling.sequence = draw.sequence;
    wrong += session->sample(sampling) != draw.token;
  }
  return {static_cast<double>(wrong) / static_cast<double>(draws.size()), 0};
}

/// Rounds with two drafts by the MTP block; `error` is the share of rounds of another length. The
/// tokens would be right whatever the drafts are, so only this shows what the block guesses.
Measured compare_rounds(const Bench& bench, const fs::path& model) {
  const std::string set = set_name(Precision::kF32);
  const Golden golden = read_golden(model, set, 0);
  const std::vector<int64_t> rounds = read_rounds(model, set);
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
