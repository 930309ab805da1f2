// The needle suite's sentences, read from phrases.json: frames, facts, questions and filler lines.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "suites/common/rng.h"

namespace ds4::suites {

/// A fact to hide, and how to ask for it.
struct Fact {
  std::string statement;
  std::string question;
  std::string value;
};

/// `count` facts about different subjects with different values. At most as many as there are
/// subjects (over a hundred).
std::vector<Fact> random_facts(Rng& rng, int64_t count, int64_t value_length, bool digits);

/// The first lines: a salt of its own for each case, so that a prefix cache filled by another case
/// cannot shorten the prefill, then one of the frames.
std::string random_opening(Rng& rng);

/// One line of text without meaning for the question; weights as in phrases.json. `prose`: a
/// sentence.
std::string random_filler_line(Rng& rng, bool prose = false);

/// Appended to the question in the instructed style.
const std::string& answer_instruction();

}  // namespace ds4::suites
