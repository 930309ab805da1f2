#include "probes/metric.h"

#include <array>

namespace ds4::probes {
namespace {

using enum Direction;

constexpr std::array kMetrics{
    Metric{"ttft", "s", kLowerIsBetter, "time from submitting a request to its first token", true},
    Metric{"prefill_rate", "tok/s", kHigherIsBetter, "prompt tokens computed per second of TTFT",
           true},
    Metric{"decode_rate", "tok/s", kHigherIsBetter, "tokens after the first per second after it",
           true},
    Metric{"decode_rounds", "1", kNeither, "passes of the model that decoding an answer took",
           true},
    Metric{"acceptance_length", "1", kHigherIsBetter, "tokens a round of decoding gave", true},
    Metric{"acceptance_rate_1", "1", kHigherIsBetter, "share of first drafts that were kept", true},
    Metric{"acceptance_rate_2", "1", kHigherIsBetter, "share of second drafts that were kept",
           true},
    Metric{"acceptance_rate_3", "1", kHigherIsBetter, "share of third drafts that were kept", true},
    Metric{"acceptance_rate_4", "1", kHigherIsBetter, "share of fourth drafts that were kept",
           true},
    Metric{"acceptance_rate_5", "1", kHigherIsBetter, "share of fifth drafts that were kept", true},
    Metric{"kv_cache", "B", kNeither,
           "bytes of the KV cache that the tokens of the prompt took", true},
    Metric{"transport_retries", "1", kLowerIsBetter,
           "tries of a request that ended without a reply, before the one that counts", true},
    Metric{"reply_head_time", "s", kNeither,
           "time from sending a request to the head of the server's reply", true},
    Metric{"first_content_time", "s", kLowerIsBetter,
           "time from sending a request to the first visible text, behind any reasoning", true},
    Metric{"stream_pieces", "1", kNeither,
           "pieces of text an answer came in; a piece may be several tokens", true},
    Metric{"scheduled_at", "s", kNeither,
           "when a request of a load was due, since its group began", true},
    Metric{"sent_at", "s", kNeither, "when the target got it, since its group began", true},
    Metric{"dispatch_lag", "s", kLowerIsBetter,
           "how much later than it could the harness handed it over", true},
    Metric{"load_time", "s", kLowerIsBetter,
           "time from starting to open the target until it is ready"},
    Metric{"load_rate", "B/s", kHigherIsBetter,
           "bytes of weights per second that loading brought to the GPU"},
    Metric{"output_rate", "tok/s", kHigherIsBetter,
           "completion tokens of all answers per second from the first case to the last"},
    Metric{"peak_memory", "B", kLowerIsBetter, "largest resident memory of the worker process"},
    Metric{"planned_memory", "B", kNeither,
           "memory of the process that the engine planned before it allocated anything"},
    Metric{"planned_device_memory", "B", kNeither,
           "memory of the GPU that the engine planned before it allocated anything"},
    Metric{"device_memory", "B", kLowerIsBetter,
           "memory of the GPU in use at the end of the cell, by whomever"},
    Metric{"device_capacity", "B", kNeither,
           "memory that the GPU has of its own; absent where it shares the machine's"},
    Metric{"peak_machine_memory", "B", kNeither,
           "most memory of the machine in use at a time, by whomever, as the guard saw it"},
    Metric{"available_memory", "B", kNeither,
           "memory of the machine that could be had when the launch began"},
    Metric{"settle_time", "s", kNeither, "waiting for memory before the launch"},
    Metric{"sentinel_copy", "B/s", kNeither,
           "bytes per second of a small copy before or after the launch"},
    Metric{"sentinel_gemv", "B/s", kNeither,
           "bytes per second of a small matrix-vector product before or after the launch"},
    Metric{"read_rate", "B/s", kHigherIsBetter,
           "bytes per second that processors or GPU read from memory"},
    Metric{"read_share", "1", kNeither, "share of its cores that the reading threads got, 0 to 1"},
    Metric{"write_rate", "B/s", kHigherIsBetter,
           "bytes per second that processors or GPU write to memory"},
    Metric{"copy_rate", "B/s", kHigherIsBetter,
           "bytes per second read and written while memory is copied"},
    Metric{"mix_rate", "B/s", kHigherIsBetter, "bytes per second of two reads for each write"},
    Metric{"working_set_rate", "B/s", kHigherIsBetter,
           "bytes per second of reading a piece of memory again and again"},
    Metric{"random_read_rate", "B/s", kHigherIsBetter,
           "bytes per second of reading pages at random places"},
    Metric{"tensor_rate", "FLOP/s", kHigherIsBetter,
           "operations per second of the tensor cores on random numbers"},
    Metric{"sgemm_rate", "FLOP/s", kHigherIsBetter,
           "f32 operations per second of a library's matrix product on this machine"},
    Metric{"sgemm_share", "1", kNeither,
           "share of its cores that the multiplying threads got, 0 to 1"},
    Metric{"path_rate", "B/s", kHigherIsBetter,
           "bytes per second that reach the GPU's processors by one way of keeping them"},
    Metric{"launch_time", "s", kLowerIsBetter, "time that starting work on the GPU takes"},
    Metric{"dispatch_share", "1", kLowerIsBetter,
           "share of a chain of kernels until the host had handed all over"},
    Metric{"gemv_rate", "B/s", kHigherIsBetter,
           "bytes of weights per second of a product with few rows"},
    Metric{"gemv_plain_rate", "B/s", kHigherIsBetter,
           "bytes of weights per second of the same loads without any arithmetic"},
};

}  // namespace

std::span<const Metric> all_metrics() {
  return kMetrics;
}

const Metric* find_metric(std::string_view name) {
  for (const Metric& metric : kMetrics) {
    if (metric.name == name) return &metric;
  }
  return nullptr;
}

}  // namespace ds4::probes
