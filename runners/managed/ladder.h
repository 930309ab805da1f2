// The ladder to readiness: process, port, health, model, first answer, each within its limit and
// with its time.
#pragma once

#include <string>
#include <vector>

#include "probes/sample.h"
#include "profiles/schema/profile.h"
#include "profiles/schema/server_address.h"
#include "runners/managed/output.h"
#include "runners/managed/process.h"
#include "runners/targets/target.h"

namespace ds4::runners::managed {

/// What is climbed, and with what.
struct Climb {
  ServerProcess& process;
  ServerOutput& output;
  const profiles::ServerAddress& address;
  const profiles::ServerSection& server;
  const profiles::LaunchLimits& limits;
  std::string key;  // for requests; "" = none
  double began_s = 0;
};

/// Climbs to the first answer. `samples` gets the time of each rung as it is reached. Throws
/// ServerFailure for a rung that is not.
void climb(const Climb& climb, const Target::OnPhase& on_phase,
           std::vector<probes::Sample>& samples);

/// The failure of a server that has ended: `when` says where that was ("before its port was open").
/// The last lines that it printed are part of the message.
void throw_ended(ServerProcess& process, ServerOutput& output, const std::string& when,
                 const std::string& phase = "");

}  // namespace ds4::runners::managed
