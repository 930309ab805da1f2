// load_weights: fills what was opened; the walk itself is model_builder.cpp's.
#include "engine/weights/model_builder.h"
#include "engine/weights/structure.h"
#include "engine/weights/weights.h"

namespace ds4::weights {
namespace {

ModelWeights build(const OpenedModel& opened, TensorReader& reader) {
  const auto& [config, checkpoint, structure] = opened;
  ModelBuilder builder(config, &reader);
  ModelWeights model = builder.backbone();
  if (structure.mtp == MtpFlavour::kClassic) model.mtp = builder.classic_mtp();
  if (structure.mtp == MtpFlavour::kDspark) model.dspark = builder.dspark();
  model.identity = model_identity(config, checkpoint);
  model.storage = reader.take_copies();
  for (const auto& bytes : checkpoint.storage()) model.storage.push_back(bytes);
  return model;
}

}  // namespace

ModelWeights load_weights(const std::filesystem::path& checkpoint) {
  return load_weights(open_model(checkpoint));
}

ModelWeights load_weights(OpenedModel opened) {
  // Headers were checked first: a wrong shape deep in the file does not wait for gigabytes of
  // scales.
  opened.checkpoint.generate();
  TensorReader reader(opened.checkpoint, ReadMode::kData);
  return build(opened, reader);
}

ModelWeights load_vectors(const OpenedModel& opened, const ByteFeed& feed) {
  TensorReader reader(opened.checkpoint, ReadMode::kVectors, &feed);
  return build(opened, reader);
}

ModelWeights model_shapes(const OpenedModel& opened) {
  TensorReader reader(opened.checkpoint, ReadMode::kShapes);
  return build(opened, reader);
}

}  // namespace ds4::weights
