// model.safetensors.index.json of any bytes beside two good shards.
#include "engine/weights/checkpoint.h"
#include "tests/fuzz/fuzz.h"

using namespace ds4;

namespace {

// One F32 number named `name`.
std::string shard(const std::string& name) {
  std::string header =
      "{\"" + name + "\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}";
  header.resize((header.size() + 7) / 8 * 8, ' ');
  std::string out(8, '\0');
  out[0] = static_cast<char>(header.size());
  return out + header + std::string(4, '\0');
}

}  // namespace

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const fuzz::Scratch scratch;
  static const auto shards = {scratch.write("model-00001-of-00002.safetensors", shard("a")),
                              scratch.write("model-00002-of-00002.safetensors", shard("b"))};
  (void)shards;
  scratch.write("model.safetensors.index.json", fuzz::as_text(data, size));
  fuzz::refuses([&] {
    const auto checkpoint = weights::Checkpoint::open(scratch.path());
    for (const weights::TensorRef& tensor : checkpoint.tensors()) {
      fuzz::require(tensor.bytes() == 4, "tensors come from the shards");
    }
  });
  return 0;
}
