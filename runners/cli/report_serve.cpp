#include "runners/cli/report_serve.h"

#include <cstdio>
#include <future>

#include "reports/store/store.h"
#include "runners/cli/stop_signals.h"
#include "runners/serve/listener.h"

namespace ds4::cli {

void serve_reports(const runners::serve::ReportSettings& settings, const std::string& run) {
  const std::string id =
      run.empty() ? "" : reports::Store::open_read_only(settings.database)->run(run).id;
  std::promise<void> stopped;
  const StopSignals signals([&] { stopped.set_value(); });
  const runners::serve::ReportServer server(settings);
  std::printf("%s/%s\n", server.url().c_str(), id.empty() ? "" : ("runs/" + id).c_str());
  std::fflush(stdout);
  std::fprintf(stderr, "serving %s; Ctrl-C stops\n", settings.database.c_str());
  if (!runners::serve::is_loopback(settings.host)) {
    std::fprintf(stderr, "whoever reaches %s reads every run in it, and is asked for no key\n",
                 settings.host.c_str());
  }
  stopped.get_future().wait();
}

}  // namespace ds4::cli
