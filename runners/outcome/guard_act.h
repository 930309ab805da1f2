// The guard's verdict as evidence.
#pragma once

#include "runners/guard/verdict.h"
#include "runners/outcome/evidence.h"

namespace ds4::runners::outcome {

GuardAct act_of(const guard::Verdict& verdict);

}  // namespace ds4::runners::outcome
