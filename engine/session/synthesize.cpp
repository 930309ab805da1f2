// synthesize_checkpoint of engine/api/inventory.h: weights, config and tokenizer of one name.
#include "engine/api/inventory.h"
#include "engine/base/error.h"
#include "engine/text/synthetic_tokenizer.h"
#include "engine/weights/source.h"
#include "engine/weights/synthetic/write.h"

namespace ds4 {

void synthesize_checkpoint(const std::string& name, const std::filesystem::path& directory,
                           const std::function<void(int64_t, int64_t)>& progress) {
  const weights::Source source = weights::resolve_source(name);
  if (!source.synthetic) {
    throw Error(ErrorCode::kUsage, "`" + name + "` is not the name of a synthetic checkpoint",
                "Write for example synthetic:k160:layers=2.");
  }
  weights::synthetic::write_checkpoint(*source.synthetic, directory,
                                       {{"tokenizer.json", text::synthetic_tokenizer_json()}},
                                       progress);
}

}  // namespace ds4
