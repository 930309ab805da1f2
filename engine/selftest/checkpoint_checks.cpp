// Checks of a checkpoint that somebody names: the golden run that lies beside its weights, if there
// is one, and what must hold of every checkpoint.
#include <algorithm>
#include <cmath>
#include <limits>

#include "engine/selftest/golden.h"

namespace ds4::selftest {
namespace fs = std::filesystem;
namespace {

// Formats that a checkpoint was trained with move its logits by a few per cent (tests/golden,
// "noise"); a wrong mechanism in one of the two precisions by tens.
constexpr double kPrecisionBound = 0.3;
const std::string kPrefix = "checkpoint ";
constexpr size_t kPrecisionTokens = 160;  // across a block of 128

fs::path golden_path(const fs::path& checkpoint) {
  return checkpoint / "selftest" / kGoldenName;
}

/// The answer of the golden text, decoded greedily behind its prompt; `error` is the share of wrong
/// tokens.
Measured compare_answer(const Bench& bench, const fs::path& checkpoint) {
  const Golden golden = read_golden(golden_path(checkpoint), Precision::kReference);
  const auto begin = static_cast<size_t>(read_answer_begin(golden_path(checkpoint)));
  const std::span<const TokenId> text(golden.tokens);
  const std::span<const TokenId> answer = text.subspan(begin);
  const auto engine =
      bench.make(checkpoint, bench.settings(Precision::kReference, std::ssize(text) + 1, 512));
  const auto session = engine->new_session();
  session->extend_to(text.first(begin));
  size_t wrong = 0;
  for (const TokenId expected : answer) {
    const TokenId token = session->sample({});
    wrong += token != expected;
    session->append(token);
  }
  return {static_cast<double>(wrong) / static_cast<double>(answer.size()), 0};
}

/// Logits [n, vocab] of a text.
std::vector<float> logits_of(const Bench& bench, const fs::path& checkpoint, Precision precision,
                             std::span<const TokenId> text) {
  const auto engine = bench.make(checkpoint, bench.settings(precision, std::ssize(text), 512));
  std::vector<float> logits;
  engine->new_session()->extend_to(text, nullptr, [&](int64_t, std::span<const float> rows) {
    logits.insert(logits.end(), rows.begin(), rows.end());
  });
  return logits;
}

/// The precision that serves beside f32: the middle of the positions' relative errors.
Measured compare_precisions(const Bench& bench, const fs::path& checkpoint) {
  const int64_t vocab = read_model_info(checkpoint).vocab_size;
  std::vector<TokenId> text;
  for (size_t i = 0; i < kPrecisionTokens; ++i) {
    text.push_back(static_cast<TokenId>(static_cast<int64_t>(7919 * i + i * i) % vocab));
  }
  const std::vector<float> got = logits_of(bench, checkpoint, Precision::kReference, text);
  const std::vector<float> want = logits_of(bench, checkpoint, Precision::kF32, text);
  std::vector<double> errors;
  const auto width = static_cast<size_t>(vocab);
  for (size_t i = 0; i < text.size(); ++i) {
    errors.push_back(relative_error(std::span(got).subspan(i * width, width),
                                    std::span(want).subspan(i * width, width)));
  }
  const auto middle = errors.begin() + std::ssize(errors) / 2;
  std::nth_element(errors.begin(), middle, errors.end());
  return {*middle, kPrecisionBound};
}

}  // namespace

bool has_golden_run(const fs::path& checkpoint) {
  std::error_code ignored;
  return fs::exists(golden_path(checkpoint), ignored);
}

Check structure_check(const fs::path& checkpoint) {
  return {kPrefix + "structure", {}, [checkpoint](const Bench& bench) {
            bench.make(checkpoint, bench.settings(Precision::kReference, 64, 64));
            return Measured{};
          }};
}

std::vector<Check> checkpoint_checks(const fs::path& checkpoint) {
  std::vector<Check> checks;
  const auto add = [&](const char* name, std::function<Measured(const Bench&)> run) {
    checks.push_back({kPrefix + name, {}, std::move(run)});
  };
  if (has_golden_run(checkpoint)) {
    const auto golden = [&](Precision precision) {
      return [checkpoint, precision](const Bench& bench) {
        return compare_golden(bench, checkpoint, read_golden(golden_path(checkpoint), precision));
      };
    };
    add("logits", golden(Precision::kF32));
    add("rounded", golden(Precision::kReference));
    add("answer", [checkpoint](const Bench& bench) { return compare_answer(bench, checkpoint); });
  }
  add("precisions",
      [checkpoint](const Bench& bench) { return compare_precisions(bench, checkpoint); });
  const bool drafts = read_model_info(checkpoint).most_drafts > 0;
  for (Check& check : promise_checks(checkpoint, kPrefix, drafts)) {
    checks.push_back(std::move(check));
  }
  return checks;
}

}  // namespace ds4::selftest
