// How often drafts are kept under two tests: equality with the common-random-number draw, which the
// engine uses, and rejection with min(1, p/q). Both probabilities are computed, not sampled, from
// the model's and the draft's distributions at each place of answers that the model itself gave.
//   draft_acceptance PROFILE [CASES_PER_SUITE]
// docs/decisions/0006-draft-test.md has the figures.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "engine/cache/kv_cache.h"
#include "engine/model/forward.h"
#include "engine/ops/sampling.h"
#include "engine/weights/weights.h"
#include "profiles/schema/profile.h"
#include "suites/suite.h"

namespace ds4 {
namespace {

constexpr int kDepth = 3;
constexpr int kMostTokens = 48;
constexpr int kCapacity = 512;

std::vector<double> distribution(std::span<const float> logits, double temperature) {
  const size_t best =
      static_cast<size_t>(std::max_element(logits.begin(), logits.end()) - logits.begin());
  std::vector<double> p(logits.size(), 0);
  if (temperature == 0) {
    p[best] = 1;
    return p;
  }
  double total = 0;
  for (size_t i = 0; i < p.size(); ++i) {
    total += p[i] = std::exp((logits[i] - logits[best]) / temperature);
  }
  for (double& x : p) x /= total;
  return p;
}

// Probability that one uniform number picks the same token from both.
double same_draw(const std::vector<double>& p, const std::vector<double>& q) {
  double below_p = 0, below_q = 0, same = 0;
  for (size_t i = 0; i < p.size(); ++i) {
    const double begin = std::max(below_p, below_q);
    below_p += p[i];
    below_q += q[i];
    same += std::max(0.0, std::min(below_p, below_q) - begin);
  }
  return same;
}

// Probability that a draft from q survives min(1, p/q).
double survives(const std::vector<double>& p, const std::vector<double>& q) {
  double sum = 0;
  for (size_t i = 0; i < p.size(); ++i) sum += std::min(p[i], q[i]);
  return sum;
}

struct Rule {
  double accepted[kDepth] = {};  // sums over places, given that the drafts before are right
  double kept = 0;               // expected drafts of a round
};

struct Tally {
  int64_t places = 0;
  Rule same, rejection;
};

class Experiment {
 public:
  explicit Experiment(const std::filesystem::path& checkpoint)
      : tokenizer_(Tokenizer::load(checkpoint)),
        weights_(weights::load_weights(checkpoint)),
        backend_(ops::make_cpu_backend(0, Precision::kReference)) {
    settings_.draft_tokens = kDepth;
    settings_.context_length = 4096;
    settings_.prefill_chunk = kCapacity;
    forward_ = std::make_unique<model::Forward>(
        weights_, *backend_, kCapacity,
        model::make_drafter(weights_, *backend_, settings_, kCapacity));
  }

  const Tokenizer& tokenizer() const { return *tokenizer_; }

  // Adds the places of the answer to `prompt`.
  void measure(const std::vector<TokenId>& prompt, double temperature, uint64_t seed,
               Tally& tally) {
    SamplingSettings sampling;
    sampling.temperature = temperature;
    sampling.seed = seed;
    // The answer first, without drafts: row i is the model's distribution of answer[i].
    const cache::KvCache cache(*backend_, cache::plan_cache(weights_.config, settings_));
    model::DraftMemory memory = forward_->drafter()->new_memory();
    std::vector<TokenId> timeline;
    std::vector<std::vector<double>> p;
    std::vector<TokenId> answer;
    std::vector<float> logits = run(prompt, timeline, cache, memory);
    while (answer.size() < kMostTokens) {
      p.push_back(distribution(logits, temperature));
      answer.push_back(ops::sample_token(logits, static_cast<int64_t>(timeline.size()), sampling));
      if (answer.back() == tokenizer_->eos()) break;
      logits = run({&answer.back(), 1}, timeline, cache, memory);
    }
    // Then again, asking at each place for drafts that follow the answer.
    timeline.clear();
    run(prompt, timeline, cache, memory);
    for (size_t i = 0; i + kDepth < answer.size(); ++i) {
      std::vector<std::vector<double>> q;
      const auto draw = [&](std::span<const model::Guess> guesses) {
        const ops::Floats row = guesses.front().logits;
        q.push_back(distribution(backend_->read_floats(row, row.cols), temperature));
        return std::vector{answer[i + q.size()]};
      };
      const model::Proposal proposal{timeline, answer[i], kDepth, &memory};
      forward_->propose({&proposal, 1}, draw);
      add(p, q, i, tally);
      run({&answer[i], 1}, timeline, cache, memory);
    }
  }

 private:
  std::vector<float> run(std::span<const TokenId> tokens, std::vector<TokenId>& timeline,
                         const cache::KvCache& cache, model::DraftMemory& memory) {
    int last = 0;
    while (!tokens.empty()) {
      const auto part = tokens.first(std::min<size_t>(tokens.size(), kCapacity));
      const model::SequenceRows rows{part, static_cast<int64_t>(timeline.size()), &cache, &memory};
      forward_->run({&rows, 1});
      timeline.insert(timeline.end(), part.begin(), part.end());
      tokens = tokens.subspan(part.size());
      last = static_cast<int>(part.size()) - 1;
    }
    const auto logits = forward_->logits(last, 1);
    return {logits.begin(), logits.end()};
  }

  static void add(const std::vector<std::vector<double>>& p,
                  const std::vector<std::vector<double>>& q, size_t place, Tally& tally) {
    ++tally.places;
    double all_same = 1, all_survive = 1;
    for (size_t d = 0; d < q.size(); ++d) {
      const double same = same_draw(p[place + 1 + d], q[d]);
      const double survive = survives(p[place + 1 + d], q[d]);
      tally.same.accepted[d] += same;
      tally.rejection.accepted[d] += survive;
      tally.same.kept += all_same *= same;
      tally.rejection.kept += all_survive *= survive;
    }
  }

  std::shared_ptr<const Tokenizer> tokenizer_;
  const weights::ModelWeights weights_;
  std::unique_ptr<ops::Backend> backend_;
  EngineSettings settings_;
  std::unique_ptr<model::Forward> forward_;
};

void print(const char* rule, const Rule& sums, int64_t places) {
  const auto n = static_cast<double>(places);
  std::printf("  %-10s", rule);
  for (const double sum : sums.accepted) std::printf(" %.4f", sum / n);
  std::printf("  tokens a round %.4f\n", 1 + sums.kept / n);
}

void run_experiment(const profiles::Profile& profile, size_t most_cases) {
  Experiment experiment(profile.checkpoint);
  for (const double temperature : {0.0, 0.7, 1.0, 2.0}) {
    Tally tally;
    int64_t answers = 0;
    for (const profiles::SuiteSection& section : profile.suites) {
      const suites::Suite& suite = *suites::find_suite(section.name);
      const auto encode = [&](const Conversation& conversation) {
        return experiment.tokenizer().encode(render_prompt(conversation), AddedTokens::kParse);
      };
      const suites::TokenCounter counter{
          [&](const Conversation& c) { return static_cast<int64_t>(encode(c).size()); }, true};
      const auto specs = suite.plan(section.parameters);
      // Spread over the suite's cases, which come sorted by length and kind.
      const size_t step = std::max<size_t>(1, specs.size() / most_cases);
      for (size_t i = 0; i < specs.size(); i += step) {
        const suites::Case c = suite.build(section.parameters, specs[i], counter);
        experiment.measure(encode(c.conversation), temperature, i, tally);
        ++answers;
      }
    }
    std::printf("temperature %.1f: %lld answers, %lld places; drafts 1 to %d\n", temperature,
                static_cast<long long>(answers), static_cast<long long>(tally.places), kDepth);
    print("same draw", tally.same, tally.places);
    print("min(1,p/q)", tally.rejection, tally.places);
  }
}

}  // namespace
}  // namespace ds4

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fprintf(stderr, "usage: draft_acceptance PROFILE [CASES_PER_SUITE]\n");
    return 2;
  }
  ds4::run_experiment(ds4::profiles::load_profile(argv[1]),
                      argc > 2 ? std::strtoul(argv[2], nullptr, 10) : 10);
}
