// How far two settings of the engine agree on the cases of a profile: greedy answers of the first,
// read again by the second, token by token. Devices against each other, FP8 against BF16 KV.
//   agreement PROFILE CHECKED TRUSTED      each DEVICE:KV, such as cuda:fp8 cpu:fp8
// By suite: answers whose every token the trusted side would have chosen too, places where both put
// the same token first, the divergence of the distributions, and each first parting with how close
// the two tokens were. Exit code 1 when a parting was no near tie.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <string>
#include <vector>

#include "engine/api/session.h"
#include "engine/api/text.h"
#include "engine/base/error.h"
#include "profiles/schema/profile.h"
#include "suites/suite.h"

namespace ds4 {
namespace {

/// A parting is a near tie when the trusted side gives the other token at least this share of its
/// own best token's chance.
constexpr double kNearTie = 0.5;

EngineSettings settings_of(const profiles::Profile& profile, const std::string& text) {
  EngineSettings settings;
  settings.context_length = profile.engine.context_length;
  settings.prefill_chunk = static_cast<int>(profile.engine.prefill_chunk);
  if (text == "cpu:fp8" || text == "cpu:bf16" || text == "cuda:fp8" || text == "cuda:bf16") {
    settings.device = text.starts_with("cuda") ? Device::kCuda : Device::kCpu;
    settings.kv_dtype = text.ends_with("fp8") ? KvDtype::kFp8 : KvDtype::kBf16;
    return settings;
  }
  throw Error(ErrorCode::kUsage, "`" + text + "` is no setting",
              "Use cpu:fp8, cpu:bf16, cuda:fp8 or cuda:bf16.");
}

size_t best_of(std::span<const float> logits) {
  return static_cast<size_t>(std::max_element(logits.begin(), logits.end()) - logits.begin());
}

double log_sum(std::span<const float> logits) {
  const double most = logits[best_of(logits)];
  double sum = 0;
  for (const float v : logits) sum += std::exp(v - most);
  return most + std::log(sum);
}

struct Tally {
  int64_t cases = 0;
  int64_t equal = 0;  // cases without a parting
  int64_t places = 0;
  int64_t same_first = 0;
  double divergence = 0;  // sum over places of KL(trusted || checked), nats
  double most_divergence = 0;
  double furthest = 0;  // largest difference of a logit over the largest logit of its place
  bool only_near_ties = true;

  void operator+=(const Tally& other) {
    cases += other.cases;
    equal += other.equal;
    places += other.places;
    same_first += other.same_first;
    divergence += other.divergence;
    most_divergence = std::max(most_divergence, other.most_divergence);
    furthest = std::max(furthest, other.furthest);
    only_near_ties &= other.only_near_ties;
  }
};

class Comparison {
 public:
  Comparison(const profiles::Profile& profile, const EngineSettings& checked,
             const EngineSettings& trusted)
      : tokenizer_(Tokenizer::load(profile.checkpoint)),
        checked_engine_(Engine::load(profile.checkpoint, checked)),
        trusted_engine_(Engine::load(profile.checkpoint, trusted)),
        checked_(checked_engine_->new_session()),
        trusted_(trusted_engine_->new_session()) {}

  std::vector<TokenId> encode(const Conversation& conversation) const {
    return tokenizer_->encode(render_prompt(conversation), AddedTokens::kParse);
  }

  Tally run(const suites::Case& c, const std::string& suite) {
    const std::vector<TokenId> prompt = encode(c.conversation);
    std::vector<TokenId> timeline = prompt;
    std::vector<float> logits;  // of the checked side, a row per token of the answer
    checked_->extend_to(prompt);
    while (static_cast<int64_t>(timeline.size() - prompt.size()) < c.limits.max_tokens) {
      const std::span<const float> row = checked_->logits();
      logits.insert(logits.end(), row.begin(), row.end());
      timeline.push_back(checked_->sample({}));
      if (timeline.back() == tokenizer_->eos()) break;
      checked_->append(timeline.back());
    }
    Tally tally;
    tally.cases = tally.equal = 1;
    const auto vocab = static_cast<size_t>(checked_engine_->info().vocab_size);
    const auto first = static_cast<int64_t>(prompt.size()) - 1;
    bool parted = false;
    const auto compare = [&](int64_t position, std::span<const float> theirs) {
      if (position < first) return;
      const auto place = static_cast<size_t>(position - first);
      const TokenId token = timeline[static_cast<size_t>(position) + 1];
      add(std::span(logits).subspan(place * vocab, vocab), theirs, tally);
      if (parted || best_of(theirs) == static_cast<size_t>(token)) return;
      parted = true;
      tally.equal = 0;
      const double behind = theirs[best_of(theirs)] - theirs[static_cast<size_t>(token)];
      tally.only_near_ties &= std::exp(-behind) >= kNearTie;
      std::printf(
          "  %s %s: token %zu of the answer, %s instead of %s, %.4f behind it (%.0f %% of its "
          "chance)%s\n",
          suite.c_str(), c.spec.id.c_str(), place + 1, text(token).c_str(),
          text(static_cast<TokenId>(best_of(theirs))).c_str(), behind, 100 * std::exp(-behind),
          std::exp(-behind) >= kNearTie ? "" : ": NO NEAR TIE");
    };
    trusted_->rewind(std::span(timeline).first(1));  // so that every place is computed here
    trusted_->extend_to(std::span(timeline).first(timeline.size() - 1), nullptr,
                        [&](int64_t position, std::span<const float> rows) {
                          for (size_t at = 0; at < rows.size(); at += vocab, ++position) {
                            compare(position, rows.subspan(at, vocab));
                          }
                        });
    return tally;
  }

 private:
  void add(std::span<const float> mine, std::span<const float> theirs, Tally& tally) const {
    const double my_sum = log_sum(mine);
    const double their_sum = log_sum(theirs);
    double divergence = 0;
    double off = 0;
    double most = 0;
    for (size_t i = 0; i < mine.size(); ++i) {
      const double log_p = theirs[i] - their_sum;
      divergence += std::exp(log_p) * (log_p - (mine[i] - my_sum));
      off = std::max(off, std::fabs(double{mine[i]} - theirs[i]));
      most = std::max(most, std::fabs(double{theirs[i]}));
    }
    ++tally.places;
    tally.same_first += best_of(mine) == best_of(theirs);
    tally.divergence += divergence;
    tally.most_divergence = std::max(tally.most_divergence, divergence);
    tally.furthest = std::max(tally.furthest, off / most);
  }

  std::string text(TokenId token) const { return "`" + tokenizer_->decode({&token, 1}) + "`"; }

  std::shared_ptr<const Tokenizer> tokenizer_;
  std::unique_ptr<Engine> checked_engine_, trusted_engine_;
  std::unique_ptr<Session> checked_, trusted_;
};

void print(const char* name, const Tally& t) {
  const auto n = static_cast<double>(t.places);
  std::printf("%-12s %6lld %8lld %8lld %11.4f%% %12.2e %12.2e %12.2e\n", name,
              static_cast<long long>(t.cases), static_cast<long long>(t.equal),
              static_cast<long long>(t.places), 100 * static_cast<double>(t.same_first) / n,
              t.divergence / n, t.most_divergence, t.furthest);
}

int compare(const profiles::Profile& profile, const std::string& checked,
            const std::string& trusted) {
  Comparison comparison(profile, settings_of(profile, checked), settings_of(profile, trusted));
  const suites::TokenCounter counter{
      [&](const Conversation& c) { return static_cast<int64_t>(comparison.encode(c).size()); },
      true};
  std::printf("%s against %s, greedy; first partings:\n", checked.c_str(), trusted.c_str());
  std::vector<std::pair<std::string, Tally>> suites;
  Tally all;
  for (const profiles::SuiteSection& section : profile.suites) {
    const suites::Suite& suite = *suites::find_suite(section.name);
    Tally tally;
    for (const suites::CaseSpec& spec : suite.plan(section.parameters)) {
      tally += comparison.run(suite.build(section.parameters, spec, counter), section.name);
    }
    suites.emplace_back(section.name, tally);
    all += tally;
  }
  std::printf("%-12s %6s %8s %8s %12s %12s %12s %12s\n", "suite", "cases", "equal", "tokens",
              "same first", "mean KL", "largest KL", "logits off");
  for (const auto& [name, tally] : suites) print(name.c_str(), tally);
  print("all", all);
  return all.only_near_ties ? 0 : 1;
}

}  // namespace
}  // namespace ds4

int main(int argc, char** argv) {
  if (argc != 4) {
    std::fprintf(stderr, "usage: agreement PROFILE CHECKED TRUSTED\n");
    return 2;
  }
  try {
    return ds4::compare(ds4::profiles::load_profile(argv[1]), argv[2], argv[3]);
  } catch (const ds4::Error& error) {
    std::fprintf(stderr, "agreement: %s\n  %s\n", error.what(), error.hint().c_str());
    return 2;
  }
}
