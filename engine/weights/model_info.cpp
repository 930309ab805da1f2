// read_model_info of engine/api/session.h: what a checkpoint is, from config.json and headers.
#include "engine/api/session.h"
#include "engine/weights/checkpoint.h"
#include "engine/weights/config.h"
#include "engine/weights/structure.h"

namespace ds4 {

ModelInfo read_model_info(const std::filesystem::path& directory) {
  const weights::ModelConfig config = weights::read_config(directory);
  const weights::Checkpoint checkpoint = weights::Checkpoint::open(directory);
  const weights::Structure structure = weights::validate_structure(config, checkpoint);
  ModelInfo info;
  info.model_type = config.model_type;
  info.n_layers = config.num_hidden_layers;
  info.hidden_size = config.hidden_size;
  info.vocab_size = config.vocab_size;
  info.context_limit = config.max_position_embeddings;
  info.experts_per_layer = structure.experts_per_layer;
  info.most_drafts = weights::most_drafts(config, structure.mtp);
  info.identity = weights::model_identity(config, checkpoint);
  return info;
}

}  // namespace ds4
