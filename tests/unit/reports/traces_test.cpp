// Traces and what two of them say of each other: bounds against exact sums in double on random
// distributions, hand-made traces, and mutated ones that must be found.
#include <gmock/gmock.h>

#include <cmath>
#include <random>

#include "engine/base/error.h"
#include "reports/trace/depth.h"
#include "reports/trace/divergence.h"
#include "reports/trace/summary.h"

namespace ds4::reports {
namespace {

using Distribution = std::vector<double>;

// Softmax of normal numbers times `sharpness`.
Distribution random_distribution(std::mt19937& random, size_t n, double sharpness) {
  std::normal_distribution<double> normal;
  Distribution p(n);
  double sum = 0;
  for (double& x : p) sum += x = std::exp(sharpness * normal(random));
  for (double& x : p) x /= sum;
  return p;
}

std::vector<Weighted> top_of(const Distribution& p, size_t k) {
  std::vector<Weighted> all;
  for (size_t i = 0; i < p.size(); ++i) all.push_back({static_cast<int>(i), std::log(p[i])});
  std::stable_sort(all.begin(), all.end(),
                   [](const auto& a, const auto& b) { return a.logprob > b.logprob; });
  all.resize(k);
  return all;
}

double exact_kl(const Distribution& p, const Distribution& q) {
  double sum = 0;
  for (size_t i = 0; i < p.size(); ++i) sum += p[i] * std::log(p[i] / q[i]);
  return sum;
}

double exact_js(const Distribution& p, const Distribution& q) {
  double sum = 0;
  for (size_t i = 0; i < p.size(); ++i) {
    const double m = (p[i] + q[i]) / 2;
    sum += p[i] * std::log2(p[i] / m) / 2 + q[i] * std::log2(q[i] / m) / 2;
  }
  return std::sqrt(sum);
}

TEST(Divergence, IsALowerBoundAndExactWhenAllIsKnown) {
  std::mt19937 random(7);
  int nearly = 0, n = 0;
  for (int round = 0; round < 300; ++round) {
    const size_t vocabulary = 5 + round % 60;
    const Distribution p = random_distribution(random, vocabulary, 0.5 + round % 5);
    Distribution q = random_distribution(random, vocabulary, 0.5 + round % 3);
    if (round % 2 == 0) {  // nearly the same, as two engines are
      for (size_t i = 0; i < vocabulary; ++i) q[i] = 0.99 * p[i] + 0.01 * q[i];
    }
    for (const size_t k : {size_t{1}, size_t{2}, vocabulary / 2, vocabulary - 1, vocabulary}) {
      const std::vector<Weighted> top_p = top_of(p, k), top_q = top_of(q, k);
      const Divergence d = divergence({top_p, nullptr}, {top_q, nullptr});
      EXPECT_GE(d.kl, 0);
      EXPECT_LE(d.kl, exact_kl(p, q) + 1e-9) << vocabulary << " " << k;
      EXPECT_LE(d.js, exact_js(p, q) + 1e-4) << vocabulary << " " << k;
      if (k == vocabulary) {
        EXPECT_NEAR(d.kl, exact_kl(p, q), 1e-9);
        EXPECT_NEAR(d.js, exact_js(p, q), 1e-7);
        EXPECT_EQ(d.overlap, 1);
      } else if (k + 1 == vocabulary && round % 2 == 0) {
        ++n;
        nearly += d.kl > 0.5 * exact_kl(p, q);
      }
    }
  }
  EXPECT_GT(nearly, n * 9 / 10) << "a bound that says nothing is none";
}

TEST(Divergence, KnowsWhatAListForbids) {
  // q lists token 1 at 0.5 and so gives token 0 at most 0.5; p gives it 0.9.
  const std::vector<Weighted> p = {{0, std::log(0.9)}}, q = {{1, std::log(0.5)}};
  const Divergence d = divergence({p, nullptr}, {q, nullptr});
  EXPECT_NEAR(d.kl, 0.9 * std::log(0.9 / 0.5) + 0.1 * std::log(0.1 / 0.5), 1e-9);
  EXPECT_EQ(d.overlap, 0);
  EXPECT_EQ(d.n_common, 0);
}

TEST(Divergence, TheTokenThatStandsThereIsKnownWithoutBeingListed) {
  const std::vector<Weighted> top = {{0, std::log(0.6)}};
  const Weighted own_p{1, std::log(0.3)}, own_q{1, std::log(0.1)};
  const Divergence with = divergence({top, &own_p}, {top, &own_q});
  EXPECT_NEAR(with.kl, 0.3 * std::log(3) + 0.1 * std::log(0.1 / 0.3), 1e-9);
  EXPECT_NEAR(with.max_delta, std::log(3), 1e-12);
  EXPECT_EQ(divergence({top, nullptr}, {top, nullptr}).kl, 0);
}

// Servers put the token that stands there at the end of the list: what is not listed may still have
// as much as the one before it.
TEST(Divergence, ATokenAddedToTheListBoundsNothing) {
  std::mt19937 random(11);
  for (int round = 0; round < 200; ++round) {
    const Distribution p = random_distribution(random, 30, 1),
                       q = random_distribution(random, 30, 1);
    std::vector<Weighted> top_p = top_of(p, 5), top_q = top_of(q, 5);
    const int token = top_of(q, 30).back().token;
    const Weighted own_p{token, std::log(p[static_cast<size_t>(token)])};
    const Weighted own_q{token, std::log(q[static_cast<size_t>(token)])};
    top_q.push_back(own_q);
    EXPECT_LE(divergence({top_p, &own_p}, {top_q, &own_q}).kl, exact_kl(p, q) + 2e-6);
  }
}

// Tokens "a" to "z"; position i holds letter text[i], with the log-probability -1 - i / 10 and the
// letter before it in the alphabet as the next likeliest, a nat behind.
Trace letters(const std::string& prompt, const std::string& answer, bool ids = true) {
  TraceBuilder builder;
  const auto entry = [&](char c) { return builder.entry(ids ? c - 'a' : -1, std::string(1, c)); };
  const auto positions = [&](const std::string& text, bool prompt_part) {
    std::vector<Trace::Position> out;
    for (size_t i = 0; i < text.size(); ++i) {
      const double p = -1 - static_cast<double>(i) / 10;
      Trace::Position at{entry(text[i]), p, {}};
      if (prompt_part && i == 0) {
        at.logprob.reset();
      } else {
        at.top = {{at.entry, p}, {entry(static_cast<char>(text[i] - 1)), p - 1}};
      }
      out.push_back(at);
    }
    return out;
  };
  std::vector<Trace::Position> p = positions(prompt, true), a = positions(answer, false);
  Trace trace = builder.take();
  trace.prompt = std::move(p);
  trace.answer = std::move(a);
  return trace;
}

TEST(Agreement, OfATraceWithItselfIsExact) {
  const Trace trace = letters("hello", "world");
  const CaseAgreement same = compare_traces(trace, trace);
  EXPECT_EQ(same.positions.size(), 9u);  // nothing is told of the first token of a prompt
  EXPECT_EQ(same.forks, 0);
  EXPECT_EQ(same.common_answer, 5);
  EXPECT_EQ(same.max_delta, 0);
  for (const PositionPair& pair : same.positions) {
    EXPECT_EQ(pair.kl, 0);
    EXPECT_EQ(pair.js, 0);
    EXPECT_EQ(pair.overlap, 1);
  }
  EXPECT_EQ(same.remark, "");
}

TEST(Agreement, TokensWithoutIdsAreMatchedByText) {
  const CaseAgreement same =
      compare_traces(letters("hello", "world"), letters("hello", "world", false));
  EXPECT_EQ(same.forks, 0);
  EXPECT_EQ(same.positions.size(), 9u);
}

TEST(Agreement, AnAnswerIsComparedUpToItsFork) {
  const CaseAgreement found = compare_traces(letters("hello", "world"), letters("hello", "worse"));
  EXPECT_EQ(found.common_answer, 3);
  EXPECT_EQ(found.positions.size(), 4u + 4u) << "with the fork and nothing behind it";
  ASSERT_TRUE(found.first_fork);
  EXPECT_EQ(found.first_fork->position, 8);
  EXPECT_EQ(found.first_fork->base, "l");
  EXPECT_EQ(found.first_fork->now, "s");
  EXPECT_NEAR(found.first_fork->margin(), 1, 1e-9);
  EXPECT_EQ(found.forks, 1);
  EXPECT_EQ(found.low_margin_forks, 0);
  EXPECT_GT(found.positions.back().kl, 0.1);
}

TEST(Agreement, PromptsOfOtherTokensEndWhereTheyPart) {
  const CaseAgreement found = compare_traces(letters("hello", "a"), letters("help", "a"));
  EXPECT_EQ(found.positions.size(), 2u);
  EXPECT_THAT(found.remark, testing::HasSubstr("from position 3 on"));
  EXPECT_EQ(found.common_answer, 0);
}

// Every mutation of a trace is seen, at the place where it is.
TEST(Agreement, MutatedTracesAreFound) {
  const Trace trace = letters("abcdefghij", "klmno");
  for (size_t i = 1; i < trace.prompt.size(); ++i) {
    Trace moved = trace;
    *moved.prompt[i].logprob -= 0.01;
    moved.prompt[i].top[0].logprob -= 0.01;
    const CaseAgreement found = compare_traces(trace, moved);
    EXPECT_NEAR(found.max_delta, 0.01, 1e-9);
    EXPECT_EQ(found.forks, 0);
    for (const PositionPair& pair : found.positions) {
      EXPECT_EQ(pair.kl > 0, pair.position == static_cast<int64_t>(i)) << pair.position;
    }
    Trace turned = trace;
    std::swap(turned.prompt[i].top[0].entry, turned.prompt[i].top[1].entry);
    const CaseAgreement fork = compare_traces(trace, turned);
    ASSERT_TRUE(fork.first_fork);
    EXPECT_EQ(fork.first_fork->position, static_cast<int64_t>(i));
  }
}

TEST(Traces, GoThroughJsonWithBytesThatAreNoText) {
  TraceBuilder builder;
  const int sea = builder.entry(7, " sea"), half = builder.entry(9, "\xf0\x9f");
  EXPECT_EQ(builder.entry(7, " sea"), sea);
  Trace trace = builder.take();
  trace.prompt = {{sea, std::nullopt, {}}, {half, -2.5, {{sea, -0.125}, {half, -2.5}}}};
  trace.answer = {{sea, -0.000001, {}}};
  EXPECT_EQ(trace_from_json(trace_to_json(trace), "it"), trace);
  trace.answer[0].logprob = -INFINITY;
  EXPECT_EQ(trace_from_json(trace_to_json(trace), "it").answer[0].logprob, kLeastLogprob);
}

TEST(Traces, DamagedOnesAreRefusedByName) {
  for (const char* text :
       {"", "[]", "{}", R"({"format":"ds4-trace-2"})",
        R"({"format":"ds4-trace-1","vocabulary":[],"prompt":[[0,-1]],"answer":[]})",
        R"({"format":"ds4-trace-1","vocabulary":[[1,"a"]],"prompt":[[0,1.5]],"answer":[]})",
        R"({"format":"ds4-trace-1","vocabulary":[[1,[300]]],"prompt":[],"answer":[]})",
        R"({"format":"ds4-trace-1","vocabulary":[[1,"a"]],"prompt":[[0,-1,[0]]],"answer":[]})"}) {
    try {
      trace_from_json(text, "the trace of attempt 3");
      ADD_FAILURE() << text;
    } catch (const Error& e) {
      EXPECT_THAT(e.what(), testing::HasSubstr("the trace of attempt 3"));
    }
  }
}

TEST(Depth, RangesDoubleAndTheLastIsNotShort) {
  const auto ends = [](int64_t n) {
    std::vector<int64_t> out;
    for (const DepthRange& range : depth_ranges(n)) out.push_back(range.end);
    return out;
  };
  EXPECT_THAT(ends(100), testing::ElementsAre(100));
  EXPECT_THAT(ends(255), testing::ElementsAre(255));
  EXPECT_THAT(ends(256), testing::ElementsAre(128, 256));
  EXPECT_THAT(ends(1024), testing::ElementsAre(128, 256, 512, 1024));
  EXPECT_THAT(ends(1100), testing::ElementsAre(128, 256, 512, 1100));
}

TEST(Depth, GrowthTellsAFlatTextFromALostOne) {
  std::vector<AtDepth> flat, lost;
  for (int64_t i = 1; i < 2048; ++i) {
    flat.push_back({i, i < 128 ? -2.0 : -1.0});
    lost.push_back({i, i < 128 ? -2.0 : i < 1024 ? -1.0 : -1.7});
  }
  EXPECT_NEAR(*perplexity_growth(flat), 1, 1e-9);
  EXPECT_NEAR(*perplexity_growth(lost), std::exp(0.7), 1e-9);
  EXPECT_NEAR(*perplexity(flat), std::exp((127 * 2.0 + 1920) / 2047), 1e-9);
  EXPECT_FALSE(perplexity({}));
  EXPECT_FALSE(perplexity_growth(std::span(flat).first(100)));
}

TEST(Summary, SumsByPositionAndDrawsByCase) {
  TraceSummaryBuilder builder;
  builder.add("a", compare_traces(letters("hello", "world"), letters("hello", "worse")));
  builder.add("b", compare_traces(letters("sea", "side"), letters("sea", "side")));
  const TraceSummary s = builder.take();
  EXPECT_EQ(s.n_positions, 8 + 6);
  EXPECT_NEAR(s.top1.value, 13.0 / 14, 1e-12);
  ASSERT_TRUE(s.top1.interval);
  EXPECT_NEAR(s.top1.interval->lo, 7.0 / 8, 1e-12);
  EXPECT_EQ(s.top1.interval->hi, 1);
  EXPECT_EQ(s.answers, 2);
  EXPECT_EQ(s.equal_answers, 1);
  EXPECT_EQ(s.mean_common_answer, 3.5);
  EXPECT_NEAR(s.perplexity_ratio->value, 1, 1e-12);
  EXPECT_NEAR(*s.base_perplexity, std::exp((1.1 + 1.2 + 1.3 + 1.4 + 1.1 + 1.2) / 6), 1e-9);
  ASSERT_EQ(s.depths.size(), 1u);
  EXPECT_EQ(s.depths[0].n, 14);
}

}  // namespace
}  // namespace ds4::reports
