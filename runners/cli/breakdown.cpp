// `breakdown`: where the time of a decode step and of a prefill chunk goes, operation by operation,
// beside this machine's ceilings measured in the same run.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "engine/api/breakdown.h"
#include "engine/api/checkpoints.h"
#include "engine/base/processors.h"
#include "engine/base/units.h"
#include "probes/device_probes.h"
#include "probes/host_speed.h"
#include "runners/cli/engine_flags.h"
#include "runners/cli/verbs.h"

namespace ds4::cli {
namespace {

struct Ceilings {
  double read_rate = 0;     // B/s
  double product_rate = 0;  // FLOP/s
  std::string product;
};

Ceilings measure_ceilings(const EngineSettings& settings) {
  if (settings.device == Device::kCuda) {
    const probes::DeviceSpeed speed = probes::measure_device_speed();
    return {speed.read_rate, speed.bf16_rate, speed.bf16_by};
  }
  const int threads = settings.threads ? settings.threads : usable_processors();
  const probes::HostSpeed speed = probes::measure_host_speed(threads);
  return {speed.read_rate, speed.sgemm_rate, "f32 sgemm"};
}

// The time that bytes or FLOPs take at the ceilings, whichever is longer.
double floor_s(const OperationCost& cost, const Ceilings& ceilings) {
  return std::max(cost.bytes / ceilings.read_rate, cost.flops / ceilings.product_rate);
}

void print_step(const char* title, const StepBreakdown& step, const Ceilings& ceilings) {
  const OperationCost all = step.total();
  std::printf("\n%s: %.3f ms, %.1f tok/s; operations watched one by one: %.3f ms\n", title,
              step.seconds * 1e3, static_cast<double>(step.rows) / step.seconds, all.seconds * 1e3);
  if (step.launches > 0) {
    std::printf(
        "%lld launches, handed over in %.3f ms; %.3f ms by the GPU's clock: busy %s%.1f %% of the "
        "step\n",
        static_cast<long long>(step.launches), step.submit_seconds * 1e3, step.gpu_seconds * 1e3,
        step.host_bound() ? "at most " : "", 100 * step.gpu_busy());
  }
  size_t longest = 0;
  for (const OperationCost& cost : step.operations) longest = std::max(longest, cost.name.size());
  const auto width = static_cast<int>(longest);
  std::printf("%-*s %6s %10s %6s %10s %9s %9s %7s\n", width, "operation", "calls", "ms", "share",
              "MB", "GB/s", "GFLOP/s", "floor");
  const auto line = [&](const OperationCost& cost) {
    std::printf("%-*s %6lld %10.3f %5.1f%% %10.3f %9.1f %9.1f %6.1f%%\n", width, cost.name.c_str(),
                static_cast<long long>(cost.calls), cost.seconds * 1e3,
                100 * cost.seconds / all.seconds, cost.bytes / 1e6, cost.bytes / cost.seconds / 1e9,
                cost.flops / cost.seconds / 1e9, 100 * floor_s(cost, ceilings) / cost.seconds);
  };
  for (const OperationCost& cost : step.operations) line(cost);
  line(all);
}

nlohmann::ordered_json step_json(const StepBreakdown& step, const Ceilings& ceilings) {
  nlohmann::ordered_json operations = nlohmann::ordered_json::array();
  for (const OperationCost& cost : step.operations) {
    operations.push_back({{"name", cost.name},
                          {"calls", cost.calls},
                          {"seconds", cost.seconds},
                          {"bytes", cost.bytes},
                          {"weight_bytes", cost.weight_bytes},
                          {"flops", cost.flops},
                          {"floor_s", floor_s(cost, ceilings)}});
  }
  nlohmann::ordered_json object = {
      {"rows", step.rows}, {"seconds", step.seconds}, {"submit_s", step.submit_seconds}};
  if (step.launches > 0) {
    object["launches"] = step.launches;
    object["gpu_s"] = step.gpu_seconds;
    object["gpu_busy"] = step.gpu_busy();
    object["host_bound"] = step.host_bound();
  }
  object["operations"] = operations;
  return object;
}

void print_rate(const char* what, int64_t tokens, double seconds) {
  std::printf("%s: %lld tokens in %.2f s, %.1f tok/s\n", what, static_cast<long long>(tokens),
              seconds, static_cast<double>(tokens) / seconds);
}

nlohmann::ordered_json memory_json(const Breakdown& breakdown, const MemoryEstimate& planned) {
  nlohmann::ordered_json parts;
  for (const MemoryEstimate::Part& part : planned.parts) parts[part.owner] = part.bytes;
  return {{"device_bytes", breakdown.device_bytes},
          {"planned_bytes", planned.total_bytes()},
          {"planned", parts}};
}

}  // namespace

void add_breakdown(CLI::App& app, Common& common) {
  struct Options {
    std::string checkpoint;
    BreakdownOptions engine;
  };
  auto options = std::make_shared<Options>();
  options->engine.context = 2048;
  CLI::App* verb = app.add_subcommand("breakdown", "Where the time of a step goes, by operation");
  verb->footer(
      "Prints, for one prefill chunk and one decode step, the time of every operation with the "
      "bytes\nand FLOPs it cannot do without. `floor` is the part of its time that these take at "
      "the ceilings\nmeasured in the same run. On a GPU also: kernels launched, the time until all "
      "were "
      "handed over,\nand the share of the step in which the GPU had work.\nExamples:\n"
      "  ds4-sweep breakdown --checkpoint checkpoints/tiny\n"
      "  ds4-sweep breakdown --checkpoint synthetic:k96 --device cuda --context 8192 --chunk 2048");
  add_engine_flags(verb, options->checkpoint, options->engine.settings);
  verb->add_option("--context", options->engine.context, "Tokens in front of the decode step")
      ->check(CLI::Range(1, 1 << 20))
      ->capture_default_str();
  verb->add_option("--repeats", options->engine.repeats, "Times each step is run; the best counts")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  verb->add_option("--computed", options->engine.computed,
                   "Compute only so many tokens and fill the memory behind them with copies")
      ->check(CLI::Range(0, 1 << 20));
  verb->add_option("--generate", options->engine.generated,
                   "Tokens to decode behind the step, one after the other")
      ->check(CLI::Range(0, 1 << 20));
  verb->add_flag("--json", common.json, "Print as JSON");
  verb->callback([options, &common] {
    options->engine.checkpoint = resolve_checkpoint(options->checkpoint);
    const Ceilings ceilings = measure_ceilings(options->engine.settings);
    const Breakdown breakdown = break_down(options->engine);
    const MemoryEstimate planned = estimate_memory(options->engine.checkpoint, breakdown.settings);
    if (common.json) {
      const nlohmann::ordered_json object = {{"format", "ds4-breakdown-1"},
                                             {"checkpoint", options->checkpoint},
                                             {"context", options->engine.context},
                                             {"read_rate", ceilings.read_rate},
                                             {"product_rate", ceilings.product_rate},
                                             {"product", ceilings.product},
                                             {"prompt_tokens", breakdown.prompt_tokens},
                                             {"prompt_s", breakdown.prompt_seconds},
                                             {"generated_tokens", options->engine.generated},
                                             {"generated_s", breakdown.generated_seconds},
                                             {"memory", memory_json(breakdown, planned)},
                                             {"prefill", step_json(breakdown.prefill, ceilings)},
                                             {"decode", step_json(breakdown.decode, ceilings)}};
      std::puts(object.dump(2).c_str());
      return;
    }
    std::printf("%s: ceilings of this run %.1f GB/s read, %.0f GFLOP/s %s\n",
                options->checkpoint.c_str(), ceilings.read_rate / 1e9, ceilings.product_rate / 1e9,
                ceilings.product.c_str());
    print_rate("prompt", breakdown.prompt_tokens, breakdown.prompt_seconds);
    const std::string behind = std::to_string(options->engine.context) + " tokens";
    print_step(
        ("prefill chunk of " + std::to_string(breakdown.prefill.rows) + ", ending at " + behind)
            .c_str(),
        breakdown.prefill, ceilings);
    print_step(("decode step behind " + behind).c_str(), breakdown.decode, ceilings);
    if (options->engine.generated > 0) {
      print_rate("\ndecoded behind it", options->engine.generated, breakdown.generated_seconds);
    }
    if (breakdown.device_bytes > 0) {
      std::printf("memory of the GPU: %s in use, planned %s\n",
                  format_bytes(breakdown.device_bytes).c_str(),
                  format_bytes(planned.total_bytes()).c_str());
    }
  });
}

}  // namespace ds4::cli
