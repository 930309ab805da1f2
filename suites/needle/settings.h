// The needle suite's parameters, checked.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "suites/common/parameters.h"

namespace ds4::suites {

struct NeedleSettings {
  std::vector<int64_t> lengths, residues, samples, streams;
  int64_t modulus = 0;  // of the residues
  std::vector<double> depths;
  std::vector<std::string> variants, fillers;
  int64_t facts = 0, value_length = 0, answer_tokens = 0;
  bool instructed = false;
  CommonParameters common;
};

/// Compression ratios of the attention layers (model.md 3.5): the moduli at which prompt lengths
/// differ.
inline constexpr int64_t kFineRatio = 4, kCoarseRatio = 128;

/// Throws Error(kProfile) on bad values.
NeedleSettings read_needle_settings(const Parameters& parameters);

/// The largest number of tokens up to `length` with that residue.
constexpr int64_t tokens_with_residue(int64_t length, int64_t residue, int64_t modulus) {
  return length - ((length - residue) % modulus + modulus) % modulus;
}

}  // namespace ds4::suites
