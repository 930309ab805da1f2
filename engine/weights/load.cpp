// load_weights: opens, checks and fills; the walk itself is model_builder.cpp's.
#include "engine/weights/checkpoint.h"
#include "engine/weights/model_builder.h"
#include "engine/weights/weights.h"

namespace ds4::weights {

ModelWeights load_weights(const std::filesystem::path& name) {
  const ModelConfig config = read_config(name);
  Checkpoint checkpoint = Checkpoint::open(name);
  // Headers first: a wrong shape deep in the file should not wait for gigabytes of scales.
  const Structure structure = validate_structure(config, checkpoint);
  checkpoint.generate();
  TensorReader reader(checkpoint, ReadMode::kData);
  ModelBuilder builder(config, &reader);
  ModelWeights model = builder.backbone();
  if (structure.mtp == MtpFlavour::kClassic) model.mtp = builder.classic_mtp();
  if (structure.mtp == MtpFlavour::kDspark) model.dspark = builder.dspark();
  model.identity = model_identity(config, checkpoint);
  model.storage = reader.take_copies();
  for (const auto& bytes : checkpoint.storage()) model.storage.push_back(bytes);
  return model;
}

}  // namespace ds4::weights
