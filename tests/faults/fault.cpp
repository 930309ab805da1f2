#include "tests/faults/fault.h"

#include "engine/session/engine.h"

namespace ds4::faults {

const char* seam_name(Seam seam) {
  switch (seam) {
    case Seam::kWeights:
      return "weights";
    case Seam::kOperations:
      return "operations";
    case Seam::kSession:
      return "session";
  }
  return "";
}

namespace {

/// Hands out spoiled sessions.
class FaultyEngine final : public Engine {
 public:
  FaultyEngine(std::unique_ptr<Engine> inner, Fault fault)
      : inner_(std::move(inner)), fault_(std::move(fault)) {}

  const ModelInfo& info() const override { return inner_->info(); }
  const EngineSettings& settings() const override { return inner_->settings(); }
  std::unique_ptr<Session> new_session() override {
    return fault_.wrap_session(inner_->new_session());
  }
  void pass(std::span<Round> rounds, std::span<const Addition> additions) override {
    for (Round& round : rounds) {
      round.tokens =
          round.session->decode(*round.sampling, round.max_tokens, round.stops, round.drawn);
    }
    for (const Addition& addition : additions) {
      for (const TokenId token : addition.tokens) addition.session->append(token);
    }
  }
  int64_t max_rows() const override { return inner_->max_rows(); }

 private:
  std::unique_ptr<Engine> inner_;
  Fault fault_;
};

void add(std::vector<Fault>& all, std::vector<Fault> more) {
  std::move(more.begin(), more.end(), std::back_inserter(all));
}

}  // namespace

EngineFactory faulty(const Fault& fault) {
  return [fault](const std::filesystem::path& checkpoint,
                 const EngineSettings& wanted) -> std::unique_ptr<Engine> {
    EngineSettings settings = wanted;
    weights::ModelWeights weights = weights::load_weights(checkpoint);
    if (fault.spoil) fault.spoil(weights, settings);
    auto backend = ops::make_cpu_backend(settings.threads, settings.precision);
    if (fault.wrap_operations) {
      backend = fault.wrap_operations(std::move(backend), {weights.config, settings.precision});
    }
    auto engine = std::make_unique<session::LoadedEngine>(
        std::move(weights), read_model_info(checkpoint), settings, std::move(backend));
    if (!fault.wrap_session) return engine;
    return std::make_unique<FaultyEngine>(std::move(engine), fault);
  };
}

std::vector<Fault> all_faults() {
  std::vector<Fault> all;
  add(all, format_faults());
  add(all, parameter_faults());
  add(all, attention_faults());
  add(all, compressed_row_faults());
  add(all, expert_faults());
  add(all, state_faults());
  return all;
}

}  // namespace ds4::faults
