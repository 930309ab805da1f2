// The indexer of ratio-4 layers (model.md 3.6): cheap scores pick the compressed rows to read.
#include "engine/model/mechanisms.h"

namespace ds4::model {

void select_rows(const Pass& pass, const weights::Indexer& indexer,
                 std::span<const ops::RowStore> keys, ops::Floats angles) {
  const Workspace& at = pass.at;
  const int heads = pass.config.index_n_heads;
  pass.ops.finish_index_queries(heads, keys.front().layout.format, pass.n(), angles, at.iq);
  pass.ops.select_rows(heads, indexer.compressor.ratio, pass.segments, at.iq, at.index_weights,
                       keys, at.selected);
}

}  // namespace ds4::model
