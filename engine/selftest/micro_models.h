// The embedded micro-models, unpacked into a temporary folder for as long as the object lives, so
// that they pass the loader as every checkpoint does.
#pragma once

#include <filesystem>

namespace ds4::selftest {

class MicroModels {
 public:
  /// Throws Error(kIo) when the temporary folder cannot be written.
  MicroModels();
  ~MicroModels();
  MicroModels(const MicroModels&) = delete;
  MicroModels& operator=(const MicroModels&) = delete;

  const std::filesystem::path& folder() const { return folder_; }
  /// An empty folder that goes with the models.
  std::filesystem::path scratch() const { return folder_ / "scratch"; }

 private:
  std::filesystem::path folder_;
};

}  // namespace ds4::selftest
