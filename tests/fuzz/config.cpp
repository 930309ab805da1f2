// config.json of any bytes: a configuration that passes can be planned for without overflow.
#include "engine/weights/config.h"

#include "engine/cache/kv_cache.h"
#include "tests/fuzz/fuzz.h"

using namespace ds4;

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  fuzz::refuses([&] {
    const weights::ModelConfig config =
        weights::parse_config(std::string(fuzz::as_text(data, size)));
    EngineSettings settings;
    settings.context_length = config.max_position_embeddings;
    const cache::CachePlan plan = cache::plan_cache(config, settings);
    fuzz::require(plan.raw_bytes >= 0 && plan.compressed_bytes >= 0 && plan.key_bytes >= 0 &&
                      plan.tail_bytes >= 0,
                  "no size overflows");
  });
  return 0;
}
