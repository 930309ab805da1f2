// Server-sent events out of bytes that arrive in any pieces (WHATWG HTML, "Event stream
// interpretation"). Pure; knows no socket and no JSON.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>

namespace ds4::runners::openai {

struct SseEvent {
  std::string name;  // of `event:`; "error" also where a server writes its error as a field
  std::string data;  // lines of `data:` joined by line feeds
};

class SseParser {
 public:
  /// No event may be longer; a server that sends a longer one is not speaking to us.
  static constexpr size_t kMostEventBytes = size_t{16} << 20;

  /// Calls `on_event` for every event these bytes complete. False once an event was too long; what
  /// follows is then ignored.
  bool feed(std::string_view bytes, const std::function<void(const SseEvent&)>& on_event);
  /// At the end of the stream: an event that lacks only its empty line counts, since servers forget
  /// it. (The standard drops it.)
  bool finish(const std::function<void(const SseEvent&)>& on_event);

  /// Comment lines so far: servers send them to keep a connection alive.
  size_t comments() const { return comments_; }
  bool too_long() const { return too_long_; }

 private:
  void end_line(const std::function<void(const SseEvent&)>& on_event);
  void dispatch(const std::function<void(const SseEvent&)>& on_event);

  std::string line_;
  SseEvent event_;
  bool has_data_ = false;
  bool after_cr_ = false;   // a line feed now belongs to the carriage return before it
  bool first_line_ = true;  // where a byte order mark may stand
  bool too_long_ = false;
  size_t comments_ = 0;
};

}  // namespace ds4::runners::openai
