// A small fixed work, done before and after a measurement to see whether the machine is as fast as
// it was: a copy and a matrix-vector product, the two things decoding consists of. Both, because
// users report machines whose products became three times slower while copies stayed as they were.
#pragma once

namespace ds4::probes {

struct SentinelReading {
  double copy_rate = 0;  // B/s, read and written counted once each
  double gemv_rate = 0;  // B/s of the matrix
};

/// One processor, by its own clock, so that what other processes take of it is left out. The best
/// of several passes; about 0.2 s and 192 MiB. Each pass is checked.
SentinelReading read_host_sentinel();

/// The first GPU, by the GPU's clock; the best of several passes; at most 768 MiB. Throws
/// Error(kMachine) when this build or this machine has no GPU.
SentinelReading read_device_sentinel();

}  // namespace ds4::probes
