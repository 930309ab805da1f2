// What a fault does to answers: a few cases of the suites on the default checkpoint, decoded
// greedily, against the answers of the engine as it is.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "engine/api/selftest.h"

namespace ds4::faults {

struct Answered {
  int cases = 0;
  int changed = 0;  // answers that differ from those of the engine without fault
  int wrong = 0;    // that the suite grades other than correct

  bool operator==(const Answered&) const = default;
};

/// The first cases of smoke, arithmetic, tool_calls and of needle at 512 tokens.
class AnswerCases {
 public:
  /// Builds the prompts and answers them with the engine as it is.
  explicit AnswerCases(const std::filesystem::path& checkpoint);
  Answered answer(const EngineFactory& make) const;

 private:
  struct Prompt {
    std::string suite;
    std::vector<TokenId> tokens;
    std::string expected;
    int64_t max_tokens = 0;
    bool thinking = false;
  };
  std::vector<std::string> texts(const EngineFactory& make) const;
  bool correct(const Prompt& prompt, const std::string& text) const;

  std::filesystem::path checkpoint_;
  std::shared_ptr<const Tokenizer> tokenizer_;
  std::vector<Prompt> prompts_;
  std::vector<std::string> clean_;
};

/// tests/faults/answers.json by fault.
std::map<std::string, Answered> read_answers();
void write_answers(const std::map<std::string, Answered>& answers);

}  // namespace ds4::faults
