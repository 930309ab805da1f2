#include "tests/unit/engine/golden_case.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <map>
#include <nlohmann/json.hpp>

#include "engine/base/files.h"

namespace ds4::golden {
namespace {
using nlohmann::json;

struct Worst {
  double relative = 0;  // max|difference| / max|expected|
  double unequal = 0;   // fraction of elements
};
std::map<std::string, Worst>& worst_errors() {
  static std::map<std::string, Worst> errors;
  return errors;
}

Rule rule_of(const json& check) {
  return {check.value("rtol", 0.0),    check.value("atol", 0.0),    check.value("atol_of_max", 0.0),
          check.value("unequal", 0.0), check.value("outside", 0.0), check.value("outlier", 0.0)};
}

const json& manifest() {
  static const json parsed = json::parse(read_file(vectors_dir() / "ops/manifest.json"));
  return parsed;
}

}  // namespace

struct Case::Data {
  json spec;
  std::shared_ptr<const GoldenFile> file;
  std::string tensor(const std::string& role) const { return spec["inputs"].at(role); }
};

double Case::number(const std::string& parameter) const {
  const json& value = data_->spec["params"].at(parameter);
  return value.is_boolean() ? (value.get<bool>() ? 1 : 0) : value.get<double>();
}

std::string Case::text(const std::string& parameter) const {
  return data_->spec["params"].at(parameter);
}

std::vector<std::vector<int>> Case::chunks() const {
  return data_->spec["params"].at("chunks").get<std::vector<std::vector<int>>>();
}

bool Case::has_input(const std::string& role) const {
  return data_->spec["inputs"].contains(role);
}
std::vector<float> Case::floats(const std::string& role) const {
  return data_->file->floats(data_->tensor(role));
}
std::vector<int64_t> Case::integers(const std::string& role) const {
  return data_->file->integers(data_->tensor(role));
}
std::vector<int64_t> Case::shape(const std::string& role) const {
  return data_->file->shape(data_->tensor(role));
}
weights::Matrix Case::matrix(const std::string& prefix) const {
  return data_->file->matrix(data_->tensor(prefix + "weight"), has_input(prefix + "scale")
                                                                   ? data_->tensor(prefix + "scale")
                                                                   : std::string());
}

bool Case::has_output(const std::string& role) const {
  return data_->spec["outputs"].contains(role);
}
std::vector<int64_t> Case::output_shape(const std::string& role) const {
  return data_->file->shape(data_->spec["outputs"].at(role).at("tensor"));
}
std::vector<int64_t> Case::output_integers(const std::string& role) const {
  return data_->file->integers(data_->spec["outputs"].at(role).at("tensor"));
}
std::vector<uint8_t> Case::output_bytes(const std::string& role) const {
  return data_->file->bytes(data_->spec["outputs"].at(role).at("tensor"));
}

void Case::check(const std::string& role, std::span<const float> got) const {
  const json& output = data_->spec["outputs"].at(role);
  const std::vector<float> want = data_->file->floats(output.at("tensor"));
  const Rule rule = rule_of(output.at("check"));
  ASSERT_EQ(got.size(), want.size()) << name_ << " " << role;
  double largest = 0;
  for (const float w : want) {
    if (std::isfinite(w)) largest = std::max(largest, std::fabs(static_cast<double>(w)));
  }
  const double atol = std::max(rule.atol, rule.atol_of_max * largest);
  int64_t unequal = 0;
  int64_t outside = 0;
  double worst = 0;
  for (size_t i = 0; i < want.size(); ++i) {
    const double w = want[i];
    const double g = got[i];
    if (w == g || (std::isnan(w) && std::isnan(g))) continue;
    const double error = std::isnan(w) || std::isnan(g) ? INFINITY : std::fabs(g - w);
    const double tolerance = atol + rule.rtol * std::fabs(w);
    ++unequal;
    outside += !(error <= tolerance);
    worst = std::max(worst, error);
    EXPECT_LE(error, std::max(tolerance, rule.outlier))
        << name_ << " " << role << "[" << i << "]: got " << g << ", want " << w;
    if (::testing::Test::HasFailure()) return;
  }
  const auto n = static_cast<double>(std::max<size_t>(want.size(), 1));
  const double unequal_share = static_cast<double>(unequal) / n;
  EXPECT_LE(unequal_share, rule.unequal) << name_ << " " << role << ": share of unequal elements";
  EXPECT_LE(static_cast<double>(outside) / n, rule.outside)
      << name_ << " " << role << ": share outside the tolerance";
  Worst& record = worst_errors()[role];
  record.relative = std::max(record.relative, largest > 0 ? worst / largest : worst);
  record.unequal = std::max(record.unequal, unequal_share);
}

void for_each_case(const std::string& op, const std::function<void(const Case&)>& body) {
  worst_errors().clear();
  int count = 0;
  std::map<std::string, std::shared_ptr<const GoldenFile>> files;
  for (const json& spec : manifest().at("cases")) {
    if (spec.at("op") != op) continue;
    auto& file = files[spec.at("file")];
    if (!file) {
      file =
          std::make_shared<GoldenFile>(vectors_dir() / "ops" / spec.at("file").get<std::string>());
    }
    Case item;
    item.name_ = spec.at("name");
    item.data_ = std::make_shared<Case::Data>(Case::Data{spec, file});
    SCOPED_TRACE(item.name_);
    body(item);
    ++count;
  }
  EXPECT_GT(count, 0) << "no golden cases of " << op;
  for (const auto& [role, worst] : worst_errors()) {
    char line[200];
    std::snprintf(line, sizeof line, "%.2e of the largest value, %.2f%% unequal", worst.relative,
                  100 * worst.unequal);
    std::printf("[  error   ] %s %s: %s (%d cases)\n", op.c_str(), role.c_str(), line, count);
    ::testing::Test::RecordProperty("max_error_" + role, line);
  }
}

}  // namespace ds4::golden
