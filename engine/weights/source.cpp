#include "engine/weights/source.h"

#include "engine/base/checkpoint_name.h"

namespace ds4::weights {

Source resolve_source(const std::filesystem::path& checkpoint) {
  const std::string name = checkpoint.string();
  if (is_synthetic_name(name)) return {{}, synthetic::parse_spec(name)};
  return {checkpoint, std::nullopt};
}

}  // namespace ds4::weights
