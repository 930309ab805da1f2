// A .env file of any bytes: imported and exported again, or refused with a remedy; nothing is run.
#include "tests/fuzz/imported.h"

using namespace ds4;

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  fuzz::refuses(
      [&] { fuzz::check_import(profiles::import_env(fuzz::as_text(data, size), "k160.env")); });
  return 0;
}
