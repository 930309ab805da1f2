// The compressor (model.md 3.5): every `ratio` tokens become one row, pooled by a learned softmax.
#include "engine/model/mechanisms.h"

namespace ds4::model {

void compress(const Pass& pass, const weights::Compressor& compressor,
              std::span<const ops::RowStore> rows, std::span<const ops::TailRing> tails,
              bool index) {
  const Workspace& at = pass.at;
  const ops::Floats kv{at.pool_kv.data, compressor.width};
  const ops::Floats score{at.pool_score.data, compressor.width};
  pass.ops.project_wide(compressor.wkv, pass.n(), at.x, kv);
  pass.ops.project_wide(compressor.wgate, pass.n(), at.x, score);
  const ops::CompressorStep step{&compressor, pass.yarn_frequencies, pass.eps(), rows, tails};
  pass.ops.compress(step, index, pass.segments, kv, score);
}

}  // namespace ds4::model
