// Memory, the residual stream, projections and the head of the CUDA back end.
#include "engine/ops/cuda/backend.h"

#include <algorithm>
#include <array>
#include <optional>

#include "engine/base/check.h"
#include "engine/base/error.h"
#include "engine/device/error.h"
#include "engine/ops/cuda/pool.h"
#include "engine/weights/byte_feed.h"
#include "engine/weights/structure.h"

namespace ds4::ops {
namespace {

// E4M3 operands of mma.sync begin with compute capability 8.9; Hopper's are converted to f16 before
// each product, which costs more than giving it f16.
bool multiplies_e4m3(int capability) {
  return capability >= 89 && capability / 10 != 9;
}

// Products of so many bytes take longer than the dots of a step.
constexpr int64_t kLargeBytes = int64_t{4} << 20;

// 10 * major + minor.
int capability() {
  int major = 0;
  int minor = 0;
  DS4_CUDA(cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, 0));
  DS4_CUDA(cudaDeviceGetAttribute(&minor, cudaDevAttrComputeCapabilityMinor, 0));
  return 10 * major + minor;
}

}  // namespace

std::string cuda_device_name() {
  int devices = 0;
  const cudaError_t status = cudaGetDeviceCount(&devices);
  if (status != cudaSuccess || devices == 0) {
    throw Error(ErrorCode::kMachine,
                std::string("no CUDA device can be used: ") + cudaGetErrorString(status),
                "Check nvidia-smi, or use the device cpu.");
  }
  cudaDeviceProp properties;
  DS4_CUDA(cudaGetDeviceProperties(&properties, 0));
  return properties.name;
}

std::unique_ptr<Backend> make_cuda_backend(Precision precision, Residency residency) {
  cuda_device_name();  // without one, its error says why
  return std::make_unique<cuda::CudaBackend>(precision, residency);
}

GpuMemory cuda_memory() {
  cuda_device_name();  // without one, its error says why
  size_t free = 0;
  size_t total = 0;
  int shared = 0;
  DS4_CUDA(cudaMemGetInfo(&free, &total));
  DS4_CUDA(cudaDeviceGetAttribute(&shared, cudaDevAttrIntegrated, 0));
  return {static_cast<int64_t>(total), static_cast<int64_t>(free), shared != 0};
}

int64_t cuda_free_bytes() {
  size_t free = 0;
  size_t total = 0;
  return cudaMemGetInfo(&free, &total) == cudaSuccess ? static_cast<int64_t>(free) : 0;
}

int64_t cuda_used_bytes() {
  size_t free = 0;
  size_t total = 0;
  return cudaMemGetInfo(&free, &total) == cudaSuccess ? static_cast<int64_t>(total - free) : 0;
}

int64_t cuda_kernel_launches() {
  return cuda::kernel_launches;
}

namespace cuda {

void check_launches() {
  DS4_CUDA(cudaGetLastError());
}

CudaBackend::CudaBackend(Precision precision, Residency residency)
    : at_{stream_, precision == Precision::kReference, capability() >= 90, has_warp_groups()},
      residency_(residency),
      weights_(stream_, at_.strict, multiplies_e4m3(capability()), residency,
               [this](int64_t bytes) { return allocate(bytes); }),
      recordings_(stream_, arena_),
      drawn_(kDrawRows * int64_t{sizeof(int32_t)}) {
  const device::Memory& arrived = finishing_.arrived;
  DS4_CUDA(cudaMemsetAsync(arrived.data(), 0, static_cast<size_t>(arrived.bytes()), stream_));
  const device::Memory& none = finishing_.under_way;
  DS4_CUDA(cudaMemsetAsync(none.data(), 0xff, static_cast<size_t>(none.bytes()), stream_));
}

void CudaBackend::wait_with(Task task, const Finish& finish) {
  products_.tasks.push_back(task);
  products_.finishes.push_back(finish);
}

bool CudaBackend::finish_products(const void* out, Finish finish) {
  const auto found = std::ranges::find(products_.tasks, out, &Task::out);
  const bool taken = std::ranges::any_of(
      products_.finishes, [](const Finish& other) { return other.kind != Finish::kNone; });
  if (found == products_.tasks.end() || taken || !can_finish(*found, finish)) return false;
  finish.arrived = reinterpret_cast<unsigned*>(finishing_.arrived.data());
  if (finish.kind == Finish::kArrange) {
    finishing_.second = !finishing_.second;
    finish.arrived += (finishing_.second ? 2 : 1) * kMostArrived;
  }
  products_.finishes[static_cast<size_t>(found - products_.tasks.begin())] = finish;
  return true;
}

void CudaBackend::launch_products() {
  const Products products = std::exchange(products_, {});
  if (products.tasks.empty()) return;
  if (products.tasks.size() == 1 && products.sides.blocks() == 0) {
    few_columns_product(at_, products.tasks[0], products.finishes[0]);
  } else {
    few_columns_set(launch_of(products.sides), products.tasks, products.finishes, products.sides);
  }
  launched(products.sides);
}

void CudaBackend::launch(const Sides& sides) {
  if (sides.blocks() == 0) return;
  run_sides(launch_of(sides), sides);
  launched(sides);
}

Launch CudaBackend::launch_of(const Sides& sides) const {
  Launch at = at_;
  // Which that kernel may have stored, where nothing came in between.
  if (sides.has(Sides::kPooling) || sides.has(Sides::kIndexPooling)) at.early &= stored_.empty();
  return at;
}

void CudaBackend::launched(const Sides& sides) {
  selected_ = false;
  stored_.clear();
  if (sides.has(Sides::kRaw)) stored_.push_back(sides.raw.places);
  for (const Sides::Part part : {Sides::kPooling, Sides::kIndexPooling}) {
    if (sides.has(part)) stored_.push_back(sides.pooling[part - Sides::kPooling].places);
  }
  if (sides.has(Sides::kDots)) add(sides_, sides.coefficients);
  check_launches();
}

void CudaBackend::launch_sides() {
  while (sides_.blocks() > 0) {
    launch_products();  // which make what the sides read
    launch(std::exchange(sides_, {}));
  }
}

void CudaBackend::launch_leaving() {
  if (!waiting_.parts.routed && !waiting_.h.data) return;
  launch_products();
  if (waiting_.h.data) launch_sides();  // which make its coefficients
  const Waiting waiting = std::exchange(waiting_, {});
  if (const Leaving& parts = waiting.parts; parts.routed) {
    combine(at_, waiting.n, parts.per_token, waiting.d, parts.routed, parts.place, parts.shared,
            const_cast<void*>(parts.y));
  }
  if (waiting.h.data) {
    cuda::mix_out(at_, waiting.streams, waiting.n, waiting.d, waiting.y.data, floats(waiting.mix),
                  waiting.h.data);
  }
  check_launches();
}

CudaBackend::Operation CudaBackend::begin(const char* name) {
  settle();
  Sides none;
  return begin_beside(none, name);
}

CudaBackend::Operation CudaBackend::begin_beside(Sides& sides, const char* name) {
  launch_products();
  return begin_with_products(sides, name);
}

CudaBackend::Operation CudaBackend::begin_with_products(Sides& sides, const char* name) {
  if (waiting_.parts.routed || waiting_.h.data) settle();
  sides = std::exchange(sides_, {});
  arena_.clear();
  listed_.ids = nullptr;
  selected_ = false;
  ready_.values = nullptr;
  return {at_, device::Range(name)};
}

weights::ModelWeights CudaBackend::load(weights::OpenedModel opened, bool drafts,
                                        const LoadProgress& progress) {
  const weights::ByteFeed feed(opened.checkpoint);
  weights::ModelWeights model = weights::load_vectors(opened, feed);
  const auto leave_out_drafter = [&] {
    model.mtp.reset();
    model.dspark.reset();
  };
  const bool mapped = residency_ == Residency::kMapped;  // one file serves all engines
  if (!drafts && !mapped) leave_out_drafter();
  weights_.load(model, opened.checkpoint, feed, progress);
  if (!drafts && mapped) leave_out_drafter();
  return model;
}

struct CudaBackend::Reserved {
  explicit Reserved(int64_t bytes) : block(bytes), pool(bytes) {}
  device::Memory block;
  Pool pool;
};

void CudaBackend::reserve(int64_t pieces, int64_t scratch) {
  DS4_CHECK(!reserved_, "reserve() is called once");
  reserved_ = std::make_shared<Reserved>(pieces + Pool::rounded(scratch));
  const Buffer fixed = allocate(scratch);
  arena_.fix(fixed.data, scratch);
}

Buffer CudaBackend::allocate(int64_t bytes) {
  DS4_CHECK(bytes >= 0);
  settle();  // what waits may be about memory that has been given back
  std::shared_ptr<std::byte> data;
  if (reserved_) {
    const std::optional<int64_t> at = reserved_->pool.take(bytes);
    DS4_CHECK(at.has_value(), "more memory is wanted than was planned");
    data = {reserved_->block.data() + *at,
            [reserved = reserved_, at = *at](std::byte*) { reserved->pool.give_back(at); }};
  } else {
    const auto memory = std::make_shared<device::Memory>(std::max<int64_t>(bytes, 1));
    data = {memory, memory->data()};
  }
  DS4_CUDA(cudaMemsetAsync(data.get(), 0, static_cast<size_t>(bytes), stream_));
  return {std::move(data), bytes};
}

void CudaBackend::write_ids(std::span<const int32_t> from, Ids to) {
  settle();
  listed_.ids = nullptr;
  DS4_CUDA(
      cudaMemcpyAsync(to.data, from.data(), from.size_bytes(), cudaMemcpyHostToDevice, stream_));
}

std::span<const float> CudaBackend::read_floats(Floats from, int64_t count) {
  // Pinned: the driver would bring it to other memory in pieces, through pinned memory of its own.
  const int64_t bytes = count * int64_t{sizeof(float)};
  if (host_.bytes() < bytes) host_ = device::HostMemory(bytes);
  read(from.data, {host_.data(), static_cast<size_t>(bytes)});
  return {reinterpret_cast<const float*>(host_.data()), static_cast<size_t>(count)};
}

void CudaBackend::copy(std::span<const Copy> copies) {
  settle();
  listed_.ids = nullptr;
  for (const Copy& c : copies) {
    DS4_CUDA(cudaMemcpyAsync(c.to, c.from, static_cast<size_t>(c.bytes), cudaMemcpyDeviceToDevice,
                             stream_));
  }
}

void CudaBackend::read(const std::byte* from, std::span<std::byte> to) {
  settle();
  DS4_CUDA(cudaMemcpyAsync(to.data(), from, to.size(), cudaMemcpyDeviceToHost, stream_));
  stream_.wait();
}

void CudaBackend::write(std::span<const std::byte> from, std::byte* to) {
  settle();
  listed_.ids = nullptr;
  DS4_CUDA(cudaMemcpyAsync(to, from.data(), from.size(), cudaMemcpyHostToDevice, stream_));
  stream_.wait();
}

void CudaBackend::run_step(std::span<const int64_t> key, Segments segments,
                           const std::function<void()>& operations) {
  const device::Range range("step");
  if (rows_of(segments) > kStepRows) return operations();
  settle();
  recordings_.run(key, segments, [&] {
    operations();
    settle();
  });
}

void CudaBackend::multiply(const Product& product, const Columns& columns, int64_t x_rows, Input x,
                           bool values, void* out, int64_t out_stride) {
  const bool quantises = product.tiled && product.tiles.feed != Feed::kBf16;
  if (x.gated && !quantises) {
    std::byte* hidden = take_values(x_rows * product.cols);
    swiglu(at_, x, x_rows, product.cols, hidden);
    x = {.values = hidden};
  }
  if (!product.tiled) {
    const auto* ready = static_cast<const float*>(x.values);
    if (strict()) {
      float* wide = arena_.take<float>(x_rows * product.cols);
      widen(at_, product.quantise, x_rows, product.cols, x.values, wide);
      ready = wide;
    }
    plain_product(at_, product.table, product.rows, product.cols, columns, ready, values, out,
                  out_stride);
    check_launches();
    return;
  }
  if (arranges(product, columns)) arrange_input(product.tiles, columns, x_rows, x);
  const Task task{product.tiles, columns, x, out, out_stride, values};
  if (columns.columns <= kStepRows) {
    few_columns_product(at_, task, {});
  } else if (at_.warp_groups) {
    group_columns_product(at_, task);
  } else {
    many_columns_product(at_, task);
  }
  check_launches();
}

bool CudaBackend::arranges(const Product& product, const Columns& columns) const {
  if (!product.tiled || arranges_here(product.tiles, columns)) return false;
  return product.tiles.feed != Feed::kBf16 || (columns.columns > kStepRows && at_.warp_groups);
}

Arranging CudaBackend::arranging(Arrange kind, int64_t x_rows, int64_t cols, Input& x) {
  Arranging task{kind, x_rows, cols, x, nullptr, nullptr};
  task.out = arena_.take<std::byte>(x_rows * cols * arranged_bytes(kind));
  const bool scaled = kind != Arrange::kBf16 && kind != Arrange::kBf16Wide;
  if (scaled) task.scales = arena_.take<float>(x_rows * (cols / 128));
  x.arranged = task.out;
  x.scales = task.scales;
  return task;
}

void CudaBackend::arrange_input(const Tiles& tiles, const Columns& columns, int64_t x_rows,
                                Input& x) {
  if (x.arranged) return;
  const bool chunks = columns.columns > kStepRows && at_.warp_groups;
  const Arranging task = arranging(arrange_of(tiles.feed), x_rows, tiles.cols, x);
  arrange(at_, task.kind, chunks ? Order::kChunks : Order::kLanes, x_rows, tiles.cols, task.x,
          task.out, task.scales);
}

void CudaBackend::project(const weights::Matrix& w, int n, Values x, Values y) {
  DS4_CHECK(y.cols == w.rows);
  const Projection one{&w, y};
  project_all("project", {&one, 1}, n, x, nullptr);
}

void CudaBackend::project_wide(const weights::Matrix& w, int n, Values x, Floats y) {
  DS4_CHECK(y.cols == w.rows);
  const Projection one{&w, y};
  project_all("project_wide", {&one, 1}, n, x, nullptr);
}

void CudaBackend::project_each(std::span<const Projection> products, int n, Values x,
                               const RmsNorm* norm) {
  project_all("project_each", products, n, x, norm);
}

Input CudaBackend::hand_over(const Product& product, int n, Values x) {
  Input input{.values = x.data};
  Finish finish;
  finish.kind = Finish::kArrange;
  finish.part = 128;
  finish.under_way = finishing_.under_way.data();
  finish.arrange = arrange_of(product.tiles.feed);
  finish.arranged = finishing_.handed.data();
  finish.scales = reinterpret_cast<float*>(finishing_.handed_scales.data());
  const bool quantises =
      product.tiled && finish.arrange != Arrange::kBf16 && finish.arrange != Arrange::kBf16Wide;
  if (quantises && hands_over(n, x.cols) && finish_products(x.data, finish)) {
    input.arranged = finish.arranged;
    input.scales = finish.scales;
  }
  return input;
}

ArrangedInputs CudaBackend::arranged_x(int n, Values x) {
  ArrangedInputs arranged;
  if (!hands_over(n, x.cols)) return arranged;
  arranged.fp8 = weights_.fp8_arrange();
  arranged.ordered = finishing_.ordered.data();
  arranged.codes = reinterpret_cast<uint32_t*>(finishing_.codes.data());
  arranged.scales = reinterpret_cast<float*>(finishing_.mixed_scales.data());
  return arranged;
}

void CudaBackend::ready_x(const ArrangedInputs& arranged, int n, Values x) {
  if (!arranged.ordered) return;
  ready_ = {x.data, n, {}, {arranged.codes, arranged.scales}};
  ready_.inputs[static_cast<size_t>(arranged.fp8)] = {
      .values = x.data, .arranged = arranged.ordered, .scales = arranged.scales};
}

void CudaBackend::project_all(const char* name, std::span<const Projection> products, int n,
                              Values x, const RmsNorm* norm) {
  // What waits to be read must not be written: draft blocks project into the same rows in turn.
  for (const Projection& projection : products) {
    if (sides_.read(std::visit([](const auto& y) -> const void* { return y.data; }, projection.y)))
      launch_sides();
  }
  const auto product_of = [&](const Projection& projection) -> const Product& {
    const bool values = std::holds_alternative<Values>(projection.y);
    return weights_.product(*projection.w, 1, values && projection.w->quantised());
  };
  // Matrices of a kind share what arrange() makes of x.
  std::array<Input, kArranges> inputs;
  for (int kind = 0; kind < kArranges; ++kind) {
    inputs[static_cast<size_t>(kind)] = ready_.input(static_cast<Arrange>(kind), x.data, n);
  }
  const bool alike = std::ranges::all_of(products, [&](const Projection& projection) {
    const Product& product = product_of(projection);
    return product.tiled && product.tiles.feed == product_of(products[0]).tiles.feed;
  });
  // A norm would be handed over later than each block of the product makes it for itself.
  const Input handed = alike && !norm ? hand_over(product_of(products[0]), n, x) : Input{};
  if (handed.arranged) inputs.fill(handed);
  const Ready ready = ready_;
  Sides sides;
  const Operation at = begin_beside(sides, name);
  if (!norm) ready_ = ready;  // nothing writes x
  Columns columns;
  columns.columns = n;
  if (norm) {
    const bool here = std::ranges::all_of(products, [&](const Projection& projection) {
      const Product& product = product_of(projection);
      return product.tiled && product.tiles.feed != Feed::kBf16 &&
             arranges_here(product.tiles, columns);
    });
    if (here) {
      inputs.fill({.values = x.data, .gain = weights_.vector(norm->gain), .eps = norm->eps});
    } else {
      cuda::rms_norm(at, weights_.vector(norm->gain), norm->eps, n, x.cols, x.data, x.data);
    }
  }
  Products together;
  for (const Projection& projection : products) {
    const weights::Matrix& w = *projection.w;
    const bool values = std::holds_alternative<Values>(projection.y);
    void* y = std::visit([](const auto& view) { return view.data; }, projection.y);
    DS4_CHECK(x.cols == w.cols);
    const Product& product = product_of(projection);
    const Feed feed = product.tiles.feed;
    Input& input = inputs[static_cast<size_t>(arrange_of(feed))];
    if (arranges(product, columns)) arrange_input(product.tiles, columns, n, input);
    const bool fp8 = feed == Feed::kFp8E4m3 || feed == Feed::kFp8F16;
    if (n <= kFewColumns && product.tiled && (fp8 || feed == Feed::kBf16) &&
        together.tasks.size() < kMostTasks) {
      together.tasks.push_back({product.tiles, columns, input, y, w.rows, values});
    } else {
      multiply(product, columns, n, input, values, y, w.rows);
    }
  }
  // Dots take longer than a small product.
  int64_t bytes = 0;
  for (const Task& task : together.tasks) bytes += task.tiles.stride;
  if (bytes < kLargeBytes && sides.only(Sides::kDots)) sides_ = std::exchange(sides, {});
  if (together.tasks.empty()) {
    launch(sides);
  } else {
    together.finishes.resize(together.tasks.size());
    together.sides = sides;
    products_ = std::move(together);
  }
  check_launches();
}

void CudaBackend::project_groups(const weights::Matrix& w, int groups, int n, Values o, Values u) {
  DS4_CHECK(o.cols == groups * w.cols && u.cols == w.rows && w.rows % groups == 0);
  const Input attended = ready_.input(Arrange::kBf16Wide, o.data, n);
  const Operation at = begin();
  Columns columns;
  columns.groups = groups;
  columns.columns = n;
  const Product& product = weights_.product(w, groups, false);
  Input x = attended;
  const int64_t rows = w.rows / groups;
  if (!product.tiled || n > kFewColumns) {
    x = {.values = o.data};
    return multiply(product, columns, int64_t{n} * groups, x, true, u.data, rows);
  }
  if (arranges(product, columns)) arrange_input(product.tiles, columns, int64_t{n} * groups, x);
  wait_with({product.tiles, columns, x, u.data, rows, true}, {});
}

void CudaBackend::embed(const weights::Matrix& table, int n, Ids tokens, Values h) {
  const Operation at = begin();
  DS4_CHECK(h.cols % table.cols == 0);
  cuda::embed(at, weights_.plain(table), n, ints(tokens), static_cast<int>(h.cols / table.cols),
              h.data);
  check_launches();
}

bool CudaBackend::mixes_few(int n, int streams, int64_t d) {
  if (n > kMixedTokens) return false;
  if (streams != mixed_.streams || d != mixed_.d)
    mixed_ = {streams, d, can_mix_few(at_, streams, d)};
  return mixed_.few;
}

Mixing CudaBackend::mixing_of(const MixSettings& settings, std::span<const float> base,
                              std::span<const float> scale, std::span<const float> gain) {
  if (settings.streams > kMaxStreams || gain.size() > kMostMixed) {
    throw Error(
        ErrorCode::kCheckpoint,
        "the CUDA back end takes at most 8 streams of at most 12288 values; this model has " +
            std::to_string(settings.streams) + " of " + std::to_string(gain.size()),
        "Use the device cpu.");
  }
  return {settings.streams,     settings.sinkhorn_iterations, settings.mix_eps,
          settings.norm_eps,    weights_.vector(base),        weights_.vector(scale),
          weights_.vector(gain)};
}

void CudaBackend::mix_in(const weights::HyperConnection& hc, const MixSettings& settings,
                         std::span<const float> gain, int n, Values h, Floats mix, Values x) {
  DS4_CHECK(h.cols == x.cols * settings.streams && mix.cols == hc.fn.rows);
  const Mixing mixing = mixing_of(settings, hc.base, hc.scale, gain);
  if (hc.fn.format == weights::Matrix::Format::kF32 && mixes_few(n, settings.streams, x.cols)) {
    const PlainMatrix fn = weights_.plain(hc.fn);
    Waiting& w = waiting_;
    Leaving leaving;
    if (w.h.data == h.data && w.mix.data == mix.data && w.n == n && w.streams == settings.streams &&
        w.d == x.cols) {
      leaving = w.parts;
      leaving.y = w.y.data;
      leaving.mix = floats(w.mix);
      waiting_ = {};
      launch_products();
      launch_sides();
    } else {
      settle();
    }
    const device::Range range("mix_in");
    listed_.ids = nullptr;
    selected_ = false;
    const ArrangedInputs arranged = arranged_x(n, x);
    mix_few(at_, leaving, fn, mixing, n, x.cols, h.data, floats(mix), x.data, arranged);
    ready_x(arranged, n, x);
    add_dots(sides_, {mixing, n, floats(mix), x.cols, reinterpret_cast<const float*>(fn.data),
                      h.data, reinterpret_cast<float*>(finishing_.mixed_dots.data())});
    return check_launches();
  }
  const Operation at = begin();
  float* scratch = arena_.take<float>(mixing_scratch(hc.fn.rows, hc.fn.cols, n));
  const ArrangedInputs arranged = arranged_x(n, x);
  cuda::mix_in(at, weights_.plain(hc.fn), mixing, n, x.cols, h.data, scratch, floats(mix), x.data,
               arranged);
  ready_x(arranged, n, x);
  check_launches();
}

void CudaBackend::mix_head(const weights::HeadMix& hc, const MixSettings& settings,
                           std::span<const float> gain, int n, Values h, Values x) {
  const Operation at = begin();
  DS4_CHECK(h.cols == x.cols * settings.streams && hc.fn.rows == settings.streams);
  const Mixing mixing = mixing_of(settings, hc.base, hc.scale, gain);
  float* scratch = arena_.take<float>(mixing_scratch(hc.fn.rows, hc.fn.cols, n));
  cuda::mix_head(at, weights_.plain(hc.fn), mixing, n, x.cols, h.data, scratch, x.data);
  check_launches();
}

void CudaBackend::mix_out(int streams, int n, Values y, Floats mix, Values h) {
  DS4_CHECK(h.cols == y.cols * streams && streams <= kMaxStreams);
  const bool of_parts =
      waiting_.parts.routed && waiting_.parts.y == y.data && waiting_.n == n && !waiting_.h.data;
  const device::Range range("mix_out");
  launch_products();
  if (!of_parts) settle();
  waiting_.y = y;
  waiting_.h = h;
  waiting_.mix = mix;
  waiting_.streams = streams;
  waiting_.n = n;
  waiting_.d = y.cols;
  if (!mixes_few(n, streams, y.cols)) settle();
}

void CudaBackend::rms_norm(std::span<const float> gain, float eps, int n, Values x, Values y) {
  DS4_CHECK(static_cast<int64_t>(gain.size()) == x.cols && x.cols == y.cols);
  cuda::rms_norm(begin(), weights_.vector(gain), eps, n, x.cols, x.data, y.data);
  check_launches();
}

}  // namespace cuda
}  // namespace ds4::ops
