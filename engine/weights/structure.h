// What a checkpoint's headers say about the model beyond config.json: experts per layer and the MTP
// flavour. Checking it walks every tensor the model needs, without reading data.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "engine/weights/checkpoint.h"
#include "engine/weights/config.h"

namespace ds4::weights {

/// model.md 1.4: classic = one block of April, DSpark = three chained blocks of 0731.
enum class MtpFlavour { kNone, kClassic, kDspark };

struct Structure {
  std::vector<int> experts_per_layer;      // [num_hidden_layers]
  std::vector<int> experts_per_mtp_block;  // one per mtp block
  MtpFlavour mtp = MtpFlavour::kNone;
};

/// "none", "classic" or "dspark".
const char* mtp_name(MtpFlavour flavour);

/// Tokens worth drafting at a time: 3 with the classic block chained on itself, a block of DSpark.
int most_drafts(const ModelConfig& config, MtpFlavour flavour);

/// Applies the loader rules of model.md 1.3 and the shapes and dtypes of 2.1 to the headers. What
/// only data can tell (tid2eid ranges, NaN scales) is checked by load_weights().
/// Throws Error(kCheckpoint) naming file and tensor.
Structure validate_structure(const ModelConfig& config, const Checkpoint& checkpoint);

/// A checkpoint whose config.json and headers have been read and agree.
struct OpenedModel {
  ModelConfig config;
  Checkpoint checkpoint;
  Structure structure;
};

/// Opens a folder or a name without reading data. Throws as validate_structure().
OpenedModel open_model(const std::filesystem::path& name);

/// Checkpoint::identity(), after "synthetic-" (engine/base/checkpoint_name.h) when the weights are
/// generated, in memory or written to files.
std::string model_identity(const ModelConfig& config, const Checkpoint& checkpoint);

}  // namespace ds4::weights
