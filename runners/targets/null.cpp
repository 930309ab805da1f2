// The null target answers at once with one token: what is measured is the harness itself.
#include "engine/base/clock.h"
#include "runners/targets/byte_count.h"
#include "runners/targets/registry.h"

namespace ds4::runners {
namespace {

class NullTarget final : public OneAtATime {
 public:
  Capabilities open(const OnPhase&) override {
    return {.exact_token_counts = true,
            .tools = true,
            .thinking = true,
            .raw_prompts = true,
            .description = "null target: no model"};
  }

  int64_t count_tokens(const Conversation& conversation) override {
    return count_bytes(conversation);
  }

  Response submit(Work& work, const Work::Item& item) override {
    const double start = monotonic_seconds();
    Response response;
    response.prompt_tokens = count_bytes(item.request);
    const bool go_on = work.progress(item.id, response.prompt_tokens, 0);
    response.answer.finish_reason = go_on ? "stop" : "cancelled";
    response.completion_tokens = 1;
    response.first_token_s = monotonic_seconds() - start;
    response.events.push_back({response.first_token_s, 1});
    response.end_s = monotonic_seconds() - start;
    return response;
  }

  std::vector<probes::Sample> observe() override { return {}; }
  void close() override {}
};

}  // namespace

std::unique_ptr<Target> make_null_target(const profiles::Profile&) {
  return std::make_unique<NullTarget>();
}

}  // namespace ds4::runners
