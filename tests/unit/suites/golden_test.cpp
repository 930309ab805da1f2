// Prompts must not change behind a suite's version: their hashes, with the word counter of
// support.h, are kept in prompts.golden. After a deliberate change raise `version` in suite.toml
// and run the test with DS4_UPDATE_GOLDEN=1.
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <sstream>

#include "engine/base/hash.h"
#include "suites/needle/challenge.h"
#include "support.h"
#include "tests/support/source_dir.h"

namespace ds4::suites {
namespace {

std::string version_of(const Suite& suite) {
  const std::string toml(suite.toml());
  const size_t at = toml.find("version = ") + 10;
  return toml.substr(at, toml.find_first_not_of("0123456789", at) - at);
}

std::string listing() {
  std::ostringstream out;
  const auto add = [&](const Suite& suite, const Parameters& parameters, const char* label) {
    for (const CaseSpec& spec : suite.plan(parameters)) {
      const Case made = suite.build(parameters, spec, word_counter());
      out << suite.name() << " v" << version_of(suite) << ' ' << label << ' ' << spec.id << ' '
          << sha256_hex(joined_text(made) + "\n" + made.expected).substr(0, 16) << '\n';
    }
  };
  for (const Suite* suite : all_suites()) {
    if (!suite->dataset().empty()) continue;  // their tests know published prompts
    Parameters parameters = default_parameters(suite->name());
    if (suite->name() == "needle") parameters["lengths"] = std::vector<int64_t>{512};
    add(*suite, parameters, "defaults");
    if (parameters.contains("style")) {
      parameters["style"] = std::string("instructed");
      if (suite->name() == "smoke") {
        parameters["kinds"] = std::vector<std::string>{"quick", "quality", "coding"};
      }
      add(*suite, parameters, "instructed");
    }
    if (suite->name() == "tool_calls") {
      parameters["tools_in"] = std::string("system_text");
      add(*suite, parameters, "system_text");
    }
    if (suite->name() == "long_code") {
      parameters["lengths"] = std::vector<int64_t>{3000};
      add(*suite, parameters, "long");
      parameters["style"] = std::string("bare");
      add(*suite, parameters, "long bare");
    }
    if (suite->name() == "needle") {
      parameters["variants"] = std::vector<std::string>{"single", "digits"};
      parameters["lengths"] = std::vector<int64_t>{300, 4096};
      parameters["samples"] = std::vector<int64_t>{3};
      add(*suite, parameters, "variants");
      parameters["variants"] = published_variants();
      parameters["lengths"] = std::vector<int64_t>{1024};
      parameters["samples"] = std::vector<int64_t>{2};
      parameters["modulus"] = int64_t{128};
      parameters["residues"] = std::vector<int64_t>{0, 127};
      parameters["streams"] = std::vector<int64_t>{0, 2};
      add(*suite, parameters, "published");
    }
  }
  return out.str();
}

TEST(Golden, PromptsAreThoseOfTheirVersion) {
  const std::string path =
      test_support::source_dir().string() + "/tests/unit/suites/prompts.golden";
  const std::string now = listing();
  if (std::getenv("DS4_UPDATE_GOLDEN") != nullptr) std::ofstream(path) << now;
  std::stringstream stored;
  stored << std::ifstream(path).rdbuf();
  EXPECT_EQ(stored.str(), now);
}

}  // namespace
}  // namespace ds4::suites
