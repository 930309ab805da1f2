#include "engine/breakdown/stretch.h"

#include <algorithm>
#include <vector>

#include "engine/base/check.h"

namespace ds4::breakdown {
namespace {

// Each copy takes all there is, so that a few make the store full.
void repeat(ops::Backend& backend, const ops::RowStore& rows, int64_t have, int64_t want) {
  DS4_CHECK(have > 0 && want <= rows.slots);
  while (have < want) {
    const int64_t count = std::min(have, want - have);
    const ops::Copy copy{rows.row(0), rows.row(have), count * rows.layout.bytes()};
    backend.copy({&copy, 1});
    have += count;
  }
}

}  // namespace

void stretch(ops::Backend& backend, const cache::KvCache& cache, int64_t computed, int64_t length) {
  std::vector<std::byte> rings;
  for (const cache::Piece& piece : cache.ring_pieces(computed)) {
    const size_t at = rings.size();
    rings.resize(at + static_cast<size_t>(piece.bytes));
    backend.read(piece.data, std::span(rings).subspan(at));
  }
  size_t at = 0;
  for (const cache::Piece& piece : cache.ring_pieces(length)) {
    const auto bytes = static_cast<size_t>(piece.bytes);
    backend.write(std::span(rings).subspan(at, bytes), piece.data);
    at += bytes;
  }
  DS4_CHECK(at == rings.size());
  for (size_t l = 0; l < cache.plan().layers.size(); ++l) {
    const int ratio = cache.plan().layers[l].ratio;
    if (ratio == 0) continue;
    DS4_CHECK(computed % ratio == 0 && length % ratio == 0);
    const cache::LayerCache& layer = cache.layer(static_cast<int>(l));
    for (const ops::RowStore* rows : {&layer.compressed, &layer.keys}) {
      if (rows->slots) repeat(backend, *rows, computed / ratio, length / ratio);
    }
  }
}

}  // namespace ds4::breakdown
