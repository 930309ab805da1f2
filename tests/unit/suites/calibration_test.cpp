// Sizes of long prompts where the target only estimates but says afterwards what it was given.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "suites/common/calibration.h"
#include "suites/needle/challenge.h"
#include "support.h"
#include "tests/support/odd_tokenizer.h"

namespace ds4::suites {
namespace {

constexpr int64_t kTemplate = 9;

int64_t truth(const Conversation& conversation) {
  return test_support::odd_tokens(joined_text(conversation)) + kTemplate;
}

struct Asked {
  int64_t requests = 0, tokens = 0;
};

// Estimates as the http target does, and may be asked what is true.
TokenCounter estimating(Asked& asked) {
  return {[](const Conversation& c) { return std::llround(joined_text(c).size() / 4.3) + 20; },
          false,
          [&asked](const Conversation& c) {
            ++asked.requests;
            asked.tokens += truth(c);
            return truth(c);
          }};
}

double size_error(const Suite& suite, const Parameters& parameters, const CaseSpec& spec,
                  Asked& asked) {
  const Case made = suite.build(parameters, spec, estimating(asked));
  const double length = std::stod(spec.tags.at("length"));
  return (static_cast<double>(truth(made.conversation)) - length) / length;
}

TEST(Calibration, NeedlesOfEveryFormAreWithinTheTolerance) {
  const Suite& suite = *find_suite("needle");
  Parameters parameters = default_parameters("needle");
  std::vector<std::string> variants = published_variants();
  variants.insert(variants.end(), {"distractors", "single", "digits"});
  parameters["variants"] = variants;
  parameters["residues"] = std::vector<int64_t>{0};
  parameters["depths"] = std::vector<double>{0.5};
  parameters["samples"] = std::vector<int64_t>{1};
  for (const int64_t length : {4096, 16384, 65536, 186392}) {
    parameters["lengths"] = std::vector<int64_t>{length};
    for (const CaseSpec& spec : suite.plan(parameters)) {
      Asked asked;
      const double error = size_error(suite, parameters, spec, asked);
      // Thousands of different keys and values: a sample of them is what it is.
      const bool many = spec.tags.at("filler") == "facts" && length > kWholeSample;
      const double line =
          12.0 / static_cast<double>(length);  // nothing shorter is added or left out
      EXPECT_LE(std::abs(error), many ? 0.01 : std::max(kSizeTolerance, line)) << spec.id;
      EXPECT_LE(asked.requests, length <= kWholeSample ? 4 : 2) << spec.id;
      if (length > kWholeSample) {
        EXPECT_LE(asked.tokens, length / 3) << spec.id;
      }
    }
  }
}

// The estimate alone misses by several hundredths: without asking, the test above would fail.
TEST(Calibration, TheEstimateAloneIsFarOff) {
  const Suite& suite = *find_suite("needle");
  Parameters parameters = default_parameters("needle");
  parameters["lengths"] = std::vector<int64_t>{8192};
  const CaseSpec spec = suite.plan(parameters).at(0);
  Asked asked;
  TokenCounter silent = estimating(asked);
  silent.measure = nullptr;
  const double tokens =
      static_cast<double>(truth(suite.build(parameters, spec, silent).conversation));
  EXPECT_GT(std::abs(tokens / 8192 - 1), 0.02);
  silent.measure = [](const Conversation&) { return -1; };
  EXPECT_EQ(truth(suite.build(parameters, spec, silent).conversation), tokens)
      << "one that states nothing changes nothing";
}

TEST(Calibration, FilesAndSpeedTextsAreWithinTheTolerance) {
  for (const char* name : {"speed", "long_code"}) {
    const Suite& suite = *find_suite(name);
    Parameters parameters = default_parameters(name);
    parameters["lengths"] = std::vector<int64_t>{16384, 182112};
    if (parameters.contains("samples") &&
        std::holds_alternative<int64_t>(parameters.at("samples"))) {
      parameters["samples"] = int64_t{2};
      parameters["kinds"] = std::vector<std::string>{"past_end", "none"};
      parameters["style"] = std::string("instructed");
    } else {
      parameters["samples"] = std::vector<int64_t>{1};
    }
    for (const CaseSpec& spec : suite.plan(parameters)) {
      Asked asked;
      // A file may be a function short; the sample of long code is an eighth.
      const double allowed = std::string(name) == "speed" ? kSizeTolerance : 0.005;
      EXPECT_LE(std::abs(size_error(suite, parameters, spec, asked)), allowed) << spec.id;
      EXPECT_LE(asked.tokens, 5 * 16384);
    }
  }
}

TEST(Calibration, AnExactCounterIsNotAsked) {
  Asked asked;
  TokenCounter exact = word_counter();
  exact.measure = estimating(asked).measure;
  const Suite& suite = *find_suite("needle");
  const Parameters parameters = default_parameters("needle");
  suite.build(parameters, suite.plan(parameters).at(0), exact);
  EXPECT_EQ(asked.requests, 0);
}

// It always states the same, or whatever comes to its mind: a bounded number of questions.
TEST(Calibration, AServerThatLiesIsAskedAFewTimesOnly) {
  const Suite& suite = *find_suite("needle");
  Parameters parameters = default_parameters("needle");
  parameters["lengths"] = std::vector<int64_t>{2048};
  for (const int64_t stated : {int64_t{1}, int64_t{50}, int64_t{0}, int64_t{-7}, int64_t{4000}}) {
    Asked asked;
    TokenCounter liar = estimating(asked);
    liar.measure = [&](const Conversation&) {
      ++asked.requests;
      return stated;
    };
    try {
      const Case made = suite.build(parameters, suite.plan(parameters).at(0), liar);
      EXPECT_LT(joined_text(made).size(), 1u << 22);
    } catch (const std::exception&) {
      // No text of that length by its counts: said, not hung.
    }
    EXPECT_LE(asked.requests, 4);
  }
}

}  // namespace
}  // namespace ds4::suites
