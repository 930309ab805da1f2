#include "runners/cli/data_flag.h"

#include <cstdlib>

#include <CLI/CLI.hpp>
#include <filesystem>

namespace ds4::cli {

void add_data_flag(CLI::App* verb) {
  verb->add_option_function<std::string>(
          "--data",
          [](const std::string& folder) {
            ::setenv("DS4_SWEEP_DATA", std::filesystem::absolute(folder).c_str(), 1);
          },
          "Folder of data sets, DIR/gsm8k/test.jsonl and so on (default: where `fetch` puts them)")
      ->check(CLI::ExistingDirectory)
      ->type_name("DIR");
}

}  // namespace ds4::cli
