// The embedded engine as a target: renders and tokenises requests and runs their sessions, up to
// engine.sequences at a time.
#include <algorithm>
#include <optional>

#include "engine/api/checkpoints.h"
#include "engine/api/session.h"
#include "engine/base/clock.h"
#include "engine/base/error.h"
#include "runners/engine_settings.h"
#include "runners/targets/engine_answer.h"
#include "runners/targets/load_watch.h"
#include "runners/targets/registry.h"

namespace ds4::runners {
namespace {

class EngineTarget final : public Target {
 public:
  explicit EngineTarget(const profiles::Profile& profile) : profile_(profile) {}

  Capabilities open(const OnPhase& on_phase) override {
    if (profile_.checkpoint.empty()) {
      throw Error(ErrorCode::kProfile,
                  profile_.path.string() + ": no `checkpoint` for target `engine`",
                  "Add `checkpoint = \"DIR\"`.");
    }
    on_phase("load", "");
    const EngineSettings settings = engine_settings(profile_.engine);
    const std::filesystem::path checkpoint = resolve_checkpoint(profile_.checkpoint);
    tokenizer_ = Tokenizer::load(checkpoint);
    release_ = release_of_checkpoint(checkpoint).value_or(Release::kApril);
    engine_ = Engine::load_watched(checkpoint, settings, [&](int64_t done, int64_t total) {
      const std::string detail = load_.told(done, total, monotonic_seconds());
      if (!detail.empty()) on_phase("load", detail);
    });
    for (int64_t i = 0; i < profile_.engine.sequences; ++i) {
      sessions_.push_back(engine_->new_session());
    }
    on_phase("capture", "");  // first touch of the weights; not part of any case
    const TokenId warm_up[] = {std::max<TokenId>(0, tokenizer_->bos())};
    for (const auto& session : sessions_) session->extend_to(warm_up);
    return {.exact_token_counts = true,
            .tools = true,
            .thinking = true,
            .raw_prompts = true,
            .logprobs = true,
            .prompt_logprobs = true,
            .description = "embedded engine, " + profile_.engine.device + ", " +
                           std::to_string(engine_->info().n_layers) + " layers"};
  }

  int64_t count_tokens(const Conversation& conversation) override {
    return static_cast<int64_t>(encode(conversation).size());
  }

  void run(Work& work) override {
    std::vector<std::unique_ptr<EngineAnswer>> active;
    while (true) {
      while (active.size() < sessions_.size()) {
        std::optional<Work::Item> item = work.next(/*wait=*/active.empty());
        if (!item) break;
        if (auto answer = admit(work, std::move(*item), active))
          active.push_back(std::move(answer));
      }
      if (active.empty()) return;
      pass(active);
      for (const auto& answer : active) {
        if (answer->finished()) answer->deliver();
      }
      std::erase_if(active, [](const auto& answer) { return answer->finished(); });
    }
  }

  // All of it and each owner's part. What is wrong with the checkpoint is open()'s to tell.
  std::vector<probes::Sample> plan() override try {
    if (profile_.checkpoint.empty()) return {};
    const MemoryEstimate planned =
        estimate_memory(resolve_checkpoint(profile_.checkpoint), engine_settings(profile_.engine));
    const bool cuda = profile_.engine.device == "cuda";
    const std::string metric = cuda ? "planned_device_memory" : "planned_memory";
    std::vector<probes::Sample> samples = {
        {metric, static_cast<double>(planned.total_bytes()), 0, ""}};
    for (const MemoryEstimate::Part& part : planned.parts) {
      if (part.bytes == 0) continue;
      samples.push_back({metric, static_cast<double>(part.bytes), 0, part.owner});
    }
    return samples;
  } catch (const Error&) {
    return {};
  }

  std::vector<probes::Sample> observe() override {
    const bool cuda = profile_.engine.device == "cuda";
    std::vector<probes::Sample> samples;
    if (cuda) {
      samples.push_back({"device_memory", static_cast<double>(gpu_memory_in_use()), 0, ""});
      const GpuMemory gpu = gpu_memory();
      if (!gpu.shared) {
        samples.push_back({"device_capacity", static_cast<double>(gpu.total_bytes), 0, ""});
      }
    }
    if (load_.rate() > 0) samples.push_back({"load_rate", load_.rate(), 0, "load"});
    return samples;
  }

  void close() override {
    sessions_.clear();
    engine_.reset();
  }

 private:
  std::vector<TokenId> encode(const Conversation& conversation) const {
    return tokenizer_->encode(render_prompt(conversation, release_), AddedTokens::kParse);
  }
  std::vector<TokenId> encode(const Request& request) const {
    if (!request.raw) return encode(request.conversation);
    if (!request.raw->tokens.empty()) return request.raw->tokens;
    return tokenizer_->encode(request.raw->text, AddedTokens::kParse);
  }

  // The answer in a session that no other has; none when the request cannot be answered, which the
  // work is then told. The clock starts with the tokens: rendering and encoding are outside.
  std::unique_ptr<EngineAnswer> admit(Work& work, Work::Item item,
                                      const std::vector<std::unique_ptr<EngineAnswer>>& active) {
    Response refused;
    refused.failure = Failure::kRefused;
    const int64_t id = item.id;
    try {
      std::vector<TokenId> tokens = encode(item.request);
      refused.prompt_tokens = std::ssize(tokens);
      refused.error = fit(item.request.limits, refused.prompt_tokens);
      if (refused.error.empty()) {
        const auto free = std::find_if(sessions_.begin(), sessions_.end(), [&](const auto& s) {
          return std::none_of(active.begin(), active.end(),
                              [&](const auto& answer) { return &answer->session() == s.get(); });
        });
        return std::make_unique<EngineAnswer>(work, std::move(item), std::move(tokens), **free,
                                              tokenizer_);
      }
    } catch (const Error& e) {
      if (e.code() != ErrorCode::kUsage) throw;
      refused.error = std::string(e.what()) + ". " + e.hint();
    }
    work.done(id, std::move(refused));
    return nullptr;
  }

  // Settles how long an answer may be behind such a prompt; why there can be none, or "".
  std::string fit(suites::GenerationLimits& limits, int64_t length) const {
    const int64_t context = profile_.engine.context_length;
    const std::string prompt = "the prompt of " + std::to_string(length) + " tokens";
    const std::string rest = " engine.context_length " + std::to_string(context) + "; raise it";
    if (limits.max_tokens == suites::kAsManyAsFit) {
      limits.max_tokens = context - length;
      return length < context ? "" : prompt + " leaves no room in" + rest;
    }
    if (limits.max_tokens <= context - length) return "";
    return prompt + " and max_tokens " + std::to_string(limits.max_tokens) + " exceed" + rest;
  }

  // A round of every answer that is being written, and beside them a part of the prompt that has
  // waited longest.
  void pass(const std::vector<std::unique_ptr<EngineAnswer>>& active) {
    std::vector<EngineAnswer*> writing;
    std::vector<EngineAnswer*> reading;
    for (const auto& answer : active) {
      if (!answer->finished()) (answer->reading() ? reading : writing).push_back(answer.get());
    }
    std::vector<Engine::Round> rounds;
    for (EngineAnswer* answer : writing) rounds.push_back(answer->round());
    std::vector<Engine::Addition> part;
    if (!reading.empty() && reading.front()->tells_prompt()) {
      reading.front()->read_telling();
    } else if (!reading.empty()) {
      // As much as fits: a mixture of experts reads nearly all its weights for a small part too, so
      // that small parts would keep the others waiting longer in all.
      const int64_t rows = std::ssize(rounds) * (1 + engine_->settings().draft_tokens);
      part.push_back(reading.front()->part(engine_->max_rows() - rows));
    }
    if (!rounds.empty() || !part.empty()) engine_->pass(rounds, part);
    for (size_t i = 0; i < writing.size(); ++i) writing[i]->take(rounds[i]);
    for (EngineAnswer* answer : reading) answer->prompt_at();
  }

  profiles::Profile profile_;
  std::shared_ptr<const Tokenizer> tokenizer_;
  Release release_ = Release::kApril;
  std::unique_ptr<Engine> engine_;
  std::vector<std::unique_ptr<Session>> sessions_;  // engine.sequences of them
  LoadWatch load_;
};

}  // namespace

std::unique_ptr<Target> make_engine_target(const profiles::Profile& profile) {
  return std::make_unique<EngineTarget>(profile);
}

}  // namespace ds4::runners
