// The GPU's memory on paper: where each parameter lies, the pool of the working block, and reading
// ahead into a bounded set of rooms. No GPU is needed.
#include "engine/ops/cuda/weight_plan.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <random>

#include "engine/base/error.h"
#include "engine/ops/cuda/estimate.h"
#include "engine/ops/cuda/pool.h"
#include "engine/weights/byte_feed.h"
#include "engine/weights/read_ahead.h"
#include "engine/weights/structure.h"
#include "tests/unit/engine/golden_file.h"

namespace ds4::ops::cuda {
namespace {
using weights::ByteFeed;
using weights::Matrix;

bool always(const Matrix&) {
  return true;
}

// Checks what every plan promises; returns the bytes of the pieces.
int64_t expect_sound(const WeightPlan& plan) {
  std::vector<std::pair<int64_t, int64_t>> places;
  int64_t sum = 0;
  for (const WeightPiece& piece : plan.pieces()) {
    EXPECT_GE(piece.at, 0);
    EXPECT_LE(piece.at + piece.bytes, plan.bytes());
    EXPECT_EQ(piece.bytes % piece.grain(), 0);
    places.emplace_back(piece.at, piece.bytes);
    sum += piece.bytes;
  }
  for (const auto& [key, p] : plan.products()) {
    for (const int64_t at : {p.weights, p.scales, p.table}) EXPECT_EQ(at % 256, 0);
  }
  for (const auto& [key, at] : plan.vectors()) EXPECT_EQ(at % 256, 0);
  for (const auto& [key, w] : plan.plain()) EXPECT_EQ(w.data % 256, 0);
  std::sort(places.begin(), places.end());
  for (size_t i = 1; i < places.size(); ++i) {
    EXPECT_GE(places[i].first, places[i - 1].first + places[i - 1].second) << "pieces overlap";
  }
  EXPECT_EQ(plan.bytes() % 256, 0);
  return sum;
}

TEST(WeightPlan, HoldsEveryParameterOnce) {
  for (const char* name : {"synthetic:k7:layers=5:shape=micro", "synthetic:k160:layers=4"}) {
    SCOPED_TRACE(name);
    const weights::OpenedModel opened = weights::open_model(name);
    const weights::ModelWeights shapes = weights::model_shapes(opened);
    // As stored but for vectors, which become f32 and 32-bit ids.
    std::map<const std::byte*, const weights::TensorRef*> tensors;
    for (const weights::TensorRef& tensor : opened.checkpoint.tensors()) {
      tensors.emplace(tensor.data.data(), &tensor);
    }
    for (const bool tiles : {true, false}) {
      WeightPlan plan(tiles, always);
      plan.add(shapes);
      const int64_t sum = expect_sound(plan);
      EXPECT_LT(plan.bytes() - sum, sum / 50 + (1 << 20)) << "more filling than content";
      int64_t matrices = 0;
      std::map<const std::byte*, int> seen;
      for (const WeightPiece& piece : plan.pieces()) {
        EXPECT_EQ(++seen[piece.from], 1) << "stored twice";
        const auto found = tensors.find(piece.from);
        if (found == tensors.end()) continue;  // a vector
        EXPECT_EQ(piece.bytes, found->second->bytes());
        matrices += piece.bytes;
        if (tiles && shapes.config.hidden_size == 4096 &&
            found->second->dtype == weights::Dtype::kI8) {
          EXPECT_EQ(piece.layout, WeightPiece::Layout::kPlanes);
        }
        if (!tiles) {
          EXPECT_EQ(piece.layout, WeightPiece::Layout::kStored);
        }
      }
      int64_t stored = 0;
      for (const auto& [at, tensor] : tensors) {
        if (tensor->shape.size() == 2 && !tensor->name.ends_with("ape") &&
            !tensor->name.ends_with("tid2eid")) {
          stored += tensor->bytes();
        }
      }
      EXPECT_EQ(matrices, stored);
      const CudaWeightBytes estimate =
          cuda_weight_bytes(shapes, tiles ? Precision::kReference : Precision::kF32);
      EXPECT_EQ(plan.bytes(), estimate.block);
      EXPECT_EQ(plan.table_bytes(), estimate.tables);
      const int64_t once = plan.bytes();
      plan.add(shapes);
      EXPECT_EQ(plan.bytes(), once) << "a second time changes nothing";
    }
  }
}

TEST(WeightPlan, ExtremeScalesStayAsStored) {
  const weights::OpenedModel opened = weights::open_model("synthetic:k7:layers=5:shape=micro");
  const weights::ModelWeights shapes = weights::model_shapes(opened);
  WeightPlan usual(true, always);
  usual.add(shapes);
  const Matrix& odd = shapes.layers[1].ffn.experts[3].w2;
  WeightPlan plan(true, [&](const Matrix& w) { return w.scales != odd.scales; });
  plan.add(shapes);
  expect_sound(plan);
  const void* key = shapes.layers[1].ffn.experts[0].w1.data;
  EXPECT_TRUE(usual.stacks().at(key).down.tiled);
  EXPECT_FALSE(plan.stacks().at(key).down.tiled);
  EXPECT_EQ(plan.stacks().at(key).up.front().tiled, usual.stacks().at(key).up.front().tiled);

  std::vector<std::byte> scales(1000, std::byte{127});
  EXPECT_TRUE(ordinary_scales(scales));
  for (const int extreme : {0, 201, 254}) {
    for (const size_t at : {size_t{0}, size_t{517}, size_t{999}}) {
      scales[at] = static_cast<std::byte>(extreme);
      EXPECT_FALSE(ordinary_scales(scales));
      scales[at] = std::byte{1};
      EXPECT_TRUE(ordinary_scales(scales));
    }
  }
}

TEST(Pool, FirstFitAndJoins) {
  Pool pool(4096 + 100);  // the rest is no whole piece
  EXPECT_EQ(pool.take(1), 0);
  EXPECT_EQ(pool.take(256), 256);
  EXPECT_EQ(pool.take(257), 512);
  EXPECT_EQ(pool.take(0), 1024);
  EXPECT_EQ(pool.take(4096), std::nullopt);
  EXPECT_EQ(pool.free_bytes(), 4096 - 1280);
  pool.give_back(256);
  EXPECT_EQ(pool.take(300), 1280) << "the gap of 256 is too small";
  EXPECT_EQ(pool.take(256), 256);
  pool.give_back(0);
  pool.give_back(512);
  pool.give_back(256);
  EXPECT_EQ(pool.take(1024), 0) << "three neighbours are one gap";
  EXPECT_DEATH(pool.give_back(256), "nobody took");
  for (const int64_t at : {0, 1024, 1280}) pool.give_back(at);
  EXPECT_EQ(pool.take(4096), 0);
}

// Sessions of equal pieces come and go whole: whatever the order, the planned number fits.
TEST(Pool, SessionsComeAndGo) {
  const std::vector<int64_t> pieces{700'000, 1, 33'333, 256, 90'000};
  int64_t session = 0;
  for (const int64_t bytes : pieces) session += Pool::rounded(bytes);
  constexpr int kSessions = 4;
  Pool pool(kSessions * session);
  std::mt19937 random(1);
  std::vector<std::vector<int64_t>> open;
  for (int i = 0; i < 2000; ++i) {
    if (open.size() < kSessions && (open.empty() || random() % 2)) {
      std::vector<int64_t>& places = open.emplace_back();
      for (const int64_t bytes : pieces) {
        const auto at = pool.take(bytes);
        ASSERT_TRUE(at) << i;
        places.push_back(*at);
      }
    } else {
      const auto gone = open.begin() + static_cast<std::ptrdiff_t>(random() % open.size());
      std::shuffle(gone->begin(), gone->end(), random);
      for (const int64_t at : *gone) pool.give_back(at);
      open.erase(gone);
    }
    ASSERT_EQ(pool.free_bytes(), (kSessions - static_cast<int64_t>(open.size())) * session);
  }
}

class Rooms {
 public:
  Rooms(size_t count, size_t bytes)
      : data_(static_cast<std::byte*>(std::aligned_alloc(ByteFeed::kAlign, count * bytes)),
              &std::free) {
    for (size_t i = 0; i < count; ++i) rooms_.emplace_back(data_.get() + i * bytes, bytes);
  }
  weights::Rooms get() const { return rooms_; }

 private:
  std::unique_ptr<std::byte, decltype(&std::free)> data_;
  std::vector<std::span<std::byte>> rooms_;
};

// A whole model through few small rooms: every byte once, parts cut where they may be.
void expect_all_read(const weights::OpenedModel& opened, const weights::ModelWeights& truth,
                     int threads) {
  const ByteFeed feed(opened.checkpoint);
  const weights::ModelWeights named = weights::load_vectors(opened, feed);
  WeightPlan plan(true, always);
  plan.add(named);
  WeightPlan expected(true, always);
  expected.add(truth);
  ASSERT_EQ(plan.bytes(), expected.bytes());
  ASSERT_EQ(plan.pieces().size(), expected.pieces().size());
  std::vector<weights::Wanted> wanted;
  for (const WeightPiece& piece : plan.pieces()) {
    wanted.push_back({piece.from, piece.bytes, piece.grain()});
  }
  std::vector<std::byte> block(static_cast<size_t>(plan.bytes()), std::byte{0x5A});
  std::vector<std::byte> other(block);
  for (const WeightPiece& piece : expected.pieces()) {
    std::memcpy(other.data() + piece.at, piece.from, static_cast<size_t>(piece.bytes));
  }
  const Rooms rooms(3, 256 << 10);
  int64_t bytes = 0;
  weights::ReadAheadCalls calls;
  calls.take = [&](size_t room, std::span<const weights::Part> parts) {
    for (const weights::Part& part : parts) {
      const WeightPiece& piece = plan.pieces()[part.wanted];
      EXPECT_EQ(part.first % piece.grain(), 0);
      EXPECT_EQ(part.bytes % piece.grain(), 0);
      EXPECT_GE(part.data, rooms.get()[room].data());
      EXPECT_LE(part.data + part.bytes, rooms.get()[room].data() + rooms.get()[room].size());
      std::memcpy(block.data() + piece.at + part.first, part.data, static_cast<size_t>(part.bytes));
      bytes += part.bytes;
    }
  };
  read_ahead(feed, wanted, rooms.get(), threads, calls);
  int64_t sum = 0;
  for (const weights::Wanted& piece : wanted) sum += piece.bytes;
  EXPECT_EQ(bytes, sum);
  EXPECT_TRUE(block == other);
}

TEST(ReadAhead, GivesEveryByteOnce) {
  const auto folder = golden::vectors_dir() / "models";
  for (const int threads : {1, 4}) {
    for (const char* model : {"one_csa", "wide", "odd"}) {
      if (!std::filesystem::is_directory(folder / model)) continue;
      SCOPED_TRACE(model);
      expect_all_read(weights::open_model(folder / model), weights::load_weights(folder / model),
                      threads);
    }
    const char* generated = "synthetic:k7:layers=5:shape=micro";
    expect_all_read(weights::open_model(generated), weights::load_weights(generated), threads);
  }
}

TEST(ReadAhead, PassesErrorsOnAndStops) {
  const std::vector<std::byte> memory(1 << 20);
  const ByteFeed feed;
  std::vector<weights::Wanted> wanted;
  for (int64_t at = 0; at < 1 << 20; at += 1 << 12) wanted.push_back({memory.data() + at, 4096});
  const Rooms rooms(2, 32 << 10);
  weights::ReadAheadCalls calls;
  int taken = 0;
  calls.take = [&](size_t, std::span<const weights::Part>) {
    if (++taken == 3) throw Error(ErrorCode::kIo, "taker", "");
  };
  EXPECT_THROW(read_ahead(feed, wanted, rooms.get(), 3, calls), Error);
  calls.take = [](size_t, std::span<const weights::Part>) {};
  calls.free = [&](size_t) {
    if (++taken == 6) throw Error(ErrorCode::kIo, "reader", "");
  };
  EXPECT_THROW(read_ahead(feed, wanted, rooms.get(), 1, calls), Error);
  calls.free = [](size_t) {};
  const Rooms small(2, 8 << 10);
  wanted.assign(1, {memory.data(), 1 << 16, 1 << 15});
  EXPECT_DEATH(read_ahead(feed, wanted, small.get(), 1, calls), "smaller than a grain");
}

}  // namespace
}  // namespace ds4::ops::cuda
