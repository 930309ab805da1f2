// What both forms of drafting share: the memory of a sequence and its plan.
#include "engine/model/drafter.h"

#include <algorithm>

#include "engine/base/check.h"
#include "engine/model/draft_forms.h"

namespace ds4::model {
namespace {

// Behind the window a few more rows stay, so that rejected drafts, which write ahead, cost nothing.
int64_t reach_of(const weights::ModelConfig& config) {
  return config.sliding_window + cache::kDraftRows;
}

// A DSpark block writes its own rows ahead of the timeline.
int64_t slots_of(const weights::ModelConfig& config) {
  return reach_of(config) + config.dspark_block_size;
}

int64_t state_cols(const weights::ModelConfig& config) {
  return int64_t{config.hc_mult} * config.hidden_size;
}

bool is_dspark(const weights::ModelConfig& config) {
  return config.dspark_block_size > 0;
}

}  // namespace

void DraftMemory::go_back(int64_t length) {
  if (length >= end) return;
  end = length;
  begin = std::min(begin, end);
  // The pair of the last position holds the token behind it, which may be another one now.
  paired = std::min(paired, std::max<int64_t>(length - 1, 0));
}

void DraftMemory::computed(int64_t first, int n) {
  go_back(first);
  if (first > end) begin = paired = first;
  end = first + n;
  begin = std::max(begin, end - reach);
}

DraftBytes drafter_bytes(const weights::ModelConfig& config, int blocks,
                         const EngineSettings& settings, int capacity, int value_bytes) {
  if (settings.draft_tokens == 0) return {};
  DraftBytes bytes;
  bytes.sequence = blocks * slots_of(config) * cache::raw_layout(config, settings).bytes();
  if (is_dspark(config)) {
    bytes.engine = capacity * value_bytes * config.hidden_size *
                   static_cast<int64_t>(config.dspark_target_layer_ids.size());
  } else {
    bytes.sequence += slots_of(config) * state_cols(config) * value_bytes;
  }
  return bytes;
}

DraftMemory new_draft_memory(ops::Backend& backend, const weights::ModelConfig& config, int blocks,
                             const EngineSettings& settings) {
  const int value_bytes = backend.value_bytes();
  DraftMemory memory;
  memory.slots = slots_of(config);
  memory.reach = reach_of(config);
  memory.buffer = backend.allocate(
      drafter_bytes(config, blocks, settings, /*capacity=*/0, value_bytes).sequence);
  std::byte* next = memory.buffer.data.get();
  if (!is_dspark(config)) {
    memory.states = {next, state_cols(config)};
    next += memory.slots * memory.states.cols * value_bytes;
  }
  const ops::RowLayout layout = cache::raw_layout(config, settings);
  for (int block = 0; block < blocks; ++block) {
    memory.raw.push_back({layout, memory.slots, next});
    next += memory.slots * layout.bytes();
  }
  return memory;
}

Pass with_rows(const Pass& pass, Workspace& at, ops::Segments segments) {
  return {pass.ops, pass.config, at, pass.plain_frequencies, pass.yarn_frequencies, segments};
}

Workspace from_row(const Workspace& at, int row, int value_bytes) {
  Workspace shifted = at;
  for (ops::Values* values : {&shifted.h, &shifted.x}) {
    values->data += row * values->cols * value_bytes;
  }
  for (ops::Floats* floats : {&shifted.mix, &shifted.plain_angles}) {
    floats->data += row * floats->cols * 4;
  }
  return shifted;
}

void copy_rows(ops::Backend& ops, Direction direction, ops::Values values, int row,
               ops::Values ring, int64_t slots, int64_t first, int n) {
  const int64_t bytes = values.cols * ops.value_bytes();
  std::vector<ops::Copy> copies;
  for (int64_t done = 0; done < n;) {
    const int64_t slot = (first + done) % slots;
    const int64_t count = std::min(n - done, slots - slot);
    std::byte* there = ring.data + slot * bytes;
    std::byte* here = values.data + (row + done) * bytes;
    if (direction == Direction::kToRing) {
      copies.push_back({here, there, count * bytes});
    } else {
      copies.push_back({there, here, count * bytes});
    }
    done += count;
  }
  ops.copy(copies);
}

std::unique_ptr<Drafter> make_drafter(const weights::ModelWeights& weights, ops::Backend& backend,
                                      const EngineSettings& settings, int capacity) {
  if (settings.draft_tokens == 0) return nullptr;
  DS4_CHECK(weights.mtp || weights.dspark, "drafts without MTP blocks");
  if (weights.mtp) return make_classic_drafter(weights, backend, settings);
  return make_dspark_drafter(weights, backend, settings, capacity);
}

}  // namespace ds4::model
