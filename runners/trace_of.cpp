#include "runners/trace_of.h"

#include "reports/trace/depth.h"

namespace ds4::runners {
namespace {

std::vector<reports::Trace::Position> positions_of(reports::TraceBuilder& builder,
                                                   const std::vector<TokenLogprob>& tokens) {
  std::vector<reports::Trace::Position> positions;
  for (const TokenLogprob& token : tokens) {
    reports::Trace::Position position{builder.entry(token.token, token.text), token.logprob, {}};
    for (const TokenLogprob::Likely& likely : token.top) {
      position.top.push_back({builder.entry(likely.token, likely.text), likely.logprob});
    }
    positions.push_back(std::move(position));
  }
  return positions;
}

}  // namespace

reports::Trace trace_of(const Response& response) {
  reports::TraceBuilder builder;
  std::vector<reports::Trace::Position> prompt = positions_of(builder, response.prompt_logprobs);
  std::vector<reports::Trace::Position> answer = positions_of(builder, response.logprobs);
  reports::Trace trace = builder.take();
  trace.prompt = std::move(prompt);
  trace.answer = std::move(answer);
  return trace;
}

void record_trace(reports::AttemptRow& attempt, const Response& response) {
  const reports::Trace trace = trace_of(response);
  if (trace.empty()) return;
  attempt.trace = reports::trace_to_json(trace);
  const std::vector<reports::AtDepth> tokens = reports::told_tokens(trace);
  const auto sample = [&](const char* metric, const std::optional<double>& value) {
    if (value) attempt.samples.push_back({metric, *value, response.end_s, "prefill"});
  };
  sample("perplexity", reports::perplexity(tokens));
  sample("perplexity_growth", reports::perplexity_growth(tokens));
}

}  // namespace ds4::runners
