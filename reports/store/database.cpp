#include "reports/store/database.h"

#include <sqlite3.h>

#include <string>

#include "engine/base/check.h"
#include "engine/base/error.h"

namespace ds4::reports {
namespace {

// Long enough for another process's transaction (milliseconds) even on a slow disk.
constexpr int kBusyTimeoutMs = 20'000;

const char* remedy(int code) {
  switch (code & 0xff) {  // the low byte is the primary result code
    case SQLITE_FULL:
      return "The disk is full. Free space and run `ds4-sweep resume`; everything stored so far is "
             "kept.";
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_AUTH:
      return "The database or its folder is not writable. Change the permissions or name another "
             "file with --db.";
    case SQLITE_CANTOPEN:
      return "Check that the folder exists and may be written, or name another file with --db.";
    case SQLITE_NOTADB:
      return "The file is not a database of ds4-sweep. Name another file with --db.";
    case SQLITE_CORRUPT:
      return "The file is damaged. Copy what is readable with `sqlite3 FILE .recover`, or name "
             "another file with --db.";
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return "Another process holds the database. Wait for it to finish, or name another file with "
             "--db.";
    case SQLITE_IOERR:
      return "The disk reported an error. Check it (dmesg, free space, network mounts), or name a "
             "file on another disk with --db.";
    case SQLITE_CONSTRAINT:
      return "The row contradicts what is stored already. Is another ds4-sweep writing the same "
             "run?";
    default:
      return "Try another file with --db.";
  }
}

}  // namespace

Database::Database(const std::filesystem::path& path, Mode mode) : path_(path) {
  try {
    open_or_throw(mode);
  } catch (...) {
    close();
    throw;
  }
}

void Database::open_or_throw(Mode mode) {
  const int flags =
      mode == Mode::kReadOnly ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE;
  if (mode == Mode::kReadOnly && !std::filesystem::exists(path_)) {
    throw Error(ErrorCode::kIo, path_.string() + ": no such database",
                "Run a profile first, or name the database with --db.");
  }
  if (sqlite3_open_v2(path_.c_str(), &db_, flags, nullptr) != SQLITE_OK) fail("open");
  sqlite3_extended_result_codes(db_, 1);
  sqlite3_busy_timeout(db_, kBusyTimeoutMs);
  if (mode == Mode::kReadOnly) {
    // A WAL database needs its -shm file even to be read; in a folder that cannot be written there
    // is none. Without a -wal file nothing is pending, so the file may be read as it stands.
    const auto no_shm = [](int result) {
      return (result & 0xff) == SQLITE_CANTOPEN || (result & 0xff) == SQLITE_READONLY;
    };
    int code = sqlite3_exec(db_, "SELECT count(*) FROM sqlite_schema", nullptr, nullptr, nullptr);
    if (no_shm(code) && !std::filesystem::exists(path_.string() + "-wal")) {
      close();
      std::string uri = "file:";
      for (const char c : path_.string()) {
        if (c == '?' || c == '#' || c == '%') {
          constexpr char kHex[] = "0123456789ABCDEF";
          uri += {'%', kHex[static_cast<unsigned char>(c) >> 4], kHex[c & 15]};
        } else {
          uri += c;
        }
      }
      uri += "?immutable=1";
      if (sqlite3_open_v2(uri.c_str(), &db_, flags | SQLITE_OPEN_URI, nullptr) != SQLITE_OK) {
        fail("open");
      }
      code = sqlite3_exec(db_, "SELECT count(*) FROM sqlite_schema", nullptr, nullptr, nullptr);
    }
    if (code != SQLITE_OK) fail("read");
  }
  execute("PRAGMA foreign_keys = ON", "open");
}

Database::~Database() {
  close();
}

void Database::use_write_ahead_log() {
  // WAL: readers see a consistent database while a run writes it. FULL: the log is synced at every
  // commit, so a stored attempt survives power loss too; one sync per attempt is cheap.
  execute("PRAGMA journal_mode = WAL", "open");
  execute("PRAGMA synchronous = FULL", "open");
}

void Database::close() noexcept {
  sqlite3_close_v2(db_);
  db_ = nullptr;
}

void Database::execute(std::string_view sql, const char* doing) {
  const int code = sqlite3_exec(db_, std::string(sql).c_str(), nullptr, nullptr, nullptr);
  if (code != SQLITE_OK) fail(doing, code);
}

int64_t Database::integer(std::string_view sql) {
  Statement statement(*this, sql);
  DS4_CHECK(statement.step(), std::string(sql));
  return statement.integer(0);
}

int64_t Database::last_insert_id() const {
  return sqlite3_last_insert_rowid(db_);
}

void Database::fail(const char* doing, int code) const {
  if (code == 0) code = db_ ? sqlite3_extended_errcode(db_) : SQLITE_NOMEM;
  const char* message = db_ ? sqlite3_errmsg(db_) : sqlite3_errstr(code);
  throw Error(ErrorCode::kIo, path_.string() + ": cannot " + doing + ": " + message, remedy(code));
}

Statement::Statement(Database& database, std::string_view sql, const char* doing)
    : database_(database), doing_(doing) {
  const int code = sqlite3_prepare_v2(database.handle(), sql.data(), static_cast<int>(sql.size()),
                                      &statement_, nullptr);
  if (code != SQLITE_OK) database_.fail(doing_, code);
}

Statement::~Statement() {
  sqlite3_finalize(statement_);
}

void Statement::check_bound(int code) {
  if (code != SQLITE_OK) database_.fail(doing_, code);
  ++next_;
}

Statement& Statement::bind(int64_t value) {
  check_bound(sqlite3_bind_int64(statement_, next_, value));
  return *this;
}

Statement& Statement::bind(double value) {
  check_bound(sqlite3_bind_double(statement_, next_, value));
  return *this;
}

Statement& Statement::bind(std::string_view text) {
  check_bound(sqlite3_bind_text64(statement_, next_, text.data() ? text.data() : "", text.size(),
                                  SQLITE_TRANSIENT, SQLITE_UTF8));
  return *this;
}

Statement& Statement::bind_blob(std::string_view bytes) {
  check_bound(sqlite3_bind_blob64(statement_, next_, bytes.data() ? bytes.data() : "", bytes.size(),
                                  SQLITE_TRANSIENT));
  return *this;
}

Statement& Statement::bind_from(const Statement& row, int column) {
  check_bound(sqlite3_bind_value(statement_, next_, sqlite3_column_value(row.statement_, column)));
  return *this;
}

bool Statement::step() {
  const int code = sqlite3_step(statement_);
  if (code == SQLITE_ROW) return true;
  if (code != SQLITE_DONE) database_.fail(doing_, code);
  return false;
}

void Statement::run() {
  const bool row = step();
  DS4_CHECK(!row, "a statement run for its effect returned a row");
  reset();
}

void Statement::reset() {
  sqlite3_reset(statement_);
  next_ = 1;
}

int Statement::columns() const {
  return sqlite3_column_count(statement_);
}

std::string Statement::column_name(int column) const {
  return sqlite3_column_name(statement_, column);
}

int64_t Statement::integer(int column) const {
  return sqlite3_column_int64(statement_, column);
}

double Statement::real(int column) const {
  return sqlite3_column_double(statement_, column);
}

std::string_view Statement::view(int column) const {
  // sqlite3_column_blob first: it keeps bytes that are not UTF-8 and embedded zeros as they are.
  const void* data = sqlite3_column_blob(statement_, column);
  const int size = sqlite3_column_bytes(statement_, column);
  return {static_cast<const char*>(data), static_cast<size_t>(data ? size : 0)};
}

bool Statement::is_null(int column) const {
  return sqlite3_column_type(statement_, column) == SQLITE_NULL;
}

Transaction::Transaction(Database& database) : database_(database) {
  database_.execute("BEGIN IMMEDIATE", "begin a transaction");
}

Transaction::~Transaction() {
  // A failed statement may have rolled back by itself; then this does nothing.
  if (open_) sqlite3_exec(database_.handle(), "ROLLBACK", nullptr, nullptr, nullptr);
}

void Transaction::commit() {
  database_.execute("COMMIT", "store");
  open_ = false;
}

Snapshot::Snapshot(Database& database)
    : database_(database), ours_(sqlite3_get_autocommit(database.handle()) != 0) {
  if (ours_) database_.execute("BEGIN", "read");
}

Snapshot::~Snapshot() {
  if (ours_) sqlite3_exec(database_.handle(), "COMMIT", nullptr, nullptr, nullptr);
}

}  // namespace ds4::reports
