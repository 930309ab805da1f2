// SQLite behind two small types: a connection and a prepared statement, with errors as Error(kIo)
// that say what to do. Knows nothing of the tables; for reports/store and its tests only.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

#include "engine/base/name.h"

struct sqlite3;
struct sqlite3_stmt;

namespace ds4::reports {

/// An open database file. Not thread-safe. Closed on destruction.
class Database {
 public:
  enum class Mode { kCreate, kReadOnly };

  /// Opens the file, with foreign keys on and a busy timeout. Throws Error(kIo) when the file is
  /// missing, not permitted or no database.
  Database(const std::filesystem::path& path, Mode mode);
  ~Database();
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;

  /// Journal mode WAL with synchronous=FULL. Separate from opening, so that a database of another
  /// program is recognised before anything in it changes.
  void use_write_ahead_log();

  /// Runs one or more statements that return no rows. `doing` completes "cannot ..." in messages.
  void execute(std::string_view sql, const char* doing);
  /// The single integer of a PRAGMA or SELECT.
  int64_t integer(std::string_view sql);
  int64_t last_insert_id() const;

  sqlite3* handle() const { return db_; }
  const std::filesystem::path& path() const { return path_; }

  /// Throws Error(kIo) for the last failure, with the remedy for its kind.
  [[noreturn]] void fail(const char* doing, int code = 0) const;

 private:
  void open_or_throw(Mode mode);
  void close() noexcept;

  std::filesystem::path path_;
  sqlite3* db_ = nullptr;
};

/// A prepared statement: bind in order, step, read in order. Reusable through reset().
class Statement {
 public:
  Statement(Database& database, std::string_view sql, const char* doing = "read");
  ~Statement();
  Statement(const Statement&) = delete;
  Statement& operator=(const Statement&) = delete;

  /// Binds the next parameter; values are copied.
  Statement& bind(int64_t value);
  Statement& bind(int value) { return bind(static_cast<int64_t>(value)); }
  Statement& bind(bool value) { return bind(static_cast<int64_t>(value)); }
  Statement& bind(double value);
  Statement& bind(std::string_view text);
  Statement& bind(const char* text) { return bind(std::string_view(text)); }
  Statement& bind(const std::string& text) { return bind(std::string_view(text)); }
  Statement& bind(Name name) { return bind(std::string_view(name)); }
  Statement& bind_blob(std::string_view bytes);
  /// The value of a column of another statement's current row, of whatever type.
  Statement& bind_from(const Statement& row, int column);

  /// True while there is a row.
  bool step();
  /// Steps a statement that returns no row and makes it ready for the next values.
  void run();
  void reset();

  int columns() const;
  std::string column_name(int column) const;
  /// Columns of the current row; a text or blob may hold any byte.
  int64_t integer(int column) const;
  double real(int column) const;
  std::string text(int column) const { return std::string(view(column)); }
  std::string_view view(int column) const;  // until the next step
  bool is_null(int column) const;

 private:
  void check_bound(int code);

  Database& database_;
  const char* doing_;
  sqlite3_stmt* statement_ = nullptr;
  int next_ = 1;
};

/// BEGIN IMMEDIATE on construction, ROLLBACK on destruction unless committed.
class Transaction {
 public:
  explicit Transaction(Database& database);
  ~Transaction();
  Transaction(const Transaction&) = delete;
  Transaction& operator=(const Transaction&) = delete;
  void commit();

 private:
  Database& database_;
  bool open_ = true;
};

/// What is read while it lives is of one moment, whoever commits meanwhile. Inside a transaction it
/// is so already, and this changes nothing.
class Snapshot {
 public:
  explicit Snapshot(Database& database);
  ~Snapshot();
  Snapshot(const Snapshot&) = delete;
  Snapshot& operator=(const Snapshot&) = delete;

 private:
  Database& database_;
  bool ours_ = false;
};

}  // namespace ds4::reports
