#include "runners/targets/load_watch.h"

#include "engine/base/units.h"

namespace ds4::runners {
namespace {

constexpr double kShowEvery_s = 0.25;

}  // namespace

std::string LoadWatch::told(int64_t done, int64_t total, double now) {
  if (!begun_) {
    // The first piece was under way before anybody told of it; the rate begins behind it.
    begun_ = true;
    first_s_ = now;
    first_done_ = done;
  }
  done_ = done;
  last_s_ = now;
  if (done < total && shown_s_ != 0 && now - shown_s_ < kShowEvery_s) return "";
  shown_s_ = now;
  std::string text = format_bytes(done) + " of " + format_bytes(total);
  if (rate() <= 0) return text;
  text += ", " + format_number(rate() / 1e9) + " GB/s";
  const double left = static_cast<double>(total - done) / rate();
  return text + ", " + format_seconds(left) + " left";
}

double LoadWatch::rate() const {
  const double seconds = last_s_ - first_s_;
  return seconds > 0 ? static_cast<double>(done_ - first_done_) / seconds : 0;
}

}  // namespace ds4::runners
