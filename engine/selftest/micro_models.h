// The embedded micro-models, unpacked into a temporary folder for as long as the object lives, so
// that they pass the loader as every checkpoint does.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace ds4::selftest {

class MicroModels {
 public:
  /// Throws Error(kIo) when the temporary folder cannot be written.
  MicroModels();
  ~MicroModels();
  MicroModels(const MicroModels&) = delete;
  MicroModels& operator=(const MicroModels&) = delete;

  const std::filesystem::path& folder() const { return folder_; }

 private:
  std::filesystem::path folder_;
};

/// What make_micro.py wrote beside a model.
struct Golden {
  std::vector<int32_t> tokens;     // of the whole text
  std::vector<int64_t> positions;  // that have golden rows
  std::vector<float> logits;       // [positions, vocab]
  std::vector<float> noise;        // [positions], relative to the largest logit
};

/// The golden run of a model in one set ("f32", "reference"). `total` tokens, or 0 = as stored.
Golden read_golden(const std::filesystem::path& model, const std::string& set, int64_t total);
/// Whether the model has golden logits of that set.
bool has_golden(const std::filesystem::path& model, const std::string& set);

/// One draw from the last logits of a model's f32 run.
struct GoldenDraw {
  double temperature = 0;
  double top_p = 1;
  uint64_t seed = 0;
  uint64_t sequence = 0;
  int32_t token = 0;
};
std::vector<GoldenDraw> read_draws(const std::filesystem::path& model);

/// Tokens that each round of decoding with two drafts yields behind the model's text, drawn with
/// the settings below.
std::vector<int64_t> read_rounds(const std::filesystem::path& model, const std::string& set);
inline constexpr double kRoundTemperature = 4;
inline constexpr uint64_t kRoundSeed = 5;

}  // namespace ds4::selftest
