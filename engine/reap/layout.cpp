#include "engine/reap/layout.h"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "engine/weights/containers/safetensors_writer.h"

namespace ds4::reap {
namespace {

using nlohmann::json;
using weights::Dtype;

// The order of data in official shards; types they do not use follow.
int rank_of(Dtype dtype) {
  constexpr Dtype kOrder[] = {Dtype::kI64,    Dtype::kF32,    Dtype::kBF16,
                              Dtype::kF8E8M0, Dtype::kF8E4M3, Dtype::kI8};
  const auto found = std::find(std::begin(kOrder), std::end(kOrder), dtype);
  return found != std::end(kOrder)
             ? static_cast<int>(found - kOrder)
             : static_cast<int>(std::size(kOrder) + static_cast<size_t>(dtype));
}

// `__metadata__` of a header, or nothing; the tensors are dropped while parsing.
std::string metadata_of(const weights::SafetensorsFile& file) {
  const auto keep = [](int depth, json::parse_event_t event, json& parsed) {
    return depth != 1 || event != json::parse_event_t::key || parsed == "__metadata__";
  };
  const json header = json::parse(file.header(), keep);
  const auto found = header.find("__metadata__");
  return found == header.end() ? "" : found->dump();
}

std::string header_of(const std::vector<OutputTensor>& tensors,
                      const weights::SafetensorsFile& source) {
  std::vector<weights::TensorHeader> headers;
  for (const OutputTensor& tensor : tensors) {
    headers.push_back({tensor.name, tensor.source->dtype, tensor.shape, tensor.begin, tensor.end});
  }
  return weights::safetensors_header(headers, metadata_of(source));
}

// What becomes of one tensor; without a source when it goes.
OutputTensor kept_tensor(const weights::TensorRef& tensor,
                         const std::map<std::string, const Cut*, std::less<>>& cuts) {
  OutputTensor out{.name = tensor.name, .shape = tensor.shape, .source = &tensor};
  const auto parts = parse_moe_name(tensor.name);
  if (!parts) return out;
  const auto found = cuts.find(parts->block);
  if (found == cuts.end()) return out;  // a tensor the model does not know
  const Cut& cut = *found->second;
  out.cut = &cut;
  switch (parts->part) {
    case MoeName::Part::kExpert: {
      const int place = cut.place_of(parts->expert);
      if (place < 0) return {};
      out.name =
          cut.name + ".ffn.experts." + std::to_string(place) + "." + std::string(parts->rest);
      return out;
    }
    case MoeName::Part::kGateWeight:
    case MoeName::Part::kGateBias:
      // Only an unused tensor (a bias in a hash layer) can have another shape.
      if (tensor.shape.empty() || tensor.shape[0] != cut.n_experts) return out;
      out.change = OutputTensor::Change::kRows;
      out.shape[0] = static_cast<int64_t>(cut.kept.size());
      return out;
    case MoeName::Part::kTable:
      if (cut.hashed) out.change = OutputTensor::Change::kTable;
      return out;
  }
  return out;
}

int64_t bytes_of(const OutputTensor& tensor) {
  if (tensor.change != OutputTensor::Change::kRows) return tensor.source->bytes();
  return tensor.source->bytes() / tensor.source->shape[0] * tensor.shape[0];
}

}  // namespace

std::vector<OutputShard> lay_out(const weights::Checkpoint& source, const std::vector<Cut>& cuts) {
  std::map<std::string, const Cut*, std::less<>> by_name;
  for (const Cut& cut : cuts) by_name.emplace(cut.name, &cut);
  std::map<const weights::SafetensorsFile*, std::vector<OutputTensor>> by_file;
  for (const weights::TensorRef& tensor : source.tensors()) {
    OutputTensor out = kept_tensor(tensor, by_name);
    if (out.source) by_file[tensor.file].push_back(std::move(out));
  }
  std::vector<OutputShard> shards;
  for (auto& [file, tensors] : by_file) {
    std::sort(tensors.begin(), tensors.end(), [](const OutputTensor& a, const OutputTensor& b) {
      const int rank_a = rank_of(a.source->dtype);
      const int rank_b = rank_of(b.source->dtype);
      return rank_a != rank_b ? rank_a < rank_b : a.name < b.name;
    });
    int64_t at = 0;
    for (OutputTensor& tensor : tensors) {
      tensor.begin = at;
      tensor.end = at += bytes_of(tensor);
    }
    OutputShard shard{.file = file->path().filename().string(),
                      .source_bytes = file->file_bytes(),
                      .header = header_of(tensors, *file),
                      .tensors = std::move(tensors)};
    shards.push_back(std::move(shard));
  }
  std::sort(shards.begin(), shards.end(),
            [](const OutputShard& a, const OutputShard& b) { return a.file < b.file; });
  return shards;
}

}  // namespace ds4::reap
