// A profile of any bytes: loaded and planned, or refused with a remedy.
#include "profiles/schema/profile.h"

#include "profiles/schema/plan.h"
#include "tests/fuzz/fuzz.h"

using namespace ds4;

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const fuzz::Scratch scratch;
  const auto path = scratch.write("p.toml", fuzz::as_text(data, size));
  fuzz::refuses([&] {
    const profiles::Plan plan = profiles::make_plan(profiles::load_profile(path));
    for (const profiles::Cell& cell : plan.cells) {
      const std::string json = profiles::cell_to_json(cell);
      fuzz::require(profiles::cell_to_json(profiles::cell_from_json(json)) == json,
                    "a cell survives its JSON form");
    }
  });
  return 0;
}
