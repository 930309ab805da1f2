// Memory, the residual stream, projections and the head of the CPU back end.
#include "engine/ops/cpu/backend.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstring>
#include <string>
#include <utility>

#include "engine/base/check.h"
#include "engine/base/clock.h"
#include "engine/base/error.h"
#include "engine/base/units.h"
#include "engine/ops/cpu/mixing.h"
#include "engine/ops/sampling.h"
#include "engine/weights/structure.h"

namespace ds4::ops {

std::unique_ptr<Backend> make_cpu_backend(int threads, Precision precision) {
  return std::make_unique<cpu::CpuBackend>(threads, precision);
}

namespace cpu {

CpuBackend::CpuBackend(int threads, Precision precision)
    : pool_(threads),
      strict_(precision == Precision::kReference),
      scratch_(static_cast<size_t>(pool_.threads())) {}

// Matrices are read where they are mapped, page by page as they are needed.
weights::ModelWeights CpuBackend::load(weights::OpenedModel opened, bool /*drafts*/,
                                       const LoadProgress& /*progress*/) {
  return weights::load_weights(std::move(opened));
}

Buffer CpuBackend::allocate(int64_t bytes) {
  DS4_CHECK(bytes >= 0);
  // Anonymous maps are zeroed and cost physical memory only once touched; the slack lets vector
  // loads run over the last row.
  const auto size = static_cast<size_t>(bytes + 64);
  void* memory = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) {
    throw Error(ErrorCode::kMachine,
                "cannot allocate " + std::to_string(bytes) + " bytes for the engine",
                "Lower the context length or the prefill chunk.");
  }
  return {std::shared_ptr<std::byte>(static_cast<std::byte*>(memory),
                                     [size](std::byte* p) { munmap(p, size); }),
          bytes};
}

void CpuBackend::write_ids(std::span<const int32_t> from, Ids to) {
  std::copy(from.begin(), from.end(), ints(to));
}

std::span<const float> CpuBackend::read_floats(Floats from, int64_t count) {
  return {floats(from), static_cast<size_t>(count)};
}

void CpuBackend::copy(std::span<const Copy> copies) {
  for (const Copy& c : copies) std::memcpy(c.to, c.from, static_cast<size_t>(c.bytes));
}

void CpuBackend::read(const std::byte* from, std::span<std::byte> to) {
  if (!to.empty()) std::memcpy(to.data(), from, to.size());
}

void CpuBackend::write(std::span<const std::byte> from, std::byte* to) {
  if (!from.empty()) std::memcpy(to, from.data(), from.size());
}

void CpuBackend::mark() {
  marks_.push_back(monotonic_seconds());
}

std::vector<double> CpuBackend::take_marks() {
  std::vector<double> taken = std::exchange(marks_, {});
  for (size_t i = taken.size(); i-- > 0;) taken[i] -= taken[0];
  return taken;
}

const float* const* CpuBackend::prepare(Prepared& keep, const float* x, int64_t n, int64_t cols,
                                        int64_t ldx, bool quantise) {
  keep.rows.resize(static_cast<size_t>(n));
  if (!quantise && cols == padded(cols)) {
    for (int64_t i = 0; i < n; ++i) keep.rows[static_cast<size_t>(i)] = x + i * ldx;
    return keep.rows.data();
  }
  const int64_t k = padded(cols);
  float* to = keep.data.floats(n * k);
  pool_.run(n, n * cols, [&](int64_t i, int) {
    prepare_row(x + i * ldx, cols, weights::kFp8Block, quantise, to + i * k);
  });
  for (int64_t i = 0; i < n; ++i) keep.rows[static_cast<size_t>(i)] = to + i * k;
  return keep.rows.data();
}

void CpuBackend::run(std::span<const MatmulJob> jobs) {
  int64_t panels = 0;
  int64_t work = 0;
  for (const MatmulJob& job : jobs) {
    panels += (job.end - job.begin + kPanelRows - 1) / kPanelRows;
    // Decoding a weight costs about as much as one multiply-add.
    work += (job.end - job.begin) * job.w->cols * (job.m + 1);
  }
  // With few panels rows are split further, to feed all threads, at the price of decoding a panel
  // more than once.
  const int64_t row_block = panels < 4 * pool_.threads() ? kRowBlock / 2 : kRowBlock;
  struct Task {
    const MatmulJob* job;
    int64_t begin, end, row, rows;
  };
  std::vector<Task> tasks;
  for (const MatmulJob& job : jobs) {
    for (int64_t row = 0; row < job.m; row += row_block) {
      const int64_t rows = std::min(row_block, job.m - row);
      for (int64_t o = job.begin; o < job.end; o += kPanelRows) {
        tasks.push_back({&job, o, std::min(o + kPanelRows, job.end), row, rows});
      }
    }
  }
  pool_.run(static_cast<int64_t>(tasks.size()), work, [&](int64_t index, int worker) {
    const Task& t = tasks[static_cast<size_t>(index)];
    const MatmulJob& job = *t.job;
    matmul(*job.w, t.begin, t.end, job.x + t.row, t.rows, job.round,
           job.y + t.row * job.ldy + (t.begin - job.begin), job.ldy,
           worker_scratch(worker, kMatmulScratch));
  });
}

void CpuBackend::multiply(const weights::Matrix& w, int64_t n, const float* x, bool quantise,
                          bool round, float* y) {
  const float* const* rows = prepare(prepared_, x, n, w.cols, w.cols, quantise && strict_);
  const MatmulJob job{&w, 0, w.rows, rows, n, round && strict_, y, w.rows};
  run({&job, 1});
}

void CpuBackend::project(const weights::Matrix& w, int n, Values x, Values y) {
  DS4_CHECK(x.cols == w.cols && y.cols == w.rows);
  multiply(w, n, floats(x), w.quantised(), true, floats(y));
}

void CpuBackend::project_wide(const weights::Matrix& w, int n, Values x, Floats y) {
  DS4_CHECK(x.cols == w.cols && y.cols == w.rows);
  multiply(w, n, floats(x), false, false, floats(y));
}

void CpuBackend::project_groups(const weights::Matrix& w, int groups, int n, Values o, Values u) {
  DS4_CHECK(o.cols == groups * w.cols && u.cols == w.rows && w.rows % groups == 0);
  const int64_t rank = w.rows / groups;
  // Row i * groups + g of the view [n * groups, w.cols] is o_g of token i.
  const float* const* parts =
      prepare(prepared_, floats(o), int64_t{n} * groups, w.cols, w.cols, false);
  std::vector<const float*> by_group(static_cast<size_t>(n) * static_cast<size_t>(groups));
  std::vector<MatmulJob> jobs;
  for (int64_t g = 0; g < groups; ++g) {
    const float** rows = by_group.data() + g * n;
    for (int64_t i = 0; i < n; ++i) rows[i] = parts[i * groups + g];
    jobs.push_back({&w, g * rank, (g + 1) * rank, rows, n, strict_, floats(u) + g * rank, u.cols});
  }
  run(jobs);
}

void CpuBackend::embed(const weights::Matrix& table, int n, Ids tokens, Values h) {
  const int64_t d = table.cols;
  const int64_t streams = h.cols / d;
  DS4_CHECK(h.cols == streams * d);
  pool_.run(n, n * h.cols, [&](int64_t i, int worker) {
    float* row = worker_scratch(worker, padded(d));
    decode_weights(table, ints(tokens)[i], row);
    if (strict_) round_bf16(row, d);
    for (int64_t s = 0; s < streams; ++s) {
      std::copy(row, row + d, floats(h) + i * h.cols + s * d);
    }
  });
}

void CpuBackend::mix_in(const weights::HyperConnection& hc, const MixSettings& settings,
                        std::span<const float> gain, int n, Values h, Floats mix, Values x) {
  const int64_t d = x.cols;
  DS4_CHECK(h.cols == d * settings.streams && mix.cols == hc.fn.rows);
  multiply(hc.fn, n, floats(h), false, false, floats(mix));
  pool_.run(n, n * (h.cols * 3 + 2000), [&](int64_t i, int) {
    const float* streams = floats(h) + i * h.cols;
    float* m = floats(mix) + i * mix.cols;
    const float r = inverse_rms(streams, h.cols, settings.norm_eps);
    for (int64_t j = 0; j < mix.cols; ++j) m[j] *= r;
    mix_coefficients(settings, hc.base, hc.scale, m);
    float* out = floats(x) + i * d;
    mix_streams(streams, m, settings.streams, d, strict_, out);
    cpu::rms_norm(out, gain.data(), settings.norm_eps, d, strict_, out);
  });
}

void CpuBackend::mix_out(int streams, int n, Values y, Floats mix, Values h) {
  const int64_t d = y.cols;
  DS4_CHECK(h.cols == d * streams);
  pool_.run(n, n * h.cols * streams, [&](int64_t i, int) {
    const float* m = floats(mix) + i * mix.cols;
    update_streams(floats(y) + i * d, m + streams, m + 2 * streams, streams, d, strict_,
                   floats(h) + i * h.cols);
  });
}

void CpuBackend::rms_norm(std::span<const float> gain, float eps, int n, Values x, Values y) {
  DS4_CHECK(static_cast<int64_t>(gain.size()) == x.cols && x.cols == y.cols);
  pool_.run(n, n * x.cols * 2, [&](int64_t i, int) {
    cpu::rms_norm(floats(x) + i * x.cols, gain.data(), eps, x.cols, strict_,
                  floats(y) + i * y.cols);
  });
}

void CpuBackend::mix_head(const weights::HeadMix& hc, const MixSettings& settings,
                          std::span<const float> gain, int n, Values h, Values x) {
  const int64_t d = x.cols;
  DS4_CHECK(h.cols == d * settings.streams && hc.fn.rows == settings.streams);
  float* mix = shared_[0].floats(n * hc.fn.rows);
  multiply(hc.fn, n, floats(h), false, false, mix);
  pool_.run(n, n * h.cols * 3, [&](int64_t i, int) {
    const float* streams = floats(h) + i * h.cols;
    float* m = mix + i * hc.fn.rows;
    const float r = inverse_rms(streams, h.cols, settings.norm_eps);
    for (int64_t j = 0; j < hc.fn.rows; ++j) m[j] *= r;
    head_coefficients(settings, hc.base, hc.scale[0], m);
    float* out = floats(x) + i * d;
    mix_streams(streams, m, settings.streams, d, strict_, out);
    cpu::rms_norm(out, gain.data(), settings.norm_eps, d, strict_, out);
  });
}

void CpuBackend::sample(std::span<const Draw> draws, std::span<TokenId> tokens) {
  for (size_t i = 0; i < draws.size(); ++i) {
    const Draw& draw = draws[i];
    check_sampling(*draw.settings, draw.logits.cols);
    tokens[i] = draw_token({floats(draw.logits), static_cast<size_t>(draw.logits.cols)},
                           draw.position, *draw.settings, draw.history);
  }
}

}  // namespace cpu
}  // namespace ds4::ops
