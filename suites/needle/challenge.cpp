// Published challenges, by published.json. RULER: Hsieh et al., "RULER: What's the Real Context
// Size of Your Long-Context Language Models?", 2024.
#include "suites/needle/challenge.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <set>

#include "engine/base/check.h"
#include "suites/common/text_pools.h"

namespace ds4::suites {

extern const std::string_view needle_published_json;

namespace {

constexpr std::string_view kSeed0 = "seed0";
constexpr int64_t kRulerDigits = 7;
constexpr int64_t kTokensPerFact = 10;  // a low guess
constexpr int64_t kMostFacts = 12000;   // keys are few; a text of over 200,000 tokens repeats some

struct Frame {
  std::string opening, closing;
};

struct Published {
  std::string statement, noise;  // of RULER
  Frame one, many;
  Frame seed0;
  std::string seed0_statement, seed0_block;
  std::vector<std::string> adjectives, nouns;
};

Frame frame_of(const nlohmann::json& json) {
  return {json.at("opening"), json.at("closing")};
}

const Published& published() {
  static const Published parsed = [] {
    const auto json = nlohmann::json::parse(needle_published_json);
    const auto& ruler = json.at("ruler");
    const auto& seed0 = json.at("seed0");
    return Published{ruler.at("statement"),      ruler.at("noise"),     frame_of(ruler.at("one")),
                     frame_of(ruler.at("many")), frame_of(seed0),       seed0.at("statement"),
                     seed0.at("block"),          json.at("adjectives"), json.at("nouns")};
  }();
  return parsed;
}

// A retrieval task of RULER: what hides where, and how much of it is asked for.
struct RulerTask {
  std::string_view name;
  Filler filler;
  bool uuid_keys, uuid_values;
  int64_t keys, values, queries;  // values: of each key
};

constexpr std::array<RulerTask, 8> kRulerTasks = {{
    {"niah_single_1", Filler::kNoise, false, false, 1, 1, 1},
    {"niah_single_2", Filler::kProse, false, false, 1, 1, 1},
    {"niah_single_3", Filler::kProse, false, true, 1, 1, 1},
    {"niah_multikey_1", Filler::kProse, false, false, 4, 1, 1},
    {"niah_multikey_2", Filler::kFacts, false, false, 1, 1, 1},
    {"niah_multikey_3", Filler::kFacts, true, true, 1, 1, 1},
    {"niah_multivalue", Filler::kProse, false, false, 1, 4, 1},
    {"niah_multiquery", Filler::kProse, false, false, 4, 1, 4},
}};

const RulerTask& ruler_task(const std::string& variant) {
  const auto found = std::find_if(kRulerTasks.begin(), kRulerTasks.end(),
                                  [&](const RulerTask& task) { return task.name == variant; });
  DS4_CHECK(found != kRulerTasks.end(), variant);
  return *found;
}

std::string hex_digits(Rng& rng, int64_t length, std::string_view alphabet) {
  std::string out;
  for (int64_t i = 0; i < length; ++i) out += alphabet[rng.below(alphabet.size())];
  return out;
}

// Version 4: random but for the two digits that say so.
std::string random_uuid(Rng& rng) {
  constexpr std::string_view kHex = "0123456789abcdef";
  return hex_digits(rng, 8, kHex) + "-" + hex_digits(rng, 4, kHex) + "-4" +
         hex_digits(rng, 3, kHex) + "-" + hex_digits(rng, 1, "89ab") + hex_digits(rng, 3, kHex) +
         "-" + hex_digits(rng, 12, kHex);
}

// Draws keys and values that were not drawn before.
class RulerDraw {
 public:
  RulerDraw(const RulerTask& task, Rng& rng) : task_(task), rng_(rng) {}

  std::string key() {
    return fresh([&] {
      if (task_.uuid_keys) return random_uuid(rng_);
      return rng_.pick(published().adjectives) + "-" + rng_.pick(published().nouns);
    });
  }
  std::string value() {
    return fresh([&] {
      if (task_.uuid_values) return random_uuid(rng_);
      return std::to_string(rng_.between(1, 9)) + random_digits(rng_, kRulerDigits - 1);
    });
  }

 private:
  template <typename Draw>
  std::string fresh(Draw draw) {
    std::string text = draw();
    while (!drawn_.insert(text).second) text = draw();
    return text;
  }

  const RulerTask& task_;
  Rng& rng_;
  std::set<std::string> drawn_;
};

// "a", "a, and b", "a, b, and c": as RULER joins what it asks for.
std::string listed(const std::vector<std::string>& keys) {
  std::string out = keys.front();
  for (size_t i = 1; i < keys.size(); ++i) {
    out += (i + 1 == keys.size() ? ", and " : ", ") + keys[i];
  }
  return out;
}

Challenge ruler_challenge(const RulerTask& task, int64_t length, Rng& rng) {
  RulerDraw draw(task, rng);
  Challenge out;
  Bindings bound{{"type", task.uuid_values ? "uuid" : "number"}};
  const auto state = [&](const std::string& key, const std::string& value) {
    bound["key"] = key;
    bound["value"] = value;
    return fill_template(published().statement, bound, rng);
  };
  std::vector<std::string> asked;
  for (int64_t k = 0; k < task.keys; ++k) {
    const std::string key = draw.key();
    if (k < task.queries) asked.push_back(key);
    for (int64_t v = 0; v < task.values; ++v) {
      const std::string value = draw.value();
      out.statements.push_back(state(key, value));
      (k < task.queries ? out.wanted : out.others).push_back(value);
    }
  }
  const int64_t n_facts = std::min(length / kTokensPerFact, kMostFacts);
  for (int64_t i = 0; task.filler == Filler::kFacts && i < n_facts; ++i) {
    const std::string key = draw.key();
    out.others.push_back(draw.value());
    out.facts.push_back(state(key, out.others.back()));
  }
  bound["query"] = listed(asked);
  const Frame& frame = out.wanted.size() == 1 ? published().one : published().many;
  out.opening = fill_template(frame.opening, bound, rng);
  out.closing = fill_template(frame.closing, bound, rng);
  out.filler = task.filler;
  out.flowing = task.filler == Filler::kProse;
  return out;
}

// The published code ends in the same four digits always, which a later request of a run could
// have from an earlier one: here they are drawn.
Challenge seed0_challenge(int64_t length, Rng& rng) {
  Challenge out;
  out.wanted = {"SPARK-NEEDLE-" + std::to_string(length) + "-" +
                hex_digits(rng, 4, "0123456789ABCDEF")};
  out.statements = {fill_template(published().seed0_statement, {{"value", out.wanted[0]}}, rng)};
  out.opening = published().seed0.opening;
  out.closing = published().seed0.closing;
  out.filler = Filler::kBlocks;
  return out;
}

}  // namespace

std::string filler_name(Filler filler) {
  static constexpr std::array<const char*, 5> kNames = {"mixed", "prose", "noise", "blocks",
                                                        "facts"};
  return kNames.at(static_cast<size_t>(filler));
}

const std::vector<std::string>& published_variants() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> out;
    for (const RulerTask& task : kRulerTasks) out.emplace_back(task.name);
    out.emplace_back(kSeed0);
    return out;
  }();
  return names;
}

bool is_published(const std::string& variant) {
  const auto& names = published_variants();
  return std::find(names.begin(), names.end(), variant) != names.end();
}

Filler filler_of(const std::string& variant) {
  return variant == kSeed0 ? Filler::kBlocks : ruler_task(variant).filler;
}

Challenge published_challenge(const std::string& variant, int64_t length, Rng& rng) {
  if (variant == kSeed0) return seed0_challenge(length, rng);
  return ruler_challenge(ruler_task(variant), length, rng);
}

bool has_numbered_lines(const Challenge& challenge) {
  return challenge.filler != Filler::kMixed && challenge.filler != Filler::kProse;
}

std::string numbered_line(const Challenge& challenge, int64_t number) {
  if (challenge.filler == Filler::kNoise) return published().noise;
  if (challenge.filler == Filler::kFacts) {
    return challenge.facts[static_cast<size_t>(number - 1) % challenge.facts.size()];
  }
  DS4_CHECK(challenge.filler == Filler::kBlocks, filler_name(challenge.filler));
  std::string digits = std::to_string(number);
  digits.insert(0, digits.size() < 6 ? 6 - digits.size() : 0, '0');
  Rng unused(0);
  return fill_template(published().seed0_block, {{"number", digits}}, unused);
}

}  // namespace ds4::suites
