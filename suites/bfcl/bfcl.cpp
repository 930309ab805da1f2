// The bfcl suite: rows of the Berkeley Function Calling Leaderboard v4 through native function
// calling, judged by its rules for syntax trees (rules.h).
#include <algorithm>
#include <map>
#include <mutex>
#include <nlohmann/json.hpp>

#include "suites/bfcl/rules.h"
#include "suites/common/answers.h"
#include "suites/common/conversation.h"
#include "suites/common/datasets.h"
#include "suites/common/parameters.h"
#include "suites/common/rng.h"
#include "suites/registry.h"

namespace ds4::suites {

extern const std::string_view bfcl_toml;

namespace {

using bfcl::Language;
using Json = nlohmann::ordered_json;  // schemas reach the model as they are written

// Of each category: whether a call is wanted, and which.
enum class Key { kPublished, kNoCall, kAnyCall };

struct Category {
  std::string_view name;
  Key key = Key::kPublished;
  Language language = Language::kPython;
};

constexpr Category kCategories[] = {
    {"simple_python"},
    {"simple_java", Key::kPublished, Language::kJava},
    {"simple_javascript", Key::kPublished, Language::kJavaScript},
    {"multiple"},
    {"parallel"},
    {"parallel_multiple"},
    {"irrelevance", Key::kNoCall},
    {"live_simple"},
    {"live_multiple"},
    {"live_parallel"},
    {"live_parallel_multiple"},
    {"live_irrelevance", Key::kNoCall},
    {"live_relevance", Key::kAnyCall},
};

const Category& category_named(std::string_view name) {
  return *std::ranges::find(kCategories, name, &Category::name);
}

std::vector<std::string> category_names() {
  std::vector<std::string> names;
  for (const Category& category : kCategories) names.emplace_back(category.name);
  return names;
}

std::vector<Json> parse_lines(std::string_view text) {
  std::vector<Json> rows;
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    if (end > 0) rows.push_back(Json::parse(text.substr(0, end)));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return rows;
}

// Rows of a category, each with its key as "ground_truth" where there is one.
const std::vector<Json>& rows_of(const Category& category) {
  static std::mutex mutex;
  static std::map<std::string_view, std::vector<Json>> read;
  const std::lock_guard lock(mutex);
  const auto known = read.find(category.name);
  if (known != read.end()) return known->second;
  const std::string file = "BFCL_v4_" + std::string(category.name) + ".json";
  std::vector<Json> rows = parse_lines(dataset_text("bfcl", file));
  if (category.key == Key::kPublished) {
    std::map<std::string, Json> keys;
    for (Json& key : parse_lines(dataset_text("bfcl", "possible_answer/" + file))) {
      keys[key.at("id")] = std::move(key.at("ground_truth"));
    }
    for (Json& row : rows) row["ground_truth"] = keys.at(row.at("id"));
  }
  return read.emplace(category.name, std::move(rows)).first->second;
}

class Bfcl final : public Suite {
 public:
  std::string_view name() const override { return "bfcl"; }
  std::string_view toml() const override { return bfcl_toml; }
  std::string_view dataset() const override { return "bfcl"; }

  std::vector<CaseSpec> plan(const Parameters& parameters) const override {
    const ParameterReader reader(name(), parameters);
    const CommonParameters common = common_parameters(reader);
    const auto most = static_cast<size_t>(reader.integer("cases", {0, kMaxNumberedCases, "rows"}));
    std::vector<CaseSpec> cases;
    for (const std::string& category : reader.choices("categories", category_names())) {
      const std::vector<Json>& rows = rows_of(category_named(category));
      const size_t n = most == 0 ? rows.size() : std::min(most, rows.size());
      for (size_t i = 0; i < n; ++i) {
        CaseSpec spec;
        spec.id = category + "/" + numbered_id(static_cast<int64_t>(i));
        spec.tags = {{"category", category}};
        spec.seed = case_seed(name(), common.seed, spec.id);
        cases.push_back(std::move(spec));
      }
    }
    return cases;
  }

  Case build(const Parameters& parameters, const CaseSpec& spec,
             const TokenCounter&) const override {
    const CommonParameters common = common_parameters(ParameterReader(name(), parameters));
    const std::string& category = spec.tags.at("category");
    const auto number = static_cast<size_t>(std::stoll(spec.id.substr(category.size() + 1)));
    const Json& row = rows_of(category_named(category)).at(number);
    Case out;
    out.spec = spec;
    out.conversation.thinking = common.thinking ? ThinkingMode::kThinking : ThinkingMode::kChat;
    for (const Json& part : row.at("question").at(0)) {
      out.conversation.messages.push_back(message(part.at("role"), part.at("content")));
    }
    std::vector<Message>& messages = out.conversation.messages;
    if (messages.front().role != "system") messages.insert(messages.begin(), message("system", ""));
    for (const Json& function : row.at("function")) {
      messages.front().tools.push_back(bfcl::offered(function).dump());
    }
    out.limits.max_tokens = common.max_tokens;
    out.expected = Json{{"id", row.at("id")},
                        {"category", category},
                        {"function", row.at("function")},
                        {"wanted", row.value("ground_truth", Json::array())}}
                       .dump();
    return out;
  }

  Score score(std::string_view expected, const Answer& answer) const override {
    const auto key = nlohmann::json::parse(expected);
    const Category& category = category_named(key.at("category").get<std::string>());
    if (was_cut(answer)) return invalid_score(answer, "its calls were complete");
    std::vector<bfcl::Call> calls;
    for (const ToolCall& call : answer.tool_calls) calls.push_back({call.name, call.arguments});
    Score score;
    for (const bfcl::Call& call : calls) {
      score.extracted += (score.extracted.empty() ? "" : ", ") + call.name + call.text;
    }
    score.extracted = printable(score.extracted);
    std::string problem;
    if (category.key == Key::kPublished) {
      problem = bfcl::problem(calls, key.at("function"), key.at("wanted"), category.language);
    } else if ((category.key == Key::kNoCall) != calls.empty()) {
      problem = calls.empty() ? "no call, though a function fits" : "a call, though nothing fits";
    }
    score.grade = problem.empty() ? Grade::kCorrect : Grade::kWrong;
    score.values = {{"correct", as_value(problem.empty())}};
    score.explanation = problem.empty() ? "As the key has it." : "Not the key: " + problem + ".";
    return score;
  }
};

}  // namespace

const Suite& bfcl_suite() {
  static const Bfcl suite;
  return suite;
}

}  // namespace ds4::suites
