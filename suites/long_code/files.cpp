#include "suites/long_code/files.h"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <sstream>
#include <vector>

#include "engine/base/check.h"
#include "suites/common/text_pools.h"

namespace ds4::suites {

extern const std::string_view long_code_functions_json;

namespace {

constexpr int64_t kFunctionsPerFile = 8;

struct Sentences {
  std::string question, header, answer;
  std::vector<std::string> nouns, verbs, shapes;
  std::map<std::string, std::map<std::string, std::string>> sources;  // by shape and language
};

const Sentences& sentences() {
  static const Sentences parsed = [] {
    const auto json = nlohmann::json::parse(long_code_functions_json).at("files");
    Sentences out{json.at("question"), json.at("header"), json.at("answer"),
                  json.at("nouns"),    json.at("verbs"),  {},
                  json.at("shapes")};
    for (const auto& [shape, source] : out.sources) out.shapes.push_back(shape);
    return out;
  }();
  return parsed;
}

// Which functions can have a defect at all.
std::string shape_of(Defect defect, Rng& rng) {
  switch (defect) {
    case Defect::kPastEnd:
    case Defect::kSkipsFirst:
    case Defect::kStopsEarly:
      return "loop";
    case Defect::kSliceEnd:
      return "closed_range";
    case Defect::kSizeIndex:
      return "last";
    case Defect::kNone:
      break;
  }
  return rng.pick(sentences().shapes);
}

std::string four_digits(int64_t number) {
  std::string digits = std::to_string(number);
  return digits.insert(0, digits.size() < 4 ? 4 - digits.size() : 0, '0');
}

struct NumberedFunction {
  std::string name;
  std::vector<std::string> lines;
  int64_t faulty = -1;  // of the lines
};

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

NumberedFunction make_function(Rng rng, const std::string& language, int64_t number,
                               Defect defect) {
  const std::string noun = rng.pick(sentences().nouns);
  NumberedFunction out;
  out.name = rng.pick(sentences().verbs) + "_" + noun + "_" + four_digits(number);
  const bool product = rng.below(4) == 0;
  Bindings bound{{"name", out.name},
                 {"array", noun},
                 {"total", rng.pick(words("accumulators"))},
                 {"index", rng.pick(words("counters"))},
                 {"noun", product ? "Product" : "Sum"},
                 {"neutral", product ? "1" : "0"},
                 {"operator", product ? "*" : "+"}};
  const std::string& source = sentences().sources.at(shape_of(defect, rng)).at(language);
  const auto write = [&](Defect one) {
    bound["first"] = one == Defect::kSkipsFirst ? "1" : "0";
    bound["below"] = one == Defect::kPastEnd ? "<=" : "<";
    bound["plus_one"] = one == Defect::kPastEnd ? " + 1" : "";
    bound["minus_one"] = one == Defect::kStopsEarly ? " - 1" : "";
    bound["closing"] = one == Defect::kSliceEnd ? "" : " + 1";
    bound["before"] = one == Defect::kSizeIndex ? "" : " - 1";
    return lines_of(fill_template(source, bound, rng));
  };
  out.lines = write(defect);
  if (defect == Defect::kNone) return out;
  const std::vector<std::string> sound = write(Defect::kNone);
  const auto [faulty, other] = std::mismatch(out.lines.begin(), out.lines.end(), sound.begin());
  DS4_CHECK(faulty != out.lines.end(), out.name);
  out.faulty = faulty - out.lines.begin();
  return out;
}

std::string file_name(int64_t number, const std::string& language) {
  return "part_" + four_digits(number) + (language == "c" ? ".c" : ".py");
}

bool all_of_kind(std::string_view text, char low, char high) {
  return !text.empty() &&
         std::all_of(text.begin(), text.end(), [&](char c) { return c >= low && c <= high; });
}

}  // namespace

SourceFiles source_files(const Rng& rng, const std::string& language, int64_t functions,
                         int64_t planted, Defect defect) {
  SourceFiles out;
  Rng unused(0);
  int64_t line = 0;
  for (int64_t i = 0; i < functions; ++i) {
    const std::string file = file_name(i / kFunctionsPerFile + 1, language);
    if (i % kFunctionsPerFile == 0) {
      ++out.files;
      line = 0;
      out.text += fill_template(sentences().header, {{"file", file}}, unused);
    } else {
      out.text += std::to_string(++line) + ":\n";
    }
    const NumberedFunction made = make_function(rng.stream(static_cast<uint64_t>(i) + 1), language,
                                                i + 1, i == planted ? defect : Defect::kNone);
    for (size_t l = 0; l < made.lines.size(); ++l) {
      out.text += std::to_string(++line) + ": " + made.lines[l] + "\n";
      if (static_cast<int64_t>(l) != made.faulty) continue;
      out.file = file;
      out.function = made.name;
      out.line = line;
    }
  }
  return out;
}

bool is_numbered_function(std::string_view identifier) {
  const size_t first = identifier.find('_');
  if (first == identifier.npos) return false;
  const size_t second = identifier.find('_', first + 1);
  if (second == identifier.npos) return false;
  const std::string_view digits = identifier.substr(second + 1);
  return all_of_kind(identifier.substr(0, first), 'a', 'z') &&
         all_of_kind(identifier.substr(first + 1, second - first - 1), 'a', 'z') &&
         digits.size() >= 4 && all_of_kind(digits, '0', '9');
}

bool is_numbered_file(std::string_view name) {
  if (!name.starts_with("part_")) return false;
  name.remove_prefix(5);
  const size_t dot = name.find('.');
  if (dot == name.npos || dot < 4 || !all_of_kind(name.substr(0, dot), '0', '9')) return false;
  return name.substr(dot) == ".c" || name.substr(dot) == ".py";
}

std::string files_question(int64_t files, int64_t functions) {
  Rng unused(0);
  return fill_template(sentences().question,
                       {{"files", std::to_string(files)}, {"count", std::to_string(functions)}},
                       unused);
}

const std::string& files_answer() {
  return sentences().answer;
}

}  // namespace ds4::suites
