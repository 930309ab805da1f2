// Drawing tokens on the GPU: what the host works out of settings and history, and the launches.
#include <algorithm>
#include <bit>
#include <string>

#include "engine/base/check.h"
#include "engine/base/error.h"
#include "engine/device/error.h"
#include "engine/ops/cuda/backend.h"
#include "engine/ops/sampling.h"

namespace ds4::ops::cuda {

template <class T>
const T* CudaBackend::upload(const std::vector<T>& values) {
  if (values.empty()) return nullptr;
  T* memory = arena_.take<T>(std::ssize(values));
  DS4_CUDA(cudaMemcpyAsync(memory, values.data(), values.size() * sizeof(T), cudaMemcpyHostToDevice,
                           stream_));
  return memory;
}

DrawRow CudaBackend::draw_row(const Draw& draw) {
  const SamplingSettings& settings = *draw.settings;
  check_sampling(settings, draw.logits.cols);
  DrawRow row;
  row.logits = floats(draw.logits);
  row.temperature = settings.temperature;
  row.top_p = settings.top_p;
  row.top_k = settings.top_k < draw.logits.cols ? settings.top_k : 0;
  row.least_weight = least_weight(settings.min_p);
  row.random = random_at(settings.seed, settings.sequence, draw.position);
  row.penalties = penalties_of(settings);
  const TokenChanges changes = token_changes(settings, draw.history, draw.logits.cols);
  row.changes = upload(changes.tokens);
  row.biases = upload(changes.biases);
  row.n_changes = static_cast<int>(changes.tokens.size());
  return row;
}

void CudaBackend::sample(std::span<const Draw> draws, std::span<TokenId> tokens) {
  while (!draws.empty()) {
    const size_t count = std::min<size_t>(draws.size(), kDrawRows);
    const Operation at = begin();
    DrawTask task;
    task.rows = static_cast<int>(count);
    task.vocab = draws.front().logits.cols;
    if (task.vocab > kMostVocabulary) {
      throw Error(ErrorCode::kCheckpoint,
                  "the CUDA back end draws from at most " + std::to_string(kMostVocabulary) +
                      " tokens; this vocabulary has " + std::to_string(task.vocab),
                  "Use the device cpu.");
    }
    task.id_bits = std::bit_width(static_cast<uint64_t>(task.vocab - 1));
    bool plain = true;
    bool cuts = false;
    for (size_t i = 0; i < count; ++i) {
      DS4_CHECK(draws[i].logits.cols == task.vocab);
      DrawRow& row = task.row[i] = draw_row(draws[i]);
      plain &= row.temperature == 0 && row.n_changes == 0;
      cuts |= row.temperature != 0 && (row.top_k > 0 || row.top_p < 1);
    }
    task.states = arena_.take<DrawState>(task.rows);
    DS4_CUDA(cudaMemsetAsync(task.states, 0, count * sizeof(DrawState), stream_));
    if (!plain) task.keys = arena_.take<uint64_t>(task.rows * task.vocab);
    if (cuts) {
      const int64_t bytes = draw_bins_bytes(task.rows);
      task.bins = arena_.take<uint64_t>(bytes / 8);
      DS4_CUDA(cudaMemsetAsync(task.bins, 0, static_cast<size_t>(bytes), stream_));
    }
    task.tokens = reinterpret_cast<int32_t*>(drawn_.data());
    draw(at, task);
    check_launches();
    stream_.wait();
    std::copy_n(task.tokens, count, tokens.begin());
    draws = draws.subspan(count);
    tokens = tokens.subspan(count);
  }
}

}  // namespace ds4::ops::cuda
