#include "runners/targets/target.h"

namespace ds4::runners {

void OneAtATime::run(Work& work) {
  while (const std::optional<Work::Item> item = work.next()) {
    work.done(item->id, submit(item->request, [&](int64_t prompt_done, int64_t completion_done) {
                return work.progress(item->id, prompt_done, completion_done);
              }));
  }
}

}  // namespace ds4::runners
