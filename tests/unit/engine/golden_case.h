// The cases of tests/golden/vectors/ops: inputs by role, results checked by each case's own rule.
// Keeps the largest error seen per operation, for the record.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "tests/unit/engine/golden_file.h"

namespace ds4::golden {

/// How far a result may be from the expected one (tests/golden/README.md).
struct Rule {
  double rtol = 0, atol = 0, atol_of_max = 0, unequal = 0, outside = 0, outlier = 0;
};

class Case {
 public:
  const std::string& name() const { return name_; }
  double number(const std::string& parameter) const;
  int integer(const std::string& parameter) const { return static_cast<int>(number(parameter)); }
  bool flag(const std::string& parameter) const { return number(parameter) != 0; }
  std::string text(const std::string& parameter) const;
  std::vector<std::vector<int>> chunks() const;

  bool has_input(const std::string& role) const;
  std::vector<float> floats(const std::string& role) const;
  std::vector<int64_t> integers(const std::string& role) const;
  std::vector<int64_t> shape(const std::string& role) const;
  /// Input `prefix` + "weight" with `prefix` + "scale" where stored.
  weights::Matrix matrix(const std::string& prefix = "") const;

  bool has_output(const std::string& role) const;
  std::vector<int64_t> output_shape(const std::string& role) const;
  std::vector<int64_t> output_integers(const std::string& role) const;
  std::vector<uint8_t> output_bytes(const std::string& role) const;
  /// Expects `got` to satisfy the case's rule for output `role`.
  void check(const std::string& role, std::span<const float> got) const;

 private:
  friend void for_each_case(const std::string&, const std::function<void(const Case&)>&);
  struct Data;
  std::string name_;
  std::shared_ptr<const Data> data_;
};

/// Runs `body` on every case of operation `op`; fails when there is none. Afterwards prints and
/// records the largest error per output.
void for_each_case(const std::string& op, const std::function<void(const Case&)>& body);

}  // namespace ds4::golden
