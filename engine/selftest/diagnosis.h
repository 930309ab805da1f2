// From failed and passed checks to the mechanisms that would explain them.
#pragma once

#include <string>
#include <vector>

#include "engine/api/selftest.h"

namespace ds4::selftest {

/// Mechanisms that failed checks exercise, likeliest first. A mechanism is the likelier the fewer
/// passed checks exercise it (a broken one should have shown there), then the fewer failed checks
/// do not exercise it (it leaves them unexplained). Only the best and those that tie with it or
/// follow within one unexplained check are given, at most `limit`. A fault may touch a mechanism
/// in a way that one of its checks cannot see, so this is an order of suspicion, not a proof.
std::vector<std::string> suspects(const std::vector<SelftestCheck>& checks, size_t limit = 4);

}  // namespace ds4::selftest
