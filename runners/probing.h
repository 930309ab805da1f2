// Cases that measure the machine of a cell instead of asking its target: the probes on the cell's
// device, and the steps of its engine taken apart. Every pass is a sample of the attempt.
#pragma once

#include <functional>
#include <string>

#include "profiles/schema/profile.h"
#include "reports/store/store.h"
#include "suites/bandwidth_roofline/probing.h"

namespace ds4::runners {

/// What the machine or the target lacks for it, so that there is nothing to measure; "" = nothing.
std::string probing_lack(const suites::Probing& probing, const profiles::Profile& profile);

/// Measures, and fills in the attempt's text (JSON, "ds4-probing-1"), samples and status. A machine
/// that cannot be measured so gives an attempt with the status "error". `progress` receives what is
/// being measured.
void probe_for(const suites::Probing& probing, const profiles::Profile& profile,
               reports::AttemptRow& attempt,
               const std::function<void(const std::string&)>& progress);

}  // namespace ds4::runners
