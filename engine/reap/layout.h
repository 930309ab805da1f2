// What a pruned checkpoint's shards hold: each output tensor with its place and origin, and the
// header text. From headers alone; moving the bytes is prune.cpp's business.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/reap/blocks.h"
#include "engine/weights/checkpoint.h"

namespace ds4::reap {

struct OutputTensor {
  enum class Change { kNone, kRows, kTable };  // as it is; rows of kept experts; remapped
  std::string name;
  std::vector<int64_t> shape;
  int64_t begin = 0;  // bytes in the shard's data section
  int64_t end = 0;
  const weights::TensorRef* source = nullptr;
  Change change = Change::kNone;
  const Cut* cut = nullptr;  // of a changed tensor
};

struct OutputShard {
  std::string file;                   // the source shard's name
  int64_t source_bytes = 0;           // of the source shard, header included
  std::string header;                 // length, JSON and padding, as they begin the file
  std::vector<OutputTensor> tensors;  // in the order of their data, without gaps

  int64_t tensor_bytes() const { return tensors.empty() ? 0 : tensors.back().end; }
  int64_t file_bytes() const { return static_cast<int64_t>(header.size()) + tensor_bytes(); }
};

/// One shard per source shard that keeps a tensor, ordered by name; tensors in the official order
/// (model.md 2.1: I64, F32, BF16, F8_E8M0, F8_E4M3, I8, then by name). `cuts` must outlive the
/// result. Throws Error(kCheckpoint).
std::vector<OutputShard> lay_out(const weights::Checkpoint& source, const std::vector<Cut>& cuts);

}  // namespace ds4::reap
