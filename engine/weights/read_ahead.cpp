#include "engine/weights/read_ahead.h"

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <exception>
#include <mutex>
#include <numeric>
#include <optional>
#include <thread>
#include <vector>

#include "engine/base/check.h"

namespace ds4::weights {
namespace {

// Bytes nobody asked for that are read rather than starting another read behind them.
constexpr int64_t kGap = 64 << 10;

// Consecutive bytes of one file, or a piece of memory.
struct Read {
  const std::byte* from = nullptr;
  int64_t bytes = 0;
  size_t n_parts = 0;
};

// What fills a room.
struct Batch {
  std::vector<Read> reads;
  std::vector<Part> parts;  // in the order of the reads; `data` still as in the checkpoint
};

class Batches {
 public:
  Batches(const ByteFeed& feed, std::span<const Wanted> wanted, int64_t room)
      : feed_(feed), wanted_(wanted), room_(room) {
    std::vector<size_t> order(wanted.size());
    std::iota(order.begin(), order.end(), size_t{0});
    std::sort(order.begin(), order.end(),
              [&](size_t a, size_t b) { return std::less<>()(wanted[a].from, wanted[b].from); });
    for (const size_t i : order) add(i);
  }
  const std::vector<Batch>& all() const { return all_; }

 private:
  void add(size_t i) {
    const Wanted& piece = wanted_[i];
    for (int64_t first = 0; first < piece.bytes;) {
      int64_t bytes = fitting(piece, first);
      if (bytes == 0) {
        all_.emplace_back();
        used_ = 0;
        bytes = fitting(piece, first);
        DS4_CHECK(bytes > 0, "a room is smaller than a grain");
      }
      put(i, first, bytes);
      first += bytes;
    }
  }

  // Whether the last read may go on to a part that begins here.
  bool joins(const std::byte* from) const {
    if (all_.empty() || all_.back().reads.empty()) return false;
    const Read& last = all_.back().reads.back();
    return from <= last.from + last.bytes + kGap && feed_.together(last.from, from);
  }

  int64_t joined_bytes(const std::byte* end) const {
    const Read& last = all_.back().reads.back();
    return std::max(last.bytes, end - last.from);
  }

  // How much of the piece behind `first` the last batch can still take: all, or whole grains.
  int64_t fitting(const Wanted& piece, int64_t first) const {
    if (all_.empty()) return 0;
    const std::byte* from = piece.from + first;
    int64_t room = room_ - used_ - 2 * ByteFeed::kAlign;
    if (joins(from)) {
      const Read& last = all_.back().reads.back();
      room += ByteFeed::room_for(last.bytes) - (from - last.from);
    }
    const int64_t left = piece.bytes - first;
    return room >= left ? left : std::max<int64_t>(room, 0) / piece.grain * piece.grain;
  }

  void put(size_t i, int64_t first, int64_t bytes) {
    Batch& batch = all_.back();
    const std::byte* from = wanted_[i].from + first;
    if (joins(from)) {
      Read& last = batch.reads.back();
      used_ -= ByteFeed::room_for(last.bytes);
      last.bytes = joined_bytes(from + bytes);
      ++last.n_parts;
    } else {
      batch.reads.push_back({from, bytes, 1});
    }
    used_ += ByteFeed::room_for(batch.reads.back().bytes);
    DS4_CHECK(used_ <= room_);
    batch.parts.push_back({i, first, bytes, from});
  }

  const ByteFeed& feed_;
  std::span<const Wanted> wanted_;
  const int64_t room_;
  int64_t used_ = 0;  // of the last batch's room
  std::vector<Batch> all_;
};

// The rooms between readers and taker.
class Exchange {
 public:
  struct Full {
    size_t room = 0;
    std::vector<Part> parts;
  };

  explicit Exchange(size_t rooms) : empty_(rooms) { std::iota(empty_.begin(), empty_.end(), 0); }

  std::optional<size_t> empty_room() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return stopped_ || !empty_.empty(); });
    if (stopped_) return std::nullopt;
    const size_t room = empty_.front();
    empty_.pop_front();
    return room;
  }
  void give_empty(size_t room) {
    const std::lock_guard lock(mutex_);
    empty_.push_back(room);
    changed_.notify_all();
  }
  void give_full(Full full) {
    const std::lock_guard lock(mutex_);
    full_.push_back(std::move(full));
    changed_.notify_all();
  }
  /// Throws what stopped a reader.
  Full full_room() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return stopped_ || !full_.empty(); });
    if (error_) std::rethrow_exception(error_);
    Full full = std::move(full_.front());
    full_.pop_front();
    return full;
  }
  void stop(std::exception_ptr error = nullptr) {
    const std::lock_guard lock(mutex_);
    stopped_ = true;
    if (!error_) error_ = std::move(error);
    changed_.notify_all();
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<size_t> empty_;
  std::deque<Full> full_;
  bool stopped_ = false;
  std::exception_ptr error_;
};

std::vector<Part> fill(const ByteFeed& feed, const Batch& batch, std::span<std::byte> room) {
  std::vector<Part> parts = batch.parts;
  auto part = parts.begin();
  size_t at = 0;
  for (const Read& read : batch.reads) {
    const auto size = static_cast<size_t>(ByteFeed::room_for(read.bytes));
    const std::byte* data = feed.fetch(read.from, read.bytes, room.subspan(at, size));
    at += size;
    for (size_t i = 0; i < read.n_parts; ++i, ++part) {
      part->data = data + (part->data - read.from);
    }
  }
  return parts;
}

}  // namespace

void read_ahead(const ByteFeed& feed, std::span<const Wanted> wanted, Rooms rooms, int threads,
                const ReadAheadCalls& calls) {
  DS4_CHECK(!rooms.empty() && threads > 0);
  const Batches batches(feed, wanted, static_cast<int64_t>(rooms.front().size()));
  Exchange exchange(rooms.size());
  std::atomic<size_t> next = 0;
  const auto work = [&] {
    try {
      while (true) {
        // The room first: batches begin in order, and none waits while a later one is read.
        const std::optional<size_t> room = exchange.empty_room();
        if (!room) return;
        const size_t i = next++;
        if (i >= batches.all().size()) return exchange.give_empty(*room);
        calls.free(*room);
        exchange.give_full({*room, fill(feed, batches.all()[i], rooms[*room])});
      }
    } catch (...) {
      exchange.stop(std::current_exception());
    }
  };
  std::vector<std::jthread> readers;
  const struct Stop {
    Exchange& exchange;
    ~Stop() { exchange.stop(); }
  } stop{exchange};  // before the threads are joined, whatever happens
  for (int i = 0; i < threads && static_cast<size_t>(i) < batches.all().size(); ++i) {
    readers.emplace_back(work);
  }
  for (size_t done = 0; done < batches.all().size(); ++done) {
    const Exchange::Full full = exchange.full_room();
    calls.take(full.room, full.parts);
    exchange.give_empty(full.room);
  }
}

}  // namespace ds4::weights
