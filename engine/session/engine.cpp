#include "engine/session/engine.h"

#include <algorithm>
#include <string>

#include "engine/base/error.h"
#include "engine/ops/cuda/estimate.h"
#include "engine/session/memory.h"
#include "engine/weights/model_info.h"

namespace ds4 {

std::unique_ptr<Engine> Engine::load(const std::filesystem::path& checkpoint,
                                     const EngineSettings& settings) {
  return load_watched(checkpoint, settings, nullptr);
}

std::unique_ptr<Engine> Engine::load_watched(const std::filesystem::path& checkpoint,
                                             const EngineSettings& settings,
                                             const LoadProgress& progress) {
  weights::OpenedModel opened = weights::open_model(checkpoint);
  ModelInfo info = weights::model_info(opened);
  session::check_settings(settings, info);
  auto backend = settings.device == Device::kCuda
                     ? ops::make_cuda_backend(settings.precision, settings.residency)
                     : ops::make_cpu_backend(settings.threads, settings.precision);
  const session::MemoryPlan plan = session::plan_memory(opened, settings);
  session::check_free_memory(plan.estimate, settings.device);
  backend->reserve(plan.pieces, plan.scratch);
  weights::ModelWeights weights =
      backend->load(std::move(opened), settings.draft_tokens > 0, progress);
  return std::make_unique<session::LoadedEngine>(std::move(weights), std::move(info), settings,
                                                 std::move(backend));
}

std::string gpu_name() {
  return ops::cuda_device_name();
}

int64_t gpu_memory_in_use() {
  return ops::cuda_used_bytes();
}

GpuMemory gpu_memory() {
  GpuMemory memory = ops::cuda_memory();
  // Asking has made the context, which is a little smaller on some GPUs.
  memory.free_bytes = std::min(memory.total_bytes, memory.free_bytes + ops::kCudaContextBytes);
  return memory;
}

namespace session {

void check_settings(const EngineSettings& settings, const ModelInfo& info) {
  const auto refuse = [](const std::string& what, const std::string& hint) {
    throw Error(ErrorCode::kUsage, what, hint);
  };
  if (settings.context_length < 1 || settings.context_length > info.context_limit) {
    refuse("context_length is " + std::to_string(settings.context_length) +
               "; the model takes 1 to " + std::to_string(info.context_limit),
           "Choose a length in that range.");
  }
  if (settings.prefill_chunk < 1 || settings.prefill_chunk > 1 << 20) {
    refuse("prefill_chunk is " + std::to_string(settings.prefill_chunk) + "; 1 to 1048576 work",
           "512 is a good start.");
  }
  if (settings.sequences < 1 || settings.sequences > 64) {
    refuse("sequences is " + std::to_string(settings.sequences) + "; 1 to 64 work",
           "1 is enough for one conversation at a time.");
  }
  if (settings.draft_tokens != 0 && info.most_drafts == 0) {
    refuse("draft_tokens is " + std::to_string(settings.draft_tokens) +
               ", but the checkpoint has no MTP blocks to draft with",
           "Leave it at 0, or take a checkpoint with mtp.* tensors.");
  }
  if (settings.draft_tokens < 0 || settings.draft_tokens > info.most_drafts) {
    refuse("draft_tokens is " + std::to_string(settings.draft_tokens) + "; 0 to " +
               std::to_string(info.most_drafts) + " work with this checkpoint",
           "0 decodes without guesses.");
  }
  if (settings.residency != Residency::kDevice && settings.device != Device::kCuda) {
    refuse("residency is about the memory of a GPU; the device is cpu",
           "Leave it at device, or choose the device cuda.");
  }
  if (settings.threads < 0 || settings.threads > 1024) {
    refuse("threads is " + std::to_string(settings.threads) + "; 1 to 1024 work, 0 means all",
           "Leave it at 0.");
  }
}

LoadedEngine::LoadedEngine(weights::ModelWeights weights, ModelInfo info,
                           const EngineSettings& settings, std::unique_ptr<ops::Backend> backend)
    : weights_(std::move(weights)),
      info_(std::move(info)),
      settings_(settings),
      backend_(std::move(backend)),
      forward_(std::make_unique<model::Forward>(
          weights_, *backend_, batch_rows(settings),
          model::make_drafter(weights_, *backend_, settings, batch_rows(settings)))) {}

std::unique_ptr<Session> LoadedEngine::new_session() {
  if (sessions_ == settings_.sequences) {
    throw Error(ErrorCode::kUsage,
                "the engine was loaded for " + std::to_string(sessions_) + " session" +
                    (sessions_ == 1 ? "" : "s") + " at a time and has as many",
                "Raise EngineSettings::sequences; the memory plan follows it.");
  }
  return std::make_unique<TimelineSession>(*this);
}

}  // namespace session
}  // namespace ds4
