#include "engine/weights/model_info.h"

namespace ds4 {

ModelInfo weights::model_info(const OpenedModel& opened) {
  const ModelConfig& config = opened.config;
  ModelInfo info;
  info.model_type = config.model_type;
  info.n_layers = config.num_hidden_layers;
  info.hidden_size = config.hidden_size;
  info.vocab_size = config.vocab_size;
  info.context_limit = config.max_position_embeddings;
  info.experts_per_layer = opened.structure.experts_per_layer;
  info.most_drafts = most_drafts(config, opened.structure.mtp);
  info.identity = model_identity(config, opened.checkpoint);
  return info;
}

ModelInfo read_model_info(const std::filesystem::path& checkpoint) {
  return weights::model_info(weights::open_model(checkpoint));
}

}  // namespace ds4
