// The embedded engine as a target: renders, tokenises, runs the session, parses. The only harness
// file that includes the engine's interface for inference.
#include <algorithm>
#include <optional>

#include "engine/api/checkpoints.h"
#include "engine/api/session.h"
#include "engine/base/clock.h"
#include "engine/base/error.h"
#include "runners/engine_settings.h"
#include "runners/targets/registry.h"

namespace ds4::runners {
namespace {

constexpr float kNever = -1000;  // the bias of a token that must not be drawn

class EngineTarget final : public Target {
 public:
  explicit EngineTarget(const profiles::Profile& profile) : profile_(profile) {}

  Capabilities open(const std::function<void(const std::string&)>& on_phase) override {
    if (profile_.checkpoint.empty()) {
      throw Error(ErrorCode::kProfile,
                  profile_.path.string() + ": no `checkpoint` for target `engine`",
                  "Add `checkpoint = \"DIR\"`.");
    }
    on_phase("load");
    const EngineSettings settings = engine_settings(profile_.engine);
    const std::filesystem::path checkpoint = resolve_checkpoint(profile_.checkpoint);
    tokenizer_ = Tokenizer::load(checkpoint);
    release_ = release_of_checkpoint(checkpoint).value_or(Release::kApril);
    planned_bytes_ = estimate_memory(checkpoint, settings).total_bytes();
    engine_ = Engine::load(checkpoint, settings);
    session_ = engine_->new_session();
    on_phase("warm-up");  // first touch of the weights; not part of any case
    const TokenId warm_up[] = {std::max<TokenId>(0, tokenizer_->bos())};
    session_->extend_to(warm_up);
    return {.exact_token_counts = true,
            .tools = true,
            .thinking = true,
            .description = "embedded engine, " + profile_.engine.device + ", " +
                           std::to_string(engine_->info().n_layers) + " layers"};
  }

  int64_t count_tokens(const Conversation& conversation) override {
    return static_cast<int64_t>(encode(conversation).size());
  }

  Response submit(const Request& request,
                  const std::function<bool(int64_t, int64_t)>& on_progress) override {
    Response response;
    std::vector<TokenId> tokens = encode(request.conversation);
    response.prompt_tokens = static_cast<int64_t>(tokens.size());
    if (response.prompt_tokens + request.limits.max_tokens > profile_.engine.context_length) {
      response.error = "the prompt of " + std::to_string(response.prompt_tokens) +
                       " tokens and max_tokens " + std::to_string(request.limits.max_tokens) +
                       " exceed engine.context_length " +
                       std::to_string(profile_.engine.context_length) + "; raise it";
      return response;
    }
    // Timed window: from handing over the tokens to the last token; rendering, encoding and parsing
    // are outside.
    const double start = monotonic_seconds();
    const auto elapsed = [&] { return monotonic_seconds() - start; };
    const bool complete = session_->extend_to(
        tokens, [&](int64_t tokens_done) { return on_progress(tokens_done, 0); });
    response.cached_tokens = session_->reused();
    response.answer.finish_reason =
        complete ? decode(request, elapsed, on_progress, response) : "cancelled";
    response.end_s = elapsed();
    const ParsedCompletion parsed =
        parse_completion(response.answer.text, request.conversation.thinking, ParseMode::kTolerant);
    response.answer.reasoning = parsed.reasoning;
    response.answer.content = parsed.content;
    response.answer.tool_calls = parsed.tool_calls;
    return response;
  }

  std::vector<probes::Sample> observe() override {
    const bool cuda = profile_.engine.device == "cuda";
    return {{cuda ? "planned_device_memory" : "planned_memory", static_cast<double>(planned_bytes_),
             0, ""}};
  }

  void close() override {
    session_.reset();
    engine_.reset();
  }

 private:
  std::vector<TokenId> encode(const Conversation& conversation) const {
    return tokenizer_->encode(render_prompt(conversation, release_), AddedTokens::kParse);
  }

  // Decodes until EOS, a stop string, the limit or a cancel; returns the finish reason.
  template <typename Elapsed>
  std::string decode(const Request& request, const Elapsed& elapsed,
                     const std::function<bool(int64_t, int64_t)>& on_progress, Response& response) {
    SamplingSettings sampling = sampling_settings(request.limits);
    if (request.limits.ignore_end) sampling.logit_bias.push_back({tokenizer_->eos(), kNever});
    StopStrings stops(request.limits.ignore_end ? std::vector<std::string>{}
                                                : request.limits.sampling.stop);
    StreamDecoder stream(tokenizer_);
    std::string& text = response.answer.text;
    const TokenId eos[] = {tokenizer_->eos()};
    std::string finish = request.limits.max_tokens < 1 ? "length" : "";
    // Takes a token into the answer; false when it is the last.
    const auto take = [&](TokenId token) {
      ++response.completion_tokens;
      if (token == eos[0]) {
        finish = "stop";
        return false;
      }
      text += stops.push(stream.push(token));
      if (stops.stopped()) {
        finish = "stop";
      } else if (!on_progress(response.prompt_tokens, response.completion_tokens)) {
        finish = "cancelled";
      } else if (response.completion_tokens == request.limits.max_tokens) {
        finish = "length";
      }
      return finish.empty();
    };
    while (finish.empty()) {
      // A token has arrived when it is drawn, a pass before it is computed. The round draws it
      // again, to the same result, and may add drafts.
      const TokenId drawn = session_->sample(sampling);
      response.events.push_back({elapsed(), 1});
      if (!take(drawn)) break;
      const int64_t left = request.limits.max_tokens - response.completion_tokens;
      const std::vector<TokenId> round = session_->decode(sampling, 1 + left, eos);
      if (round.size() == 1) continue;
      TokenEvent drafts{elapsed(), 0};
      for (size_t i = 1; i < round.size() && finish.empty(); ++i) {
        ++drafts.n_tokens;
        take(round[i]);
      }
      response.events.push_back(drafts);
    }
    if (!response.events.empty()) response.first_token_s = response.events.front().time_s;
    text += stops.push(stream.finish());
    text += stops.finish();
    add_samples(session_->draft_counts(), elapsed(), response);
    return finish;
  }

  static void add_samples(const DraftCounts& counts, double time_s, Response& response) {
    if (counts.rounds == 0 || counts.drafted.empty()) return;
    const auto add = [&](const std::string& metric, double value) {
      response.samples.push_back({metric, value, time_s, "decode"});
    };
    const auto rounds = static_cast<double>(counts.rounds);
    double kept = 0;
    for (size_t i = 0; i < counts.drafted.size(); ++i) {
      const auto accepted = static_cast<double>(counts.accepted[i]);
      kept += accepted;
      if (counts.drafted[i] > 0) {
        add("acceptance_rate_" + std::to_string(i + 1),
            accepted / static_cast<double>(counts.drafted[i]));
      }
    }
    add("decode_rounds", rounds);
    add("acceptance_length", (rounds + kept) / rounds);
  }

  profiles::Profile profile_;
  std::shared_ptr<const Tokenizer> tokenizer_;
  Release release_ = Release::kApril;
  std::unique_ptr<Engine> engine_;
  std::unique_ptr<Session> session_;
  int64_t planned_bytes_ = 0;
};

}  // namespace

std::unique_ptr<Target> make_engine_target(const profiles::Profile& profile) {
  return std::make_unique<EngineTarget>(profile);
}

}  // namespace ds4::runners
