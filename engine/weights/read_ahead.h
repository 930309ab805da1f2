// Many pieces of a checkpoint, read by a few threads in the order of its files into a bounded set
// of rooms, taken out by the caller. What becomes of a piece is the caller's business.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>

#include "engine/weights/byte_feed.h"

namespace ds4::weights {

/// A piece that is wanted. It may come in parts, cut at multiples of `grain` bytes.
struct Wanted {
  const std::byte* from = nullptr;
  int64_t bytes = 0;
  int64_t grain = 1;
};

/// Bytes [first, first + bytes) of a piece.
struct Part {
  size_t wanted = 0;  // index of the piece
  int64_t first = 0;
  int64_t bytes = 0;
  const std::byte* data = nullptr;  // inside a room
};

/// Where bytes wait: each room of equal size, beginning at a multiple of ByteFeed::kAlign.
using Rooms = std::span<const std::span<std::byte>>;

struct ReadAheadCalls {
  /// On a reader's thread before it fills a room: waits until whoever took its parts is done.
  std::function<void(size_t room)> free = [](size_t) {};
  /// On the caller's thread: parts that lie in `room` now.
  std::function<void(size_t room, std::span<const Part> parts)> take;
};

/// Gives every byte of `wanted` to `take` once. A grain must fit a room. Throws what the feed or a
/// call throws, after all threads have stopped.
void read_ahead(const ByteFeed& feed, std::span<const Wanted> wanted, Rooms rooms, int threads,
                const ReadAheadCalls& calls);

}  // namespace ds4::weights
