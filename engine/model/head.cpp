// The head (model.md 3.8): the streams mixed by plain sigmoids, the final norm, the vocabulary.
#include "engine/base/check.h"
#include "engine/model/mechanisms.h"

namespace ds4::model {

void head(const Pass& pass, const weights::HeadMix& mix, std::span<const float> norm,
          const weights::Matrix& vocabulary, int row, int count) {
  DS4_CHECK(count > 0 && count <= Workspace::kLogitRows && row + count <= pass.n());
  const Workspace& at = pass.at;
  const ops::Values h{at.h.data + row * at.h.cols * pass.ops.value_bytes(), at.h.cols};
  pass.ops.mix_head(mix, pass.mix_settings(), norm, count, h, at.x);
  pass.ops.project_wide(vocabulary, count, at.x, at.logits);
}

}  // namespace ds4::model
