// Walks the tensors of a model in the order of model.md 2.1 and fills ModelWeights; with
// ReadMode::kHeaders the same walk only checks. Private to load.cpp and structure.cpp.
#pragma once

#include <string>

#include "engine/weights/config.h"
#include "engine/weights/structure.h"
#include "engine/weights/tensor_reader.h"
#include "engine/weights/weights.h"

namespace ds4::weights {

/// All members throw Error(kCheckpoint) naming file and tensor.
class ModelBuilder {
 public:
  ModelBuilder(const ModelConfig& config, TensorReader* reader)
      : config_(config), reader_(*reader) {}

  /// Everything but MTP.
  ModelWeights backbone();
  /// The flavour by tensor names; throws when mtp tensors fit neither.
  MtpFlavour mtp_flavour() const;
  ClassicMtp classic_mtp();
  Dspark dspark();

 private:
  HyperConnection hyper_connection(const std::string& prefix);
  HeadMix head_mix(const std::string& prefix);
  Compressor compressor(const std::string& prefix, int ratio, int row_dim);
  Attention attention(const std::string& prefix, int ratio);
  Expert expert(const std::string& prefix, int64_t intermediate_size);
  Moe moe(const std::string& prefix, bool hashed);
  Layer layer(const std::string& prefix, int ratio, bool hashed);
  void check_expert_names(const std::string& prefix, int n_experts);
  void check_layer_names();

  const ModelConfig& config_;
  TensorReader& reader_;
};

}  // namespace ds4::weights
