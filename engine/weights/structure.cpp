#include "engine/weights/structure.h"

#include "engine/base/checkpoint_name.h"
#include "engine/weights/model_builder.h"

namespace ds4::weights {

const char* mtp_name(MtpFlavour flavour) {
  switch (flavour) {
    case MtpFlavour::kNone:
      return "none";
    case MtpFlavour::kClassic:
      return "classic";
    case MtpFlavour::kDspark:
      return "dspark";
  }
  return "?";
}

int most_drafts(const ModelConfig& config, MtpFlavour flavour) {
  switch (flavour) {
    case MtpFlavour::kNone:
      return 0;
    case MtpFlavour::kClassic:
      return 3;
    case MtpFlavour::kDspark:
      return config.dspark_block_size;
  }
  return 0;
}

OpenedModel open_model(const std::filesystem::path& name) {
  ModelConfig config = read_config(name);
  Checkpoint checkpoint = Checkpoint::open(name);
  Structure structure = validate_structure(config, checkpoint);
  return {std::move(config), std::move(checkpoint), std::move(structure)};
}

Structure validate_structure(const ModelConfig& config, const Checkpoint& checkpoint) {
  TensorReader reader(checkpoint, ReadMode::kHeaders);
  ModelBuilder builder(config, &reader);
  Structure structure;
  for (const Layer& layer : builder.backbone().layers) {
    structure.experts_per_layer.push_back(layer.ffn.n_experts());
  }
  structure.mtp = builder.mtp_flavour();
  if (structure.mtp == MtpFlavour::kClassic) {
    structure.experts_per_mtp_block = {builder.classic_mtp().block.ffn.n_experts()};
  } else if (structure.mtp == MtpFlavour::kDspark) {
    for (const Layer& block : builder.dspark().blocks) {
      structure.experts_per_mtp_block.push_back(block.ffn.n_experts());
    }
  }
  return structure;
}

std::string model_identity(const ModelConfig& config, const Checkpoint& checkpoint) {
  return (config.synthetic.empty() ? "" : std::string(kSyntheticIdentity)) + checkpoint.identity();
}

}  // namespace ds4::weights
