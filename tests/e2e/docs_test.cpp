// Documentation keeps up: every verb and flag of --help stands in docs/cli.md, every suite, target
// and metric in the docs.
#include <gmock/gmock.h>

#include <regex>
#include <set>

#include "tests/e2e/sweep.h"
#include "tests/support/source_dir.h"

namespace ds4::test_support {
namespace {

using ::testing::HasSubstr;

std::string docs() {
  std::string text = read_file(test_support::source_dir() / "README.md");
  for (const auto& entry :
       std::filesystem::directory_iterator(test_support::source_dir() / "docs")) {
    if (entry.path().extension() == ".md") text += read_file(entry.path());
  }
  return text;
}

std::set<std::string> matches(const std::string& text, const std::regex& pattern) {
  std::set<std::string> found;
  for (std::sregex_iterator i(text.begin(), text.end(), pattern), end; i != end; ++i) {
    found.insert((*i)[1]);
  }
  return found;
}

TEST(Docs, EveryVerbAndFlagIsInTheReference) {
  const std::string reference = read_file(test_support::source_dir() / "docs/cli.md");
  const std::string help = run_command({DS4_SWEEP_BINARY, "--help"}).out;
  // Verbs are the indented words before the examples; options begin with a dash.
  const auto verbs =
      matches(help.substr(0, help.find("Examples:")), std::regex(R"(\n  ([a-z]+) )"));
  EXPECT_GE(verbs.size(), 10u);
  for (const std::string& verb : verbs) {
    EXPECT_THAT(reference, HasSubstr("## " + verb + "\n"));
    std::string verb_help = run_command({DS4_SWEEP_BINARY, verb, "--help"}).out;
    // A verb with parts (`reap observe`) shows its flags under each part.
    if (const size_t parts = verb_help.find("Subcommands:"); parts != std::string::npos) {
      const std::string list = verb_help.substr(parts, verb_help.find("Examples:") - parts);
      for (const std::string& part : matches(list, std::regex(R"(\n  ([a-z]+) )"))) {
        verb_help += run_command({DS4_SWEEP_BINARY, verb, part, "--help"}).out;
      }
    }
    const size_t begin = reference.find("## " + verb + "\n");
    const std::string section = reference.substr(begin, reference.find("\n## ", begin) - begin);
    for (const std::string& flag : matches(verb_help, std::regex(R"((--[a-z0-9-]+))"))) {
      EXPECT_THAT(section, HasSubstr(flag)) << verb;
    }
  }
}

TEST(Docs, EverySuiteTargetAndMetricIsDescribed) {
  const std::string text = docs();
  for (const char* kind : {"suites", "targets", "metrics"}) {
    const std::string list = run_command({DS4_SWEEP_BINARY, "list", kind}).out;
    const auto names = matches("\n" + list, std::regex(R"(\n([a-z_]+)  )"));
    EXPECT_FALSE(names.empty()) << kind;
    for (const std::string& name : names) EXPECT_THAT(text, HasSubstr("`" + name + "`")) << kind;
  }
}

}  // namespace
}  // namespace ds4::test_support
