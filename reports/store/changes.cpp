#include "reports/store/changes.h"

#include "reports/store/database.h"

namespace ds4::reports {

struct ChangeCounter::Impl {
  Database database;
};

ChangeCounter::ChangeCounter(const std::filesystem::path& path)
    : impl_(new Impl{Database(path, Database::Mode::kReadOnly)}) {}

ChangeCounter::~ChangeCounter() = default;

int64_t ChangeCounter::value() {
  return impl_->database.integer("PRAGMA data_version");
}

}  // namespace ds4::reports
