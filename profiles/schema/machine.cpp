#include "profiles/schema/machine.h"

#include <array>
#include <limits>

#include "engine/base/error.h"
#include "engine/base/files.h"
#include "engine/base/units.h"
#include "profiles/schema/nearest.h"
#include "profiles/schema/toml_source.h"

namespace ds4::profiles {

extern const std::string_view h100_toml;
extern const std::string_view h200_toml;
extern const std::string_view rtx6000_toml;
extern const std::string_view spark_toml;

namespace {

constexpr int64_t kMaxMachineBytes = 1 << 20;  // a model is half a page of text

struct Shipped {
  const char* name;
  const std::string_view& text;
};
const std::array<Shipped, 4> kShipped{
    {{"h100", h100_toml}, {"h200", h200_toml}, {"rtx6000", rtx6000_toml}, {"spark", spark_toml}}};

MemoryPool read_pool(const TomlSource& source, const toml::node& node, const std::string& name) {
  const toml::table& table = source.table(node, name);
  const std::string valid[] = {"total", "held", "floor"};
  source.require_known(table, valid);
  const auto read = [&](const char* key) {
    const toml::node* value = table.get(key);
    if (!value) source.fail(table, "[" + name + "] needs the key `" + key + "`");
    return source.bytes(*value, name + "." + key);
  };
  const MemoryPool pool{read("total"), read("held"), read("floor")};
  if (pool.held > pool.total) {
    source.fail(table, "[" + name + "] holds more than its `total`");
  }
  return pool;
}

}  // namespace

Machine parse_machine(std::string_view text, std::string_view origin) {
  const toml::table root = parse_toml(text, origin);
  const TomlSource source{std::string(origin)};
  const std::string valid[] = {"name", "description", "unified", "memory", "gpu"};
  source.require_known(root, valid);
  Machine machine;
  machine.name = std::filesystem::path(origin).stem().string();
  if (const auto* node = root.get("name")) machine.name = source.string(*node, "name");
  if (const auto* node = root.get("description")) {
    machine.description = source.string(*node, "description");
  }
  if (const auto* node = root.get("unified")) machine.unified = source.boolean(*node, "unified");
  if (const auto* node = root.get("memory")) machine.memory = read_pool(source, *node, "memory");
  if (const auto* node = root.get("gpu")) {
    if (machine.unified) {
      source.fail(*node, "a unified machine has one memory",
                  "Leave [gpu] out; [memory] is what GPU and processors share.");
    }
    machine.gpu = read_pool(source, *node, "gpu");
  }
  if (!machine.memory && (machine.unified || !machine.gpu)) {
    source.fail(root, "the machine has no memory",
                machine.unified ? "Add [memory] with total, held and floor."
                                : "Add [gpu], [memory] or both, with total, held and floor.");
  }
  return machine;
}

std::vector<std::string> machine_names() {
  std::vector<std::string> names;
  for (const Shipped& shipped : kShipped) names.emplace_back(shipped.name);
  return names;
}

Machine load_machine(const std::string& name) {
  if (name.ends_with(".toml")) return parse_machine(read_file(name, kMaxMachineBytes), name);
  for (const Shipped& shipped : kShipped) {
    if (name == shipped.name) {
      return parse_machine(shipped.text, "profiles/machines/" + name + ".toml");
    }
  }
  std::vector<std::string> valid = machine_names();
  valid.emplace_back("this");
  throw Error(ErrorCode::kUsage, "unknown machine `" + name + "`",
              "The nearest is `" + nearest(name, valid) +
                  "`; a file of your own must end in .toml (docs/machines.md).");
}

}  // namespace ds4::profiles
