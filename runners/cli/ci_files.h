// The files a CI system picks up: --junit and --summary, the same for every verb that judges.
#pragma once

#include <functional>
#include <string>

namespace CLI {
class App;
}
namespace ds4::reports {
struct CheckList;
}

namespace ds4::cli {

struct CiFiles {
  std::string junit, summary;
};

void add_ci_flags(CLI::App* verb, CiFiles& files);

/// Writes what was asked for: the JUnit file anew, the summary behind what is there, as CI systems
/// expect of their step summary. Throws Error(kIo).
void write_ci_files(const CiFiles& files, const reports::CheckList& checks,
                    const std::function<std::string()>& markdown);

}  // namespace ds4::cli
