// Draws from phrases.json.
#include "suites/needle/phrases.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "engine/base/check.h"
#include "suites/common/text_pools.h"

namespace ds4::suites {

extern const std::string_view needle_phrases_json;

namespace {

struct FillerGroup {  // the first of them are sentences
  int64_t weight = 0;
  std::vector<std::string> lines;
};

struct FactKind {
  std::string kind;
  std::string subjects;  // name of a word list
};

struct Phrases {
  std::vector<std::string> frames;
  std::vector<FactKind> facts;
  std::vector<FillerGroup> filler;
  std::string salt, statement, question, instruction;
  int64_t total_weight = 0;
};

const Phrases& phrases() {
  static const Phrases parsed = [] {
    const auto json = nlohmann::json::parse(needle_phrases_json);
    Phrases out;
    json.at("frames").get_to(out.frames);
    json.at("salt").get_to(out.salt);
    json.at("statement").get_to(out.statement);
    json.at("question").get_to(out.question);
    json.at("instruction").get_to(out.instruction);
    for (const auto& fact : json.at("facts"))
      out.facts.push_back({fact.at("kind"), fact.at("subjects")});
    for (const auto& group : json.at("filler")) {
      out.filler.push_back({group.at("weight"), group.at("lines")});
      out.total_weight += out.filler.back().weight;
    }
    return out;
  }();
  return parsed;
}

}  // namespace

std::vector<Fact> random_facts(Rng& rng, int64_t count, int64_t value_length, bool digits) {
  std::set<std::pair<std::string, std::string>> subjects;
  std::set<std::string> values;
  std::vector<Fact> facts;
  while (static_cast<int64_t>(facts.size()) < count) {
    const FactKind& kind = rng.pick(phrases().facts);
    const std::string& subject = rng.pick(words(kind.subjects));
    const std::string value =
        digits ? random_digits(rng, value_length) : random_code(rng, value_length);
    if (!subjects.emplace(kind.kind, subject).second || !values.insert(value).second) continue;
    const Bindings bound{{"kind", kind.kind}, {"subject", subject}, {"value", value}};
    facts.push_back({fill_template(phrases().statement, bound, rng),
                     fill_template(phrases().question, bound, rng), value});
  }
  return facts;
}

std::string random_opening(Rng& rng) {
  const std::string salt = fill_template(phrases().salt, {}, rng);
  return salt + "\n" + rng.pick(phrases().frames) + "\n";
}

std::string random_filler_line(Rng& rng, bool prose) {
  if (prose) return fill_template(rng.pick(phrases().filler.front().lines), {}, rng);
  int64_t draw = rng.between(0, phrases().total_weight - 1);
  for (const FillerGroup& group : phrases().filler) {
    if (draw < group.weight) return fill_template(rng.pick(group.lines), {}, rng);
    draw -= group.weight;
  }
  DS4_CHECK(false, "filler weights");
}

const std::string& answer_instruction() {
  return phrases().instruction;
}

}  // namespace ds4::suites
