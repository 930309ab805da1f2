// What one needle case hides and asks, before it has a length: our own facts, RULER's retrieval
// tasks and the published context test.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "suites/common/rng.h"
#include "suites/needle/haystack.h"

namespace ds4::suites {

enum class Filler {
  kMixed,   // log lines, sentences, code
  kProse,   // sentences
  kNoise,   // one line over and over
  kBlocks,  // the same with a number in front
  kFacts,   // facts of the same form about something else
};

/// "mixed", "prose", "noise", "blocks", "facts".
std::string filler_name(Filler filler);

struct Challenge {
  std::string opening, closing;         // what stands before and right behind the text
  std::vector<std::string> statements;  // the first at the case's depth, the others anywhere
  std::vector<std::string> wanted;      // values asked for
  std::vector<std::string> others;      // values of statements that are not asked for
  Filler filler = Filler::kMixed;
  bool flowing = false;            // lines are sentences of one paragraph
  std::vector<std::string> facts;  // with Filler::kFacts: the lines, in turn
  bool salted = false;             // no other case begins alike
};

/// RULER's eight retrieval tasks by their names ("niah_single_1", ...), then "seed0".
const std::vector<std::string>& published_variants();
bool is_published(const std::string& variant);

/// Which filler a published variant has.
Filler filler_of(const std::string& variant);

/// `length`: tokens of the prompt.
Challenge published_challenge(const std::string& variant, int64_t length, Rng& rng);

/// Whether the text is made of lines that follow each other by number.
bool has_numbered_lines(const Challenge& challenge);

/// The line of that number, from 1, of such a text.
std::string numbered_line(const Challenge& challenge, int64_t number);

}  // namespace ds4::suites
