// One measuring run at a time on a machine: a lock file that every ds4-sweep of every user agrees
// on. It ends with the processes that hold it, so a crash leaves nothing behind to clear.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>

namespace ds4::runners {

class BoxLock {
 public:
  /// Who holds the lock, as the holder wrote it; whatever is no such thing is left out.
  struct Holder {
    pid_t pid = 0;      // 0 = not said
    std::string run;    // first digits of the run's id; "" = none yet
    std::string since;  // UTC
    bool alive = false;
    /// "run 3f2a91c0 (pid 4711) since 2026-03-01T12:34:56Z".
    std::string text() const;
  };
  /// Called once, when the lock is held and there is something to wait for.
  using Waiting = std::function<void(const Holder&)>;

  /// Takes the lock, or waits for it up to `wait`; a holder whose supervisor is gone gets at least
  /// kLastGasp to end. Throws Error(kMachine) naming the holder when it is still held then, and for
  /// a file that is none of ours to lock: a symbolic link, no regular file, or one with another
  /// name.
  BoxLock(const std::filesystem::path& file, std::chrono::milliseconds wait,
          const Waiting& waiting = nullptr);
  ~BoxLock();
  BoxLock(const BoxLock&) = delete;
  BoxLock& operator=(const BoxLock&) = delete;

  /// Writes down which run holds it, for whoever finds it held.
  void name_run(const std::string& run_id);

  /// Who holds `file` now; none when nobody does or it cannot be opened.
  static std::optional<Holder> holder(const std::filesystem::path& file);

  /// $DS4_SWEEP_LOCK, else ds4-sweep.lock in /run/lock where every user may write there, else in
  /// /tmp: never a folder of one user, or two of them would each have a lock of their own.
  static std::filesystem::path default_file();

  static constexpr std::chrono::seconds kLastGasp{10};

 private:
  int fd_ = -1;
};

}  // namespace ds4::runners
