// The compressor (model.md 3.5): every `ratio` tokens become one row, pooled by a learned softmax.
#include "engine/model/mechanisms.h"

namespace ds4::model {

Pool pool_of(const Workspace& at, const weights::Compressor& compressor, bool index) {
  Pool pool = index ? Pool{at.key_kv, at.key_score} : Pool{at.pool_kv, at.pool_score};
  pool.kv.cols = pool.score.cols = compressor.width;
  return pool;
}

void compress(const Pass& pass, const weights::Compressor& compressor,
              std::span<const ops::RowStore> rows, std::span<const ops::TailRing> tails,
              bool index) {
  const Pool pool = pool_of(pass.at, compressor, index);
  const ops::CompressorStep step{&compressor, pass.yarn_frequencies, pass.eps(), rows, tails};
  pass.ops.compress(step, index, pass.segments, pool.kv, pool.score);
}

}  // namespace ds4::model
