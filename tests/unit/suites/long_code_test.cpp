// Grades of the long-code suite, and the files it writes.
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <nlohmann/json.hpp>
#include <regex>
#include <set>
#include <tuple>

#include "engine/base/error.h"
#include "suites/long_code/files.h"
#include "suites/long_code/verdict.h"
#include "support.h"

namespace ds4::suites {
namespace {

const char kPastEnd[] = R"({"kind": "past_end", "function": "find_max_017", "functions": 40})";
const char kSkips[] = R"({"kind": "skips_first", "function": "find_max", "functions": 1})";
const char kClean[] = R"({"kind": "none", "function": "", "functions": 1})";

Score grade(const char* expected, const std::string& content, const std::string& finish = "stop") {
  return find_suite("long_code")->score(expected, content_answer(content, finish));
}

TEST(LongCodeScore, FreeTextAndLabelledAnswers) {
  for (const char* text : {"Off-by-one error in find_max_017: the loop reads one element past the "
                           "end of items; use i < n.",
                           "Function: find_max_017\nKind: past_end",
                           "**Function:** `find_max_017`\n**Kind:** past_end.",
                           "In find_max_017 the condition `<=` should be `<`."}) {
    const Score score = grade(kPastEnd, text);
    EXPECT_EQ(score.grade, Grade::kCorrect) << text << " -> " << score.explanation;
    EXPECT_EQ(score.values.at("mentions_off_by_one"), 1) << text;
  }
  EXPECT_EQ(grade(kSkips,
                  "Off-by-one error in find_max: the loop skips the first element of data; "
                  "start i at 0.")
                .grade,
            Grade::kCorrect);
}

TEST(LongCodeScore, RightKindInTheWrongFunction) {
  const Score score = grade(kPastEnd, "Function: find_max_018\nKind: past_end");
  EXPECT_EQ(score.grade, Grade::kWrong);
  EXPECT_EQ(score.values.at("localized"), 0);
  EXPECT_EQ(score.values.at("kind"), 1);
  EXPECT_NE(score.explanation.find("find_max_018"), std::string::npos);
}

TEST(LongCodeScore, NamingEveryFunctionIsNotLocalising) {
  EXPECT_EQ(grade(kPastEnd, "sum_items_001, find_max_017 read past the end").values.at("localized"),
            0);
}

TEST(LongCodeScore, ClaimingBothKindsOrNoneIsWrong) {
  EXPECT_EQ(
      grade(kPastEnd, "find_max_017 skips the first and reads past the end").values.at("kind"), 0);
  const Score clean = grade(kPastEnd, "No bug found in find_max_017.");
  EXPECT_EQ(clean.values.at("kind"), 0);
  EXPECT_EQ(clean.values.at("mentions_off_by_one"), 0);
  EXPECT_EQ(grade(kPastEnd, "There is no off-by-one error.").values.at("mentions_off_by_one"), 0);
}

TEST(LongCodeScore, ControlMustBeCalledClean) {
  EXPECT_EQ(grade(kClean, "No bug found in find_max.").grade, Grade::kCorrect);
  EXPECT_EQ(grade(kClean, "Function: none\nKind: none").grade, Grade::kCorrect);
  const Score alarm = grade(kClean, "Off-by-one error in find_max: one element past the end.");
  EXPECT_EQ(alarm.grade, Grade::kWrong);
  EXPECT_EQ(alarm.values.at("control"), 0);
  EXPECT_FALSE(alarm.values.contains("localized"));
  EXPECT_EQ(grade(kClean, "").grade, Grade::kWrong);
}

TEST(LongCodeScore, CutBeforeTheKindIsInvalid) {
  EXPECT_EQ(grade(kPastEnd, "Off-by-one error in find_max_017: the loop", "length").grade,
            Grade::kInvalid);
  EXPECT_EQ(grade(kPastEnd, "find_max_017 reads past the end of", "length").grade, Grade::kCorrect);
}

std::string text_of(const Case& made) {
  return made.conversation.messages.at(0).content;
}

size_t occurrences(const std::string& text, const std::string& part) {
  size_t n = 0;
  for (size_t at = text.find(part); at != text.npos; at = text.find(part, at + 1)) ++n;
  return n;
}

TEST(LongCode, LongFilesStayWithinTheirLengthAndPlantOneDefect) {
  const Suite& suite = *find_suite("long_code");
  Parameters parameters = default_parameters("long_code");
  parameters["lengths"] = std::vector<int64_t>{2000, 30000};
  parameters["depths"] = std::vector<double>{0, 0.5, 1};
  parameters["samples"] = int64_t{6};
  for (const CaseSpec& spec : suite.plan(parameters)) {
    const Case made = suite.build(parameters, spec, word_counter());
    const int64_t length = std::stoll(spec.tags.at("length"));
    const int64_t tokens = word_counter().count(made.conversation);
    EXPECT_LE(tokens, length) << spec.id;
    EXPECT_GT(tokens, length - 40) << spec.id;  // one function has under 40 words
    const std::string text = text_of(made);
    const bool past_end = spec.tags.at("kind") == "past_end";
    EXPECT_EQ(occurrences(text, "<= n") + occurrences(text, ") + 1)"), past_end ? 1u : 0u);
    EXPECT_EQ(
        occurrences(text, "= 1; ") - occurrences(text, " = 1; //") + occurrences(text, "range(1"),
        spec.tags.at("kind") == "skips_first" ? 1u : 0u);
    const auto expected = nlohmann::json::parse(made.expected);
    const std::string function = expected.at("function");
    if (!function.empty()) {
      EXPECT_EQ(occurrences(text, function + "("), 1u);
      const int64_t number = std::stoll(function.substr(function.rfind('_') + 1));
      EXPECT_NEAR(static_cast<double>(number - 1) /
                      static_cast<double>(expected.at("functions").get<int64_t>() - 1),
                  std::stod(spec.tags.at("depth")), 0.02);
    }
  }
}

TEST(LongCode, ATooShortLengthNamesTheSmallest) {
  const Suite& suite = *find_suite("long_code");
  Parameters parameters = default_parameters("long_code");
  parameters["lengths"] = std::vector<int64_t>{10};
  EXPECT_THROW(suite.build(parameters, suite.plan(parameters).at(0), word_counter()), Error);
}

const char kInFile[] =
    R"({"kind": "slice_end", "file": "part_0012.py", "function": "tally_orders_0093", "line": 31,)"
    R"( "functions": 400})";

const char kGolden[] =
    "File: part_0012.py\nFunction: tally_orders_0093\nLine: 31\nClass: slice_end";

TEST(LongCodeScore, FourLabelledLines) {
  for (const std::string& text :
       {std::string(kGolden), "I looked at all files.\n\n" + std::string(kGolden) + "\n",
        std::string("**File:** `part_0012.py`\n**Function:** `tally_orders_0093`\n"
                    "**Line:** 31\n**Class:** slice_end (an off-by-one error)")}) {
    const Score score = grade(kInFile, text);
    EXPECT_EQ(score.grade, Grade::kCorrect) << text << " -> " << score.explanation;
    for (const char* name : {"correct", "localized", "line_exact", "kind", "mentions_off_by_one"}) {
      EXPECT_EQ(score.values.at(name), 1) << name << "\n" << text;
    }
  }
}

// Each of the four fields wrong, missing or doubled spoils what rests on it and nothing else.
TEST(LongCodeScore, MutatedLabelledLines) {
  const auto values = [](const std::string& from, const std::string& to) {
    std::string text = kGolden;
    text.replace(text.find(from), from.size(), to);
    const Score score = grade(kInFile, text);
    return std::tuple(score.values.at("localized"), score.values.at("line_exact"),
                      score.values.at("kind"), score.values.at("correct"));
  };
  EXPECT_EQ(values("part_0012", "part_0013"), std::tuple(0, 0, 1, 0));
  EXPECT_EQ(values("part_0012.py", "part_0012.c"), std::tuple(0, 0, 1, 0));
  EXPECT_EQ(values("part_0012.py", "none"), std::tuple(0, 0, 1, 0));
  EXPECT_EQ(values("0093", "0094"), std::tuple(0, 0, 1, 0));
  EXPECT_EQ(values("0093", "0093, tally_orders_0094"), std::tuple(0, 0, 1, 0));
  EXPECT_EQ(values("31", "32"), std::tuple(1, 0, 1, 1));
  EXPECT_EQ(values("31", "none"), std::tuple(1, 0, 1, 1));
  EXPECT_EQ(values("slice_end", "past_end"), std::tuple(1, 1, 0, 0));
  EXPECT_EQ(values("slice_end", "slice_end or past_end"), std::tuple(1, 1, 0, 0));
}

TEST(LongCodeScore, FreeTextNamesFileFunctionAndLine) {
  const Score score = grade(kInFile,
                            "In part_0012.py, tally_orders_0093 (line 31) the slice is exclusive: "
                            "an off-by-one error.");
  EXPECT_EQ(score.values.at("line_exact"), 1) << score.explanation;
  EXPECT_EQ(score.values.at("kind"), 1);
  EXPECT_EQ(grade(kInFile, "tally_orders_0093 is off by one.").values.at("localized"), 0);
  EXPECT_EQ(grade(kInFile, "tally_orders_0093 is off by one.").values.at("mentions_off_by_one"), 1);
  EXPECT_EQ(grade(kInFile, "lines 31 and line 32 of part_0012.py").values.at("line_exact"), 0);
}

TEST(LongCodeScore, NoneFourTimesIsCleanAndAFunctionBesideItIsNot) {
  const char none[] = "File: none\nFunction: none\nLine: none\nClass: none";
  EXPECT_EQ(grade(kClean, none).values.at("control"), 1);
  EXPECT_EQ(grade(kInFile, none).values.at("mentions_off_by_one"), 0);
  EXPECT_EQ(grade(kClean, "Function: tally_orders_0093\nClass: none").values.at("control"), 0);
  EXPECT_EQ(grade(kClean, kGolden).values.at("control"), 0);
}

std::vector<std::string> lines_of_text(const std::string& text) {
  std::vector<std::string> lines;
  size_t at = 0;
  for (size_t end = text.find('\n'); end != text.npos; end = text.find('\n', at)) {
    lines.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  return lines;
}

TEST(SourceFiles, TheDefectIsTheOnlyLineThatDiffers) {
  const std::map<Defect, std::pair<std::string, std::string>> changes = {
      {Defect::kPastEnd, {"<= n;", ") + 1):"}},
      {Defect::kSkipsFirst, {"= 1; ", "range(1,"}},
      {Defect::kStopsEarly, {"< n - 1;", ") - 1):"}},
      {Defect::kSliceEnd, {"= to - from;", ":last]"}},
      {Defect::kSizeIndex, {"[n];", ")]"}}};
  for (const auto& [defect, marks] : changes) {
    for (const std::string language : {"c", "python"}) {
      for (const int64_t planted : {0, 7, 8, 39}) {
        const Rng rng(static_cast<uint64_t>(planted) + 5);
        const SourceFiles bad = source_files(rng, language, 40, planted, defect);
        ASSERT_EQ(bad.files, 5);
        const auto lines = lines_of_text(bad.text);
        const std::string header = "=== " + bad.file + " ===";
        const auto file = std::find(lines.begin(), lines.end(), header);
        ASSERT_NE(file, lines.end()) << header;
        const std::string& line = *(file + bad.line);
        EXPECT_TRUE(line.starts_with(std::to_string(bad.line) + ": ")) << line;
        EXPECT_NE(line.find(language == "c" ? marks.first : marks.second), std::string::npos)
            << line;
        EXPECT_EQ(occurrences(bad.text, bad.function + "("), 1u);
        // The function that holds the line is the one that is named.
        auto above = file + bad.line;
        while (above->find('(') == above->npos || above->find("_0") == above->npos) --above;
        EXPECT_NE(above->find(bad.function), std::string::npos) << *above;
      }
    }
  }
}

// Other functions are what they are without the defect, so that a control differs in nothing else.
TEST(SourceFiles, OtherFunctionsStayAsTheyAre) {
  const SourceFiles one = source_files(Rng(9), "python", 24, 11, Defect::kPastEnd);
  const SourceFiles two = source_files(Rng(9), "python", 24, 11, Defect::kStopsEarly);
  const auto first = lines_of_text(one.text), second = lines_of_text(two.text);
  ASSERT_EQ(first.size(), second.size());
  int differ = 0;
  for (size_t i = 0; i < first.size(); ++i) differ += first[i] != second[i] ? 1 : 0;
  EXPECT_EQ(differ, 1);
  const SourceFiles clean = source_files(Rng(9), "python", 24, 11, Defect::kNone);
  EXPECT_TRUE(clean.function.empty());
  EXPECT_EQ(clean.line, 0);
}

// What marks an error in one place is right in others, so that no pattern gives it away.
TEST(SourceFiles, SoundCodeHasTheSamePatterns) {
  const std::string text = source_files(Rng(3), "c", 400, 0, Defect::kNone).text;
  for (const char* pattern : {"<= n;", "= 1; ", "< n - 1;", "= to - from;", "[n];"}) {
    EXPECT_GT(occurrences(text, pattern), 10u) << pattern;
  }
  std::set<std::string> names;
  const std::regex definition("int ([a-z]+_[a-z]+_[0-9]{4})\\(");
  size_t n = 0;
  for (std::sregex_iterator at(text.begin(), text.end(), definition), end; at != end; ++at, ++n) {
    names.insert((*at)[1]);
    EXPECT_TRUE(is_numbered_function(std::string((*at)[1])));
  }
  EXPECT_EQ(n, 400u);
  EXPECT_EQ(names.size(), n);
}

TEST(LongCode, FilesOf182KTokensAtEveryDepthInSecondsAndTheirGoldenAnswer) {
  const Suite& suite = *find_suite("long_code");
  Parameters parameters = default_parameters("long_code");
  parameters["style"] = std::string("instructed");
  parameters["lengths"] = std::vector<int64_t>{182112};
  parameters["kinds"] = std::vector<std::string>{"none",        "past_end",  "skips_first",
                                                 "stops_early", "slice_end", "size_index"};
  parameters["depths"] = std::vector<double>{0.1, 0.9};
  parameters["samples"] = int64_t{1};
  const auto start = std::chrono::steady_clock::now();
  const auto cases = suite.plan(parameters);
  for (const CaseSpec& spec : cases) {
    const Case made = suite.build(parameters, spec, word_counter());
    const int64_t tokens = word_counter().count(made.conversation);
    EXPECT_LE(tokens, 182112);
    EXPECT_GT(tokens, 182112 - 60);
    const auto expected = nlohmann::json::parse(made.expected);
    const bool clean = spec.tags.at("kind") == "none";
    const std::string answer =
        clean ? "File: none\nFunction: none\nLine: none\nClass: none"
              : "File: " + expected.at("file").get<std::string>() +
                    "\nFunction: " + expected.at("function").get<std::string>() +
                    "\nLine: " + std::to_string(expected.at("line").get<int64_t>()) +
                    "\nClass: " + spec.tags.at("kind");
    const Score score = suite.score(made.expected, content_answer(answer));
    for (const auto& [name, value] : score.values) EXPECT_EQ(value, 1) << name;
    if (clean) continue;
    const auto at = static_cast<double>(text_of(made).find(expected.at("function")));
    EXPECT_NEAR(at / static_cast<double>(text_of(made).size()), std::stod(spec.tags.at("depth")),
                0.02);
  }
  const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start;
  EXPECT_LT(elapsed.count() / static_cast<double>(cases.size()), 2.0);
}

TEST(LongCode, KindsThatSingleFunctionsCannotHaveAreRefused) {
  Parameters parameters = default_parameters("long_code");
  parameters["kinds"] = std::vector<std::string>{"slice_end"};
  EXPECT_THROW(find_suite("long_code")->plan(parameters), Error);
  parameters["style"] = std::string("instructed");
  EXPECT_EQ(find_suite("long_code")->plan(parameters).size(), 8u);
}

}  // namespace
}  // namespace ds4::suites
