// The back end that an executable tests: one source of tests serves all of them; backend_cpu.cpp and
// backend_cuda.cpp define it.
#pragma once

#include <memory>

#include "engine/api/session.h"
#include "engine/ops/ops.h"

namespace ds4::golden {

std::unique_ptr<ops::Backend> make_test_backend(Precision precision, int threads);
extern const Device kTestDevice;

}  // namespace ds4::golden
