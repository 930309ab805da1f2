// --data DIR: where the files of published data sets lie, for verbs that make cases. Workers
// inherit it through the environment.
#pragma once

namespace CLI {
class App;
}

namespace ds4::cli {

void add_data_flag(CLI::App* verb);

}  // namespace ds4::cli
