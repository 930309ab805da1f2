// The engine's traces: with itself exact, whatever the way they came about; with other formats and
// other experts near and further; through the protocol and the store unchanged.
#include <gtest/gtest.h>

#include "profiles/schema/profile.h"
#include "reports/store/store.h"
#include "reports/trace/summary.h"
#include "runners/protocol.h"
#include "runners/targets/registry.h"
#include "runners/trace_of.h"
#include "tests/support/command.h"
#include "tests/support/source_dir.h"
#include "tests/unit/runners/one_request.h"

namespace ds4::runners {
namespace {

const auto go_on = [](int64_t, int64_t) { return true; };

std::unique_ptr<Target> engine(const std::string& checkpoint, const std::string& kv_dtype,
                               int64_t sequences = 1) {
  profiles::Profile profile;
  profile.target = "engine";
  profile.checkpoint = (test_support::source_dir() / checkpoint).string();
  profile.engine.context_length = 500;
  profile.engine.prefill_chunk = 96;
  profile.engine.kv_dtype = kv_dtype;
  profile.engine.index_dtype = kv_dtype == "bf16" ? "bf16" : "fp4";
  profile.engine.sequences = sequences;
  auto target = make_target(profile);
  target->open([](const std::string&, const std::string&) {});
  return target;
}

// Two questions and a text of the suite.
std::vector<Request> requests(Target& target) {
  const suites::Suite& suite = *suites::find_suite("logits");
  suites::Parameters parameters = profiles::suite_definition(suite).defaults;
  parameters["questions"] = int64_t{2};
  parameters["texts"] = int64_t{1};
  parameters["lengths"] = std::vector<int64_t>{400};
  const suites::TokenCounter counter{[&](const Conversation& c) { return target.count_tokens(c); },
                                     true};
  std::vector<Request> requests;
  for (const suites::CaseSpec& spec : suite.plan(parameters)) {
    suites::Case made = suite.build(parameters, spec, counter);
    requests.push_back({made.conversation, made.raw, made.limits});
  }
  return requests;
}

std::vector<reports::Trace> traces(Target& target) {
  std::vector<reports::Trace> out;
  for (const Response& response : submit_all(target, requests(target), go_on)) {
    EXPECT_EQ(response.error, "");
    out.push_back(trace_of(response));
  }
  return out;
}

reports::TraceSummary compare(const std::vector<reports::Trace>& base,
                              const std::vector<reports::Trace>& now) {
  reports::TraceSummaryBuilder builder;
  for (size_t i = 0; i < base.size(); ++i) {
    builder.add(std::to_string(i), reports::compare_traces(base[i], now[i]));
  }
  return builder.take();
}

TEST(EngineTraces, AgreeWithThemselvesAndLieNearWithOtherFormats) {
  const auto target = engine("checkpoints/tiny", "fp8");
  const std::vector<reports::Trace> clean = traces(*target);
  ASSERT_EQ(clean.size(), 3u);
  EXPECT_TRUE(clean[0].prompt.empty());
  EXPECT_FALSE(clean[0].answer.empty());
  EXPECT_GT(clean[2].prompt.size(), 380u);
  EXPECT_EQ(clean[2].prompt[5].top.size(), 20u);

  const auto several = engine("checkpoints/tiny", "fp8", 3);
  const reports::TraceSummary same = compare(clean, traces(*several));
  EXPECT_EQ(same.kl.value, 0);
  EXPECT_EQ(same.max_delta, 0);
  EXPECT_EQ(same.top1.value, 1);
  EXPECT_EQ(same.equal_answers, 3) << "what follows the text is one too";

  const auto unrounded = engine("checkpoints/tiny", "bf16");
  const reports::TraceSummary near = compare(clean, traces(*unrounded));
  std::printf("bf16 rows: kl %.3g top1 %.4f ppl %.4f ratio %.4f\n", near.kl.value, near.top1.value,
              *near.base_perplexity, near.perplexity_ratio->value);
  EXPECT_GT(near.kl.value, 0);
  EXPECT_LT(near.kl.value, 0.01);
  EXPECT_GT(near.top1.value, 0.95);

  const auto pruned = engine("checkpoints/tiny:k18", "fp8");
  const reports::TraceSummary far = compare(clean, traces(*pruned));
  std::printf("k18: kl %.3g top1 %.4f ratio %.4f\n", far.kl.value, far.top1.value,
              far.perplexity_ratio->value);
  EXPECT_GT(far.kl.value, near.kl.value);
}

TEST(EngineTraces, GoThroughProtocolAndStoreAsTheyAre) {
  const auto target = engine("checkpoints/tiny", "fp8");
  const Response response = submit(*target, requests(*target).back(), go_on);
  AttemptMessage message;
  message.attempt.cell_key = "k";
  message.attempt.suite = "logits";
  message.attempt.case_id = "text";
  message.attempt.status = "ok";
  record_trace(message.attempt, response);
  ASSERT_EQ(message.attempt.samples.size(), 2u);
  EXPECT_EQ(message.attempt.samples[0].metric, "perplexity");
  EXPECT_GT(message.attempt.samples[0].value, 1);
  EXPECT_EQ(message.attempt.samples[1].metric, "perplexity_growth");

  auto decoded = std::get<AttemptMessage>(*decode(encode(message)));
  decoded.attempt.cell_key = "k";  // the supervisor knows the cell
  const test_support::TemporaryFolder folder;
  const auto store = reports::Store::open(folder.path() / "r.db");
  reports::RunRow run;
  run.id = "11111111-2222";
  run.resolved_profile = "{}";
  reports::CellRow cell;
  cell.key = "k";
  store->add_run(run, {cell});
  const int64_t with = store->add_attempt(run.id, decoded.attempt, std::nullopt);
  reports::AttemptRow bare = decoded.attempt;
  bare.trace.clear();
  bare.number = 2;
  const int64_t without = store->add_attempt(run.id, bare, std::nullopt);
  for (const reports::StoredAttempt& attempt : store->attempts(run.id, false)) {
    EXPECT_EQ(attempt.has_trace, attempt.id == with);
  }
  EXPECT_EQ(store->trace(without), "");
  const reports::Trace kept = reports::trace_from_json(store->trace(with), "it");
  const reports::CaseAgreement agreement = reports::compare_traces(kept, kept);
  EXPECT_EQ(agreement.positions.size(), kept.prompt.size() - 1 + kept.answer.size());
  EXPECT_LT(reports::compare_traces(trace_of(response), kept).max_delta, 1e-6);
  std::printf("%zu tokens with 20 beside each: %zu bytes of JSON\n",
              kept.prompt.size() + kept.answer.size(), decoded.attempt.trace.size());
}

}  // namespace
}  // namespace ds4::runners
