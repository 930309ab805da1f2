#include "runners/sweep/observation.h"

#include <chrono>
#include <nlohmann/json.hpp>

#include "engine/base/error.h"
#include "runners/process.h"

namespace ds4::runners::sweep {
namespace {

using nlohmann::json;

constexpr auto kPatience = std::chrono::seconds(60);

json pool_json(const profiles::MemoryPool& pool) {
  return {{"total", pool.total}, {"held", pool.held}, {"floor", pool.floor}};
}

profiles::MemoryPool pool_from(const json& j) {
  profiles::MemoryPool pool;
  j.at("total").get_to(pool.total);
  j.at("held").get_to(pool.held);
  j.at("floor").get_to(pool.floor);
  return pool;
}

}  // namespace

std::string encode(const Observation& observation) {
  const profiles::Machine& machine = observation.machine;
  json j = {
      {"name", machine.name}, {"description", machine.description}, {"unified", machine.unified}};
  if (machine.memory) j["memory"] = pool_json(*machine.memory);
  if (machine.gpu) j["gpu"] = pool_json(*machine.gpu);
  if (observation.sentinel) {
    j["copy_rate"] = observation.sentinel->copy_rate;
    j["gemv_rate"] = observation.sentinel->gemv_rate;
  }
  return j.dump(-1, ' ', false, json::error_handler_t::replace);
}

Observation decode_observation(std::string_view line) {
  try {
    const json j = json::parse(line);
    Observation observation;
    profiles::Machine& machine = observation.machine;
    j.at("name").get_to(machine.name);
    j.at("description").get_to(machine.description);
    j.at("unified").get_to(machine.unified);
    if (j.contains("memory")) machine.memory = pool_from(j.at("memory"));
    if (j.contains("gpu")) machine.gpu = pool_from(j.at("gpu"));
    if (j.contains("copy_rate")) {
      observation.sentinel = {j.at("copy_rate").get<double>(), j.at("gemv_rate").get<double>()};
    }
    return observation;
  } catch (const json::exception& e) {
    throw Error(ErrorCode::kMachine,
                std::string("`ds4-sweep sentinel` said nothing that can be read: ") + e.what(),
                "Run `ds4-sweep plan PROFILE --machine this` to see what it finds.");
  }
}

Observation observe(const std::string& device, bool with_sentinel) {
  std::vector<std::string> arguments{"sentinel", device};
  if (with_sentinel) arguments.emplace_back("--speed");
  ChildProcess child(arguments, "");
  std::string line;
  const auto end = std::chrono::steady_clock::now() + kPatience;
  ChildProcess::Wait event = ChildProcess::Wait::kTimeout;
  while (event != ChildProcess::Wait::kLine && event != ChildProcess::Wait::kEnded &&
         std::chrono::steady_clock::now() < end) {
    event = child.wait_line(std::chrono::seconds(1), line);
  }
  if (event == ChildProcess::Wait::kLine) {
    child.wait_exit();  // its memory is to be free again before anything is launched
    return decode_observation(line);
  }
  if (event != ChildProcess::Wait::kEnded) child.kill();
  child.wait_exit();
  throw Error(ErrorCode::kMachine,
              "this machine's " + device + " could not be observed: " + child.log_tail(),
              "Run `ds4-sweep plan PROFILE --machine this` to see what it finds.");
}

}  // namespace ds4::runners::sweep
