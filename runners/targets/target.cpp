#include "runners/targets/target.h"

namespace ds4::runners {

void OneAtATime::run(Work& work) {
  while (const std::optional<Work::Item> item = work.next(/*wait=*/true)) {
    work.done(item->id, submit(work, *item));
  }
}

}  // namespace ds4::runners
