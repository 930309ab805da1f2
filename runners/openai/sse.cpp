#include "runners/openai/sse.h"

namespace ds4::runners::openai {

bool SseParser::feed(std::string_view bytes, const std::function<void(const SseEvent&)>& on_event) {
  while (!bytes.empty() && !too_long_) {
    if (after_cr_ && bytes.front() == '\n') {
      bytes.remove_prefix(1);
      after_cr_ = false;
      continue;
    }
    after_cr_ = false;
    const size_t end = bytes.find_first_of("\r\n");
    const std::string_view part = bytes.substr(0, end);
    if (line_.size() + event_.data.size() + part.size() > kMostEventBytes) {
      too_long_ = true;
      break;
    }
    line_ += part;
    if (end == std::string_view::npos) break;
    after_cr_ = bytes[end] == '\r';
    bytes.remove_prefix(end + 1);
    end_line(on_event);
  }
  return !too_long_;
}

bool SseParser::finish(const std::function<void(const SseEvent&)>& on_event) {
  if (too_long_) return false;
  if (!line_.empty()) end_line(on_event);
  dispatch(on_event);
  return true;
}

void SseParser::end_line(const std::function<void(const SseEvent&)>& on_event) {
  std::string line;
  line.swap(line_);
  if (first_line_ && line.starts_with("\xEF\xBB\xBF")) line.erase(0, 3);
  first_line_ = false;
  if (line.empty()) {
    dispatch(on_event);
    return;
  }
  if (line.front() == ':') {
    ++comments_;
    return;
  }
  const size_t colon = line.find(':');
  const std::string_view field = std::string_view(line).substr(0, colon);
  std::string_view value;
  if (colon != std::string::npos) value = std::string_view(line).substr(colon + 1);
  if (value.starts_with(' ')) value.remove_prefix(1);
  if (field == "event") {
    event_.name = value;
  } else if (field == "data" || field == "error") {
    // `error:` is no field of the standard; llama.cpp's server had it.
    if (field == "error") event_.name = "error";
    if (has_data_) event_.data += '\n';
    event_.data += value;
    has_data_ = true;
  }
}

void SseParser::dispatch(const std::function<void(const SseEvent&)>& on_event) {
  SseEvent event;
  std::swap(event, event_);
  if (has_data_) on_event(event);
  has_data_ = false;
}

}  // namespace ds4::runners::openai
