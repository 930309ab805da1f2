// A recipe of any bytes: imported and exported again, or refused with a remedy.
#include "tests/fuzz/imported.h"

using namespace ds4;

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  fuzz::refuses(
      [&] { fuzz::check_import(profiles::import_recipe(fuzz::as_text(data, size), "k160.json")); });
  return 0;
}
