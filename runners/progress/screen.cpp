#include "runners/progress/screen.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <string_view>

#include "runners/progress/columns.h"

namespace ds4::runners {
namespace {

constexpr const char* kNoWrap = "\033[?7l";  // a line too wide by our count must not become two
constexpr const char* kWrap = "\033[?7h";
constexpr const char* kEraseLine = "\033[K";   // from the cursor to the end of the line
constexpr const char* kEraseBelow = "\033[J";  // ... to the end of the screen

// The text without its colours ("\033[...m").
std::string plain(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\033') {
      i = std::min(text.find('m', i), text.size() - 1);
    } else {
      out += text[i];
    }
  }
  return out;
}

}  // namespace

std::string Screen::frame(const std::string& above, const std::vector<std::string>& lines,
                          int columns) {
  if (drawn_.empty() && lines.empty()) return above;
  // A terminal that was made narrower since has broken lines in two.
  int rows = 0;
  for (const int width : drawn_) rows += std::max(1, (width + columns - 1) / columns);
  std::string text = kNoWrap;
  text += '\r';
  if (rows > 0) text += "\033[" + std::to_string(rows) + "A";
  if (!above.empty()) text += kEraseBelow + (kWrap + above) + kNoWrap;
  drawn_.clear();
  for (const std::string& line : lines) {
    text += line + kEraseLine + "\r\n";
    drawn_.push_back(text_columns(plain(line)));
  }
  return text + kEraseBelow + kWrap;
}

ViewSize terminal_size(int fd) {
  winsize size{};
  if (::ioctl(fd, TIOCGWINSZ, &size) != 0 || size.ws_col == 0 || size.ws_row == 0) return {};
  return {size.ws_col, size.ws_row};
}

void write_all(int fd, const std::string& text) {
  for (size_t done = 0; done < text.size();) {
    const ssize_t n = ::write(fd, text.data() + done, text.size() - done);
    if (n < 0 && errno != EINTR) return;  // a terminal that is gone, or full
    if (n > 0) done += static_cast<size_t>(n);
  }
}

}  // namespace ds4::runners
