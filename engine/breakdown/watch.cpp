#include "engine/breakdown/watch.h"

#include <algorithm>
#include <set>

#include "engine/base/check.h"

namespace ds4::breakdown {
namespace {

double product_flops(int n, const weights::Matrix& w) {
  return 2.0 * n * static_cast<double>(w.rows) * static_cast<double>(w.cols);
}

double stored(const weights::Matrix& w) {
  return static_cast<double>(w.stored_bytes());
}

double floats(int n, int64_t cols) {
  return 4.0 * n * static_cast<double>(cols);
}

// Sum of f(position) over a chunk.
template <class F>
double over(const ops::Chunk& chunk, const F& f) {
  double sum = 0;
  for (int64_t position = chunk.first; position < chunk.end(); ++position) sum += f(position);
  return sum;
}

}  // namespace

WatchingBackend::WatchingBackend(std::unique_ptr<ops::Backend> inner,
                                 const weights::ModelWeights& model)
    : ForwardingBackend(std::move(inner)) {
  name(model.embed, "embed");
  name(model.head, "head");
  for (const weights::Layer& layer : model.layers) name_layer(layer);
}

void WatchingBackend::name(const weights::Matrix& matrix, const std::string& name) {
  names_[matrix.data] = name;
}

void WatchingBackend::name_layer(const weights::Layer& layer) {
  const weights::Attention& a = layer.attn;
  name(a.wq_a, "wq_a");
  name(a.wq_b, "wq_b");
  name(a.wkv, "wkv");
  name(a.wo_a, "wo_a");
  name(a.wo_b, "wo_b");
  name(layer.ffn.gate, "router");
  const auto compressor = [&](const weights::Compressor& c, const std::string& owner) {
    name(c.wkv, owner + " wkv");
    name(c.wgate, owner + " wgate");
  };
  if (a.compressor) compressor(*a.compressor, "compressor");
  if (!a.indexer) return;
  name(a.indexer->wq_b, "indexer wq_b");
  name(a.indexer->weights_proj, "indexer weights");
  compressor(a.indexer->compressor, "indexer");
}

const std::string& WatchingBackend::name_of(const weights::Matrix& matrix) const {
  static const std::string kOther = "another matrix";
  const auto found = names_.find(matrix.data);
  return found == names_.end() ? kOther : found->second;
}

void WatchingBackend::start() {
  on_ = true;
  calls_.clear();
  inner().take_marks();
  inner().mark();
}

std::vector<OperationCost> WatchingBackend::stop() {
  on_ = false;
  const std::vector<double> marks = inner().take_marks();
  DS4_CHECK(marks.size() == 2 * calls_.size() + 1);
  std::map<std::string, OperationCost> by_name;
  for (size_t i = 0; i < calls_.size(); ++i) {
    const OperationCost& call = calls_[i];
    OperationCost& sum = by_name[call.name];
    sum.name = call.name;
    sum.calls += 1;
    sum.seconds += marks[2 * i + 2] - marks[2 * i + 1];
    sum.bytes += call.bytes;
    sum.weight_bytes += call.weight_bytes;
    sum.flops += call.flops;
  }
  std::vector<OperationCost> costs;
  for (auto& [name, cost] : by_name) costs.push_back(std::move(cost));
  std::stable_sort(costs.begin(), costs.end(),
                   [](const auto& a, const auto& b) { return a.seconds > b.seconds; });
  return costs;
}

template <class Run>
void WatchingBackend::watch(const std::string& name, const Work& work, const Run& run) {
  if (!on_) return run();
  calls_.push_back(
      {name, 1, 0, work.weight_bytes + work.other_bytes, work.weight_bytes, work.flops});
  inner().mark();
  run();
  inner().mark();
}

void WatchingBackend::run_step(std::span<const int64_t> key, ops::Segments segments,
                               const std::function<void()>& operations) {
  if (on_) return operations();  // a replay would pass the stamps by
  inner().run_step(key, segments, operations);
}

void WatchingBackend::embed(const weights::Matrix& table, int n, ops::Ids tokens, ops::Values h) {
  watch("embed", {static_cast<double>(n * table.row_bytes()), values(n, h.cols), 0},
        [&] { inner().embed(table, n, tokens, h); });
}

void WatchingBackend::mix_in(const weights::HyperConnection& hc, const ops::MixSettings& settings,
                             std::span<const float> gain, int n, ops::Values h, ops::Floats mix,
                             ops::Values x) {
  watch("hyper-connection in",
        {stored(hc.fn), values(n, h.cols) + floats(n, mix.cols) + values(n, x.cols),
         product_flops(n, hc.fn) + 2.0 * n * static_cast<double>(h.cols)},
        [&] { inner().mix_in(hc, settings, gain, n, h, mix, x); });
}

void WatchingBackend::mix_out(int streams, int n, ops::Values y, ops::Floats mix, ops::Values h) {
  watch("hyper-connection out",
        {0, values(n, y.cols) + floats(n, mix.cols) + 2 * values(n, h.cols),
         2.0 * n * (streams + 1) * static_cast<double>(h.cols)},
        [&] { inner().mix_out(streams, n, y, mix, h); });
}

void WatchingBackend::project(const weights::Matrix& w, int n, ops::Values x, ops::Values y) {
  watch("project " + name_of(w),
        {stored(w), values(n, w.cols) + values(n, w.rows), product_flops(n, w)},
        [&] { inner().project(w, n, x, y); });
}

void WatchingBackend::project_each(std::span<const ops::Projection> products, int n, ops::Values x,
                                   const ops::RmsNorm* norm) {
  // One operation: side by side none of them has a time of its own.
  std::string names;
  Work work{0, values(n, x.cols), 0};
  for (const ops::Projection& product : products) {
    names += (names.empty() ? "" : " + ") + name_of(*product.w);
    work.weight_bytes += stored(*product.w);
    work.other_bytes += std::holds_alternative<ops::Values>(product.y) ? values(n, product.w->rows)
                                                                       : floats(n, product.w->rows);
    work.flops += product_flops(n, *product.w);
  }
  watch("project " + names, work, [&] { inner().project_each(products, n, x, norm); });
}

void WatchingBackend::project_wide(const weights::Matrix& w, int n, ops::Values x, ops::Floats y) {
  watch("project " + name_of(w),
        {stored(w), values(n, w.cols) + floats(n, w.rows), product_flops(n, w)},
        [&] { inner().project_wide(w, n, x, y); });
}

void WatchingBackend::rms_norm(std::span<const float> gain, float eps, int n, ops::Values x,
                               ops::Values y) {
  watch("norm", {0, 2 * values(n, x.cols), 4.0 * n * static_cast<double>(x.cols)},
        [&] { inner().rms_norm(gain, eps, n, x, y); });
}

void WatchingBackend::rotation(std::span<const float> frequencies, ops::Segments segments,
                               ops::Floats table) {
  const int n = segments.back().row + segments.back().chunk.n;
  watch("rotation table", {0, floats(n, table.cols), 0},
        [&] { inner().rotation(frequencies, segments, table); });
}

void WatchingBackend::finish_queries(int heads, float eps, int n, ops::Floats rotation,
                                     ops::Values q) {
  watch("finish queries", {0, 2 * values(n, q.cols), 4.0 * n * static_cast<double>(q.cols)},
        [&] { inner().finish_queries(heads, eps, n, rotation, q); });
}

void WatchingBackend::store_raw_rows(std::span<const float> gain, float eps, ops::Segments segments,
                                     ops::Floats rotation, ops::Values kv,
                                     std::span<const ops::RowStore> rows) {
  const int n = segments.back().row + segments.back().chunk.n;
  watch("store raw rows",
        {0, values(n, kv.cols) + n * static_cast<double>(rows[0].layout.bytes()), 0},
        [&] { inner().store_raw_rows(gain, eps, segments, rotation, kv, rows); });
}

void WatchingBackend::compress(const ops::CompressorStep& step, bool index, ops::Segments segments,
                               ops::Floats kv, ops::Floats score) {
  const int n = segments.back().row + segments.back().chunk.n;
  const weights::Compressor& c = *step.parameters;
  double pooled = 0;  // rows completed
  for (const ops::Segment& s : segments) {
    pooled += static_cast<double>(s.chunk.end() / c.ratio - s.chunk.first / c.ratio);
  }
  // Read once, and once more as tail rows by the block that they complete.
  watch(index ? "compress indexer keys" : "compress rows",
        {floats(std::min(n, c.ratio), c.width),
         4 * floats(n, c.width) + pooled * static_cast<double>(step.rows[0].layout.bytes()),
         6.0 * n * c.width},
        [&] { inner().compress(step, index, segments, kv, score); });
}

void WatchingBackend::finish_index_queries(int heads, ops::RowFormat keys, int n,
                                           ops::Floats rotation, ops::Values iq) {
  watch("finish indexer queries",
        {0, 2 * values(n, iq.cols), 8.0 * n * static_cast<double>(iq.cols)},
        [&] { inner().finish_index_queries(heads, keys, n, rotation, iq); });
}

void WatchingBackend::select_rows(int heads, int ratio, ops::Segments segments, ops::Values iq,
                                  ops::Values projected, std::span<const ops::RowStore> keys,
                                  ops::Ids selected) {
  Work work;
  for (const ops::Segment& s : segments) {
    const auto scored = [&](int64_t position) {
      const int64_t visible = (position + 1) / ratio;
      return visible > selected.cols ? static_cast<double>(visible) : 0;
    };
    work.other_bytes += scored(s.chunk.end() - 1) * static_cast<double>(keys[0].layout.bytes()) +
                        values(s.chunk.n, iq.cols) + floats(s.chunk.n, selected.cols);
    work.flops += 2.0 * static_cast<double>(iq.cols) * over(s.chunk, scored);
  }
  watch("select rows", work,
        [&] { inner().select_rows(heads, ratio, segments, iq, projected, keys, selected); });
}

void WatchingBackend::attend(const ops::KeySet& keys, std::span<const float> sinks,
                             ops::Segments segments, ops::Floats rotation, ops::Values q,
                             ops::Values o) {
  const bool compressed = !keys.compressed.empty();
  const bool selected = keys.selected.data != nullptr;
  Work work;
  for (const ops::Segment& s : segments) {
    const auto raw = [&](int64_t position) {
      return static_cast<double>(std::min<int64_t>(position + 1, keys.window));
    };
    const auto more = [&](int64_t position) {
      if (!compressed) return 0.0;
      const int64_t visible = (position + 1) / keys.ratio;
      return static_cast<double>(selected ? std::min(visible, keys.selected.cols) : visible);
    };
    // Each row once, however many queries read it; the rows that queries select may all differ.
    const int64_t last = s.chunk.end() - 1;
    work.other_bytes += std::min(static_cast<double>(last + 1), raw(last) + s.chunk.n - 1) *
                            static_cast<double>(keys.raw[0].layout.bytes()) +
                        2 * values(s.chunk.n, q.cols);
    if (compressed) {
      const auto visible = static_cast<double>((last + 1) / keys.ratio);
      const double rows = selected ? std::min(visible, over(s.chunk, more)) : visible;
      work.other_bytes += rows * static_cast<double>(keys.compressed[0].layout.bytes());
    }
    work.flops += 4.0 * static_cast<double>(q.cols) *
                  over(s.chunk, [&](int64_t position) { return raw(position) + more(position); });
  }
  watch(!compressed ? "attend, window"
        : selected  ? "attend, selected rows"
                    : "attend, all rows",
        work, [&] { inner().attend(keys, sinks, segments, rotation, q, o); });
}

void WatchingBackend::project_groups(const weights::Matrix& w, int groups, int n, ops::Values o,
                                     ops::Values u) {
  watch("project " + name_of(w),
        {stored(w), values(n, o.cols) + values(n, u.cols), product_flops(n, w)},
        [&] { inner().project_groups(w, groups, n, o, u); });
}

void WatchingBackend::route(const weights::Moe& moe, const ops::RouteSettings& settings, int n,
                            ops::Ids tokens, ops::Floats logits, ops::Ids ids,
                            ops::Floats route_weights) {
  watch("route", {0, floats(n, moe.n_experts()) + 2 * floats(n, settings.per_token), 0},
        [&] { inner().route(moe, settings, n, tokens, logits, ids, route_weights); });
}

void WatchingBackend::experts(const weights::Moe& moe, float swiglu_limit, int per_token, int n,
                              ops::Values x, ops::Ids ids, ops::Floats route_weights,
                              ops::Values y) {
  watch("experts", {},
        [&] { inner().experts(moe, swiglu_limit, per_token, n, x, ids, route_weights, y); });
  if (!on_) return;
  // Behind the second stamp: which experts' weights it took.
  std::vector<int32_t> chosen(static_cast<size_t>(n) * static_cast<size_t>(per_token));
  inner().read(ids.data, std::as_writable_bytes(std::span(chosen)));
  const std::set<int32_t> distinct(chosen.begin(), chosen.end());
  const auto bytes = [](const weights::Expert& e) {
    return stored(e.w1) + stored(e.w2) + stored(e.w3);
  };
  const auto flops = [](int rows, const weights::Expert& e) {
    return product_flops(rows, e.w1) + product_flops(rows, e.w2) + product_flops(rows, e.w3);
  };
  OperationCost& cost = calls_.back();
  cost.weight_bytes = bytes(moe.shared);
  for (const int32_t id : distinct)
    cost.weight_bytes += bytes(moe.experts[static_cast<size_t>(id)]);
  cost.bytes = cost.weight_bytes + values(n, x.cols) + values(n, y.cols);
  cost.flops = flops(n, moe.shared) + flops(n * per_token, moe.experts[0]);
}

void WatchingBackend::mix_head(const weights::HeadMix& hc, const ops::MixSettings& settings,
                               std::span<const float> gain, int n, ops::Values h, ops::Values x) {
  watch("head mix", {stored(hc.fn), values(n, h.cols) + values(n, x.cols), product_flops(n, hc.fn)},
        [&] { inner().mix_head(hc, settings, gain, n, h, x); });
}

}  // namespace ds4::breakdown
