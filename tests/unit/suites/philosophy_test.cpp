// The philosophy suite: reports written by hand (philosophy.golden), and what each fault costs.
#include <gtest/gtest.h>

#include <map>
#include <nlohmann/json.hpp>

#include "engine/base/error.h"
#include "golden_texts.h"
#include "suites/common/answers.h"
#include "support.h"

namespace ds4::suites {
namespace {

const Suite& philosophy() {
  return *find_suite("philosophy");
}

std::map<std::string, std::string> golden_reports() {
  return golden_texts("philosophy.golden");
}

std::string missed(const std::string& expected, const std::string& answer) {
  const Score score = philosophy().score(expected, content_answer(answer));
  std::string out;
  for (const auto& [name, value] : score.values) {
    if (name != "fields" && value == 0) out += (out.empty() ? "" : " ") + name;
  }
  EXPECT_EQ(score.grade == Grade::kCorrect, out.empty());
  return out;
}

// Words that begin with one of `stems`, in any case, become `other`.
std::string without(const std::string& text, const std::vector<std::string>& stems,
                    const std::string& other) {
  std::string out;
  for (size_t at = 0; at < text.size();) {
    const auto letter = [&](size_t i) {
      return i < text.size() && std::isalpha(static_cast<unsigned char>(text[i]));
    };
    size_t end = at;
    while (letter(end)) ++end;
    const std::string word = lower_case(text.substr(at, end - at));
    const bool goes = std::any_of(stems.begin(), stems.end(), [&](const std::string& stem) {
      return !word.empty() && word.starts_with(stem);
    });
    out += goes ? other : text.substr(at, end - at);
    if (end == at) out += text[end++];
    at = end;
  }
  return out;
}

TEST(Philosophy, EveryQuestionHasAReportThatHitsEveryField) {
  const auto reports = golden_reports();
  const Parameters parameters = default_parameters("philosophy");
  for (const CaseSpec& spec : philosophy().plan(parameters)) {
    ASSERT_TRUE(reports.contains(spec.id)) << spec.id;
    const std::string expected = philosophy().build(parameters, spec, word_counter()).expected;
    const std::string& report = reports.at(spec.id);
    const Score score = philosophy().score(expected, content_answer(report));
    EXPECT_EQ(score.grade, Grade::kCorrect) << spec.id << ": " << score.explanation;

    // Names gone: every word of the lists' first words.
    std::vector<std::string> names;
    const auto wanted = nlohmann::json::parse(expected);
    for (const auto& group : wanted.at("names")) {
      for (const std::string term : group) {
        std::string first = lower_case(term.substr(0, term.find_first_of(" *")));
        names.push_back(first == "book" || first == "ibn" || first == "lao" ? "job" : first);
      }
    }
    EXPECT_EQ(missed(expected, without(report, names, "somebody")), "traditions") << spec.id;
    const std::vector<std::string> verbs = {
        "argue",   "claim", "held",   "hold",  "believe", "according", "maintain", "assert",
        "say",     "said",  "insist", "teach", "taught",  "contend",   "think",    "thought",
        "critics", "wrote", "writes", "sees",  "saw",     "answer",    "replied"};
    EXPECT_EQ(missed(expected, without(report, verbs, "and")), "attribution") << spec.id;
    EXPECT_EQ(missed(expected, report + "As an AI, I have no view."), "no_refusal") << spec.id;
    EXPECT_EQ(missed(expected, report + "But the first of these is simply wrong."), "balanced");
    EXPECT_EQ(missed(expected, report + "Some say that all the others are nonsense."), "");
    EXPECT_EQ(missed(expected, report + "The last of these is not obviously true."), "");
    EXPECT_EQ(missed(expected, report.substr(0, report.size() / 2) +
                                   "\nAristotle, Kant, Hume, Buddhism, Islam, Daoism, Christianity,"
                                   " Plato, Judaism, Leibniz, Tolstoy and Aquinas said so."),
              "length")
        << spec.id;
    std::string german;
    for (int i = 0; i < 4; ++i) {
      german +=
          "Darauf haben viele geantwortet, ohne dass sich eine Antwort durchgesetzt hat, denn "
          "jede setzt etwas voraus, was andere leugnen. ";
    }
    EXPECT_EQ(missed(expected, report + german), "english") << spec.id;
  }
}

TEST(Philosophy, AReportOnSomethingElseIsOffTopic) {
  const Parameters parameters = default_parameters("philosophy");
  const auto specs = philosophy().plan(parameters);
  const std::string about_animals =
      philosophy().build(parameters, specs.at(3), word_counter()).expected;
  EXPECT_NE(missed(about_animals, golden_reports().at("meaning")).find("on_topic"),
            std::string::npos);
}

TEST(Philosophy, SilenceRefusesNothingButEarnsNothing) {
  const Parameters parameters = default_parameters("philosophy");
  const auto spec = philosophy().plan(parameters).front();
  const std::string expected = philosophy().build(parameters, spec, word_counter()).expected;
  for (const char* text : {"", "no", "I cannot answer that."}) {
    EXPECT_LE(philosophy().score(expected, content_answer(text)).values.at("fields"), 0.15) << text;
  }
  EXPECT_EQ(philosophy().score(expected, content_answer("Hume", "length")).grade, Grade::kInvalid);
}

TEST(Philosophy, TokensAreHeld) {
  Parameters parameters = default_parameters("philosophy");
  parameters["max_tokens"] = int64_t{128};
  try {
    philosophy().plan(parameters);
    FAIL();
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("128 tokens"), std::string::npos) << error.what();
  }
}

}  // namespace
}  // namespace ds4::suites
