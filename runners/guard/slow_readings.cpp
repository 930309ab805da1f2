#include "runners/guard/slow_readings.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <set>
#include <string>
#include <string_view>

#include "probes/nvml.h"
#include "runners/guard/strays.h"

namespace ds4::runners::guard {
namespace {

constexpr int kPeriod_ms = 500;
constexpr int kPause_ms = 20;  // many new segments must not keep a processor busy

// The sum or the extreme of what GPUs tell; a GPU that does not tell changes nothing.
void add(int64_t& sum, int64_t value) {
  if (value >= 0) sum = std::max<int64_t>(sum, 0) + value;
}
void largest(int64_t& most, int64_t value) {
  most = std::max(most, value);
}
void smallest(int64_t& least, int64_t value) {
  if (value >= 0) least = least < 0 ? value : std::min(least, value);
}

}  // namespace

struct SlowReadings::Gpus {
  std::string why_not;
  std::unique_ptr<probes::Nvml> nvml = probes::Nvml::open(why_not);
  probes::GpuState state;
};

SlowReadings::SlowReadings()
    : kernel_log_(::open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC)),
      end_(::eventfd(0, EFD_CLOEXEC)) {
  if (kernel_log_ >= 0) {
    ::lseek(kernel_log_, 0, SEEK_END);  // what was logged before is not ours
    values_.nvrm_lines = 0;
  }
  thread_ = std::thread([this] { work(); });
}

SlowReadings::~SlowReadings() {
  ending_ = true;
  ::eventfd_write(end_, 1);
  thread_.join();
  ::close(end_);
  if (kernel_log_ >= 0) ::close(kernel_log_);
}

void SlowReadings::guard(std::shared_ptr<const Group> group) {
  const std::lock_guard lock(mutex_);
  group_ = std::move(group);
}

void SlowReadings::read(Sample& sample) const noexcept {
  sample.gpu_processes = values_.gpu_processes;
  sample.gpu_target = values_.gpu_target;
  sample.gpu_free = values_.gpu_free;
  sample.gpu_temperature = values_.gpu_temperature;
  sample.gpu_clock = values_.gpu_clock;
  sample.gpu_memory_clock = values_.gpu_memory_clock;
  sample.gpu_throttle = values_.gpu_throttle;
  sample.nvrm_lines = values_.nvrm_lines;
}

Leftovers SlowReadings::clean_up() {
  const std::unique_lock lock(mutex_, std::chrono::seconds(2));
  return lock.owns_lock() ? shared_memory_.clean_up() : Leftovers{};
}

void SlowReadings::work() {
  gpus_ = std::make_unique<Gpus>();  // here: a driver that is not loaded takes seconds to come up
  while (!ending_) {
    read_gpus();
    read_kernel_log();
    {
      const std::lock_guard lock(mutex_);
      if (group_) shared_memory_.look(*group_);
    }
    // A segment is told by its creation, and must be seen in use before its user is gone.
    std::array<pollfd, 2> events{{{end_, POLLIN, 0}, {shared_memory_.fd(), POLLIN, 0}}};
    ::poll(events.data(), 2, kPeriod_ms);
    ::poll(events.data(), 1, kPause_ms);
  }
}

void SlowReadings::read_gpus() {
  if (!gpus_->nvml) return;
  std::set<int64_t> members;
  {
    const std::lock_guard lock(mutex_);
    if (group_) {
      for (const pid_t pid : group_->members()) members.insert(pid);
      // What left the group takes memory all the same.
      const std::string mark = mark_of(group_->id(), group_->start_ticks());
      for (const ProcessMark& process : marked_processes(mark)) members.insert(process.pid);
    }
  }
  Sample all;
  for (size_t i = 0; i < gpus_->nvml->gpus().size(); ++i) {
    probes::GpuState& state = gpus_->state;
    gpus_->nvml->read(i, state);
    add(all.gpu_free, state.free_bytes);
    largest(all.gpu_temperature, state.temperature_c);
    smallest(all.gpu_clock, state.sm_clock_mhz);
    smallest(all.gpu_memory_clock, state.memory_clock_mhz);
    if (state.throttle_reasons >= 0) {
      all.gpu_throttle = std::max<int64_t>(all.gpu_throttle, 0) | state.throttle_reasons;
    }
    for (int p = 0; p < state.n_processes; ++p) {
      const probes::GpuProcess& process = state.processes[static_cast<size_t>(p)];
      add(all.gpu_processes, process.used_bytes);
      if (members.contains(process.pid)) add(all.gpu_target, process.used_bytes);
    }
    if (state.n_processes == 0) add(all.gpu_processes, 0);
  }
  values_.gpu_processes = all.gpu_processes;
  values_.gpu_target = all.gpu_target;
  values_.gpu_free = all.gpu_free;
  values_.gpu_temperature = all.gpu_temperature;
  values_.gpu_clock = all.gpu_clock;
  values_.gpu_memory_clock = all.gpu_memory_clock;
  values_.gpu_throttle = all.gpu_throttle;
}

void SlowReadings::read_kernel_log() {
  std::array<char, 8192> record;  // one read gives one record
  while (kernel_log_ >= 0) {
    const ssize_t n = ::read(kernel_log_, record.data(), record.size());
    if (n < 0 && errno == EPIPE) continue;  // some were overwritten before they were read
    if (n <= 0) return;
    const std::string_view text(record.data(), static_cast<size_t>(n));
    if (text.find("NVRM") != std::string_view::npos) values_.nvrm_lines += 1;
  }
}

}  // namespace ds4::runners::guard
