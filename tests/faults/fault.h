// A deliberate fault: one bug that real engines had, put into a working engine at one of three
// seams. None of it lives in engine code; built only with DS4_FAULTS.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "engine/api/selftest.h"
#include "engine/ops/forwarding.h"
#include "engine/weights/weights.h"

namespace ds4::faults {

/// Where a fault is put in.
enum class Seam { kWeights, kOperations, kSession };
const char* seam_name(Seam seam);

/// What a spoiled back end may know beyond its calls.
struct Setting {
  weights::ModelConfig config;
  Precision precision = Precision::kReference;
};

struct Fault {
  std::string name;       // what the broken engine does
  std::string mechanism;  // what the self-test must name among its first suspects
  Seam seam = Seam::kWeights;

  // At most one of these is set for each seam.
  std::function<void(weights::ModelWeights&, EngineSettings&)> spoil;
  std::function<std::unique_ptr<ops::Backend>(std::unique_ptr<ops::Backend>, const Setting&)>
      wrap_operations;
  std::function<std::unique_ptr<Session>(std::unique_ptr<Session>)> wrap_session;
};

/// Engines that carry the fault; they own copies of everything they change.
EngineFactory faulty(const Fault& fault);

std::vector<Fault> format_faults();
std::vector<Fault> parameter_faults();
std::vector<Fault> attention_faults();
std::vector<Fault> compressed_row_faults();
std::vector<Fault> expert_faults();
std::vector<Fault> state_faults();
/// All of the above.
std::vector<Fault> all_faults();

/// Base of spoiled back ends. The CPU keeps Values and Floats as f32.
class Spoiled : public ops::ForwardingBackend {
 public:
  Spoiled(std::unique_ptr<ops::Backend> inner, const Setting& setting)
      : ForwardingBackend(std::move(inner)), setting_(setting) {}

 protected:
  const weights::ModelConfig& config() const { return setting_.config; }
  Precision precision() const { return setting_.precision; }
  template <class View>
  static float* floats(const View& view) {
    return reinterpret_cast<float*>(view.data);
  }
  static int32_t* ints(const ops::Ids& view) { return reinterpret_cast<int32_t*>(view.data); }
  static int rows_of(ops::Segments segments) {
    return segments.back().row + segments.back().chunk.n;
  }

 private:
  Setting setting_;
};

/// A fault of the operations: back ends of type `Kind`.
template <class Kind>
Fault operation_fault(std::string name, std::string mechanism) {
  Fault fault{std::move(name), std::move(mechanism), Seam::kOperations, {}, {}, {}};
  fault.wrap_operations = [](std::unique_ptr<ops::Backend> inner, const Setting& setting) {
    return std::make_unique<Kind>(std::move(inner), setting);
  };
  return fault;
}

}  // namespace ds4::faults
