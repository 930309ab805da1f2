// When the requests of an open loop are due. It decides nothing else about them.
#pragma once

#include <cstdint>
#include <vector>

namespace ds4::suites {

/// `n` moments in seconds since the beginning, rising: gaps drawn from a Gamma distribution of the
/// shape `burstiness` (1 = exponential, so Poisson arrivals; less = in bursts; more = more even)
/// and the mean 1 / rate, summed, then stretched so that the last is due at n / rate, as `vllm
/// bench serve` does: the offered load is then what was asked for.
std::vector<double> arrivals(uint64_t seed, int64_t n, double rate, double burstiness);

}  // namespace ds4::suites
