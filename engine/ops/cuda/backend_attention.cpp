// Attention, compressor and indexer of the CUDA back end (model.md 3.3-3.6): segments in groups
// that fit one launch, scores in bounded scratch.
#include <algorithm>
#include <array>
#include <cmath>

#include "engine/base/check.h"
#include "engine/base/error.h"
#include "engine/ops/cuda/backend.h"

namespace ds4::ops::cuda {
namespace {

// Scores of one launch; more queries than fit take several.
constexpr int64_t kScoreFloats = kCudaScoreBytes / 4;
constexpr int64_t kMostRows = 32768;

RowShape shape_of(const RowLayout& layout) {
  RowShape shape;
  switch (layout.format) {
    case RowFormat::kFp8:
      shape.format = RowShape::kFp8;
      break;
    case RowFormat::kFp4:
      shape.format = RowShape::kFp4;
      break;
    case RowFormat::kBf16:
      shape.format = RowShape::kBf16;
      break;
    case RowFormat::kF32:
      shape.format = RowShape::kF32;
      break;
  }
  shape.dim = layout.dim;
  shape.nope = layout.nope_dim();
  shape.rope_offset = static_cast<int>(layout.rope_offset());
  shape.scale_offset = static_cast<int>(layout.scale_offset());
  shape.bytes = static_cast<int>(layout.bytes());
  return shape;
}

/// Up to kSegments segments, or parts of them, and which ones they are.
struct Group {
  Places places;
  std::array<size_t, kSegments> segment{};

  RowStores stores(std::span<const RowStore> all) const {
    RowStores stores;
    if (all.empty()) return stores;
    stores.shape = shape_of(all[0].layout);
    for (int i = 0; i < places.count; ++i) {
      const RowStore& store = all[segment[static_cast<size_t>(i)]];
      stores.slots[i] = store.slots;
      stores.data[i] = reinterpret_cast<uint8_t*>(store.data);
    }
    return stores;
  }
};

/// Calls run(group) until all rows had their turn, at most `most_rows` at a time. `origins`: where
/// the device finds the segments' first positions, or null.
template <class Run>
void for_groups(Segments segments, const int64_t* origins, int64_t most_rows, const Run& run) {
  Group group;
  int rows = 0;
  const auto flush = [&] {
    if (group.places.count) run(group);
    group = Group();
    rows = 0;
  };
  for (size_t s = 0; s < segments.size(); ++s) {
    const Segment& segment = segments[s];
    for (int done = 0; done < segment.chunk.n;) {
      if (group.places.count == kSegments || rows == most_rows) flush();
      const int n = static_cast<int>(std::min<int64_t>(segment.chunk.n - done, most_rows - rows));
      Places& places = group.places;
      places.row[places.count] = segment.row + done;
      places.row[places.count + 1] = segment.row + done + n;
      places.first[places.count] = done + (origins ? 0 : segment.chunk.first);
      places.origin[places.count] = origins ? origins + s : nullptr;
      group.segment[static_cast<size_t>(places.count)] = s;
      ++places.count;
      rows += n;
      done += n;
    }
  }
  flush();
}

int64_t last_end(Segments segments) {
  int64_t end = 0;
  for (const Segment& s : segments) end = std::max(end, s.chunk.end());
  return end;
}

int64_t most_slots(std::span<const RowStore> stores) {
  int64_t most = 0;
  for (const RowStore& store : stores) most = std::max(most, store.slots);
  return most;
}

/// What waits to be done with q, taken away from the sides by attention that does it when it reads
/// q: of few rows only, since each of its blocks does it again.
QueryHeads take_unfinished(Sides& sides, int rows, Values q) {
  const QueryHeads waiting = sides.queries[0];
  if (rows > kFewQueries || !sides.has(Sides::kQueries) || waiting.q != q.data ||
      waiting.n_heads * waiting.dim != rows * q.cols) {
    return {};
  }
  remove(sides, Sides::kQueries);
  return waiting;
}

}  // namespace

void CudaBackend::rotation(std::span<const float> frequencies, Segments segments, Floats table) {
  DS4_CHECK(table.cols == static_cast<int64_t>(2 * frequencies.size()));
  const Operation at = begin();
  for_groups(segments, origins(), kMostRows, [&](const Group& group) {
    cuda::rotation(at, weights_.vector(frequencies), static_cast<int>(frequencies.size()),
                   group.places, floats(table));
  });
  check_launches();
}

void CudaBackend::finish_queries(int heads, float eps, int n, Floats rotation, Values q) {
  const device::Range range("finish_queries");
  QueryHeads work;
  work.heads = heads;
  work.dim = static_cast<int>(q.cols / heads);
  work.n_heads = int64_t{n} * heads;
  work.eps = eps;
  work.rotation = floats(rotation);
  work.rope = static_cast<int>(rotation.cols);
  work.q = q.data;
  add_side(Sides::kQueries, n, work);
}

void CudaBackend::finish_index_queries(int heads, RowFormat keys, int n, Floats rotation,
                                       Values iq) {
  const device::Range range("finish_index_queries");
  QueryHeads work;
  work.index = true;
  work.simulate = keys == RowFormat::kFp4;
  work.heads = heads;
  work.dim = static_cast<int>(iq.cols / heads);
  work.n_heads = int64_t{n} * heads;
  work.rotation = floats(rotation);
  work.rope = static_cast<int>(rotation.cols);
  work.q = iq.data;
  add_side(Sides::kIndexQueries, n, work);
}

void CudaBackend::store_raw_rows(std::span<const float> gain, float eps, Segments segments,
                                 Floats rotation, Values kv, std::span<const RowStore> rows) {
  DS4_CHECK(rows.size() == segments.size());
  for (size_t s = 0; s < rows.size(); ++s) {
    DS4_CHECK(rows[s].layout.dim == kv.cols && segments[s].chunk.n <= rows[s].slots);
  }
  const device::Range range("store_raw_rows");
  RawRows work;
  work.gain = weights_.vector(gain);
  work.eps = eps;
  work.rotation = floats(rotation);
  work.rope = static_cast<int>(rotation.cols);
  work.kv = kv.data;
  for_groups(segments, origins(), kMostRows, [&](const Group& group) {
    work.places = group.places;
    work.rows = group.stores(rows);
    add_side(Sides::kRaw, rows_of(segments), work);
  });
}

void CudaBackend::compress(const CompressorStep& step, bool index, Segments segments, Floats kv,
                           Floats score) {
  const weights::Compressor& parameters = *step.parameters;
  DS4_CHECK(step.rows.size() == segments.size() && step.tails.size() == segments.size());
  DS4_CHECK(kv.cols == parameters.width && score.cols == parameters.width);
  const device::Range range("compress");
  Pooling work;
  Compression& c = work.compression;
  c.ratio = parameters.ratio;
  c.dim = parameters.row_dim;
  c.width = parameters.width;
  c.overlap = weights::ModelConfig::is_csa(parameters.ratio);
  c.index = index;
  c.ape = weights_.vector(std::span(parameters.ape));
  c.gain = weights_.vector(std::span(parameters.norm));
  c.frequencies = weights_.vector(step.frequencies);
  c.pairs = static_cast<int>(step.frequencies.size());
  c.eps = step.norm_eps;
  work.kv = floats(kv);
  work.score = floats(score);
  const Sides::Part part = index ? Sides::kIndexPooling : Sides::kPooling;
  // Pieces of a segment would read tails that the piece before has yet to write: whole ones only.
  for_groups(segments, origins(), INT32_MAX, [&](const Group& group) {
    work.places = group.places;
    c.rows = group.stores(step.rows);
    for (int i = 0; i < group.places.count; ++i) {
      const TailRing& tail = step.tails[group.segment[static_cast<size_t>(i)]];
      DS4_CHECK(tail.slots >= (c.overlap ? 2 : 1) * c.ratio);
      c.tail_kv[i] = floats(tail.kv);
      c.tail_score[i] = floats(tail.score);
      c.tail_slots[i] = tail.slots;
    }
    if (!set_pooling_counts(work)) return add_side(part, rows_of(segments), work);
    Pooling rows = work;
    rows.kept = 0;
    add_side(part, rows_of(segments), rows);
    work.rows = 0;
    add_side(part, rows_of(segments), work);
  });
}

void CudaBackend::select_rows(int heads, int ratio, Segments segments, Values iq, Values projected,
                              std::span<const RowStore> keys, Ids selected) {
  DS4_CHECK(keys.size() == segments.size());
  const int dim = keys[0].layout.dim;
  DS4_CHECK(iq.cols == heads * dim && projected.cols == heads);
  if (dim > kMaxIndexDim || dim % 8) {
    throw Error(
        ErrorCode::kCheckpoint,
        "the CUDA back end takes index_head_dim 8 to 128; this model has " + std::to_string(dim),
        "Use the device cpu.");
  }
  const Operation at = begin();
  Selection s;
  s.settled = stored_.empty();
  s.heads = heads;
  s.dim = dim;
  s.ratio = ratio;
  s.top = static_cast<int>(selected.cols);
  s.scale = static_cast<float>(std::pow(static_cast<double>(dim), -0.5) *
                               std::pow(static_cast<double>(heads), -0.5));
  s.iq = iq.data;
  s.projected = projected.data;
  s.selected = ints(selected);
  // A recorded step must be ready for all rows that there may ever be.
  s.stride = std::max<int64_t>(origins() ? most_slots(keys) : last_end(segments) / ratio, 1);
  s.stride = (s.stride + 7) / 8 * 8;  // scores are read up to eight at a time
  int64_t room = kCudaScoreBytes;
  int64_t view_rows = 0;
  for (const Segment& segment : segments) {
    view_rows = std::max<int64_t>(view_rows, segment.row + segment.chunk.n);
  }
  const int64_t arranged_bytes = view_rows * iq.cols * value_bytes();
  s.keys.shape = shape_of(keys[0].layout);
  if (rows_of(segments) > kStepRows && arranged_bytes <= room / 2 && selects_by_groups(at, s)) {
    std::byte* arranged = arena_.take<std::byte>(arranged_bytes);
    arrange(at, Arrange::kBf16, Order::kChunks, view_rows * heads, dim, {.values = iq.data},
            arranged, nullptr);
    s.arranged = arranged;
    room -= arranged_bytes;
  }
  const int64_t rows = std::clamp<int64_t>(room / (s.stride * value_bytes()), 1,
                                           std::min<int64_t>(rows_of(segments), kMostRows));
  s.scores = take_values(rows * s.stride);
  for_groups(segments, origins(), rows, [&](const Group& group) {
    s.places = group.places;
    s.keys = group.stores(keys);
    cuda::select_rows(at, s);
  });
  selected_ = true;
  check_launches();
}

void CudaBackend::attend(const KeySet& keys, std::span<const float> sinks, Segments segments,
                         Floats rotation, Values q, Values o) {
  const auto heads = static_cast<int>(sinks.size());
  const int dim = keys.raw[0].layout.dim;
  DS4_CHECK(keys.raw.size() == segments.size());
  DS4_CHECK(keys.compressed.empty() || keys.compressed.size() == segments.size());
  DS4_CHECK(q.cols == int64_t{heads} * dim && o.cols == q.cols);
  if (!keys.compressed.empty()) {
    const RowLayout& raw = keys.raw[0].layout;
    const RowLayout& compressed = keys.compressed[0].layout;
    DS4_CHECK(raw.format == compressed.format && raw.dim == compressed.dim &&
              raw.rope_dim == compressed.rope_dim);
  }
  int64_t longest = 0;
  for (size_t s = 0; s < segments.size(); ++s) {
    const Chunk& chunk = segments[s].chunk;
    const int64_t oldest = chunk.first + (keys.whole_segment ? 0 : 1) - keys.window;
    DS4_CHECK(chunk.end() - std::max<int64_t>(0, oldest) <= keys.raw[s].slots);
    longest = std::max<int64_t>(longest, chunk.n);
  }
  // Rows are staged in shared memory, and values leave in pairs.
  if (dim % 2 || dim > kMostHeadDim) {
    throw Error(ErrorCode::kCheckpoint,
                "the CUDA back end takes an even head_dim of at most " +
                    std::to_string(kMostHeadDim) + "; this model has " + std::to_string(dim),
                "Use the device cpu.");
  }
  Attention a;
  a.settled_queries = selected_ && products_.tasks.empty() && sides_.blocks() == 0;
  // Over which o is written: nobody else will read them.
  if (strict() && o.data == q.data) {
    a.unfinished = take_unfinished(sides_, rows_of(segments), q);
  }
  const Operation at = begin();
  a.heads = heads;
  a.dim = dim;
  a.window = keys.window;
  a.ratio = keys.ratio;
  a.whole_segment = keys.whole_segment;
  a.selected = keys.selected.data ? ints(keys.selected) : nullptr;
  a.top = static_cast<int>(keys.selected.cols);
  a.sinks = weights_.vector(sinks);
  a.rotation = floats(rotation);
  a.rope = static_cast<int>(rotation.cols);
  a.scale = static_cast<float>(1.0 / std::sqrt(static_cast<double>(dim)));
  a.q = q.data;
  a.o = o.data;
  const int n = rows_of(segments);
  if (hands_over(n, q.cols)) {
    a.arranged = finishing_.attended.data();
    ready_ = {o.data, n, {}};
    ready_.inputs[static_cast<size_t>(Arrange::kBf16Wide)] = {.values = o.data,
                                                              .arranged = a.arranged};
  }
  // A recorded step must be ready for all rows that there may ever be.
  const int64_t end = origins() ? INT64_MAX : last_end(segments);
  int64_t most = std::min<int64_t>(keys.window + (keys.whole_segment ? longest : 0), end);
  if (!keys.compressed.empty()) {
    most += a.selected ? a.top : std::min(end / keys.ratio, most_slots(keys.compressed));
  }
  a.stride = (most + kScoreStep - 1) / kScoreStep * kScoreStep;
  const auto fill = [&](const Group& group) {
    a.places = group.places;
    const auto here = [&](const Places& places) { return places == group.places; };
    a.settled = stored_.empty()                      ? Attention::kAll
                : std::ranges::all_of(stored_, here) ? Attention::kOlder
                                                     : Attention::kNone;
    a.raw = group.stores(keys.raw);
    a.compressed = group.stores(keys.compressed);
  };
  if (segments.size() == 1 && rows_of(segments) > kStepRows && rows_of(segments) <= kMostRows) {
    for_groups(segments, origins(), kMostRows, fill);
    const int64_t bytes = cuda::attend_chunk_room(at, a, kCudaScoreBytes);
    if (bytes > 0) {
      cuda::attend_chunk(at, a, arena_.take<std::byte>(bytes), bytes);
      return check_launches();
    }
  }
  const int64_t rows = std::clamp<int64_t>(kScoreFloats / (a.stride * heads), 1,
                                           std::min<int64_t>(rows_of(segments), kMostRows));
  a.scores = arena_.take<float>(rows * heads * a.stride);
  a.sums = arena_.take<float>(rows * heads);
  const int64_t together =
      rows_of(segments) <= kStepRows ? std::min<int64_t>(rows, kFewQueries) : rows;
  for_groups(segments, origins(), together, [&](const Group& group) {
    fill(group);
    for (int i = 0; i < group.places.count; ++i) {
      const Segment& segment = segments[group.segment[static_cast<size_t>(i)]];
      a.segment_before[i] = group.places.row[i] - segment.row;
      a.segment_rows[i] = segment.chunk.n;
    }
    cuda::attend(at, a);
  });
  check_launches();
}

}  // namespace ds4::ops::cuda
