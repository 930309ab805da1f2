#include "runners/cli/inspect.h"

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <vector>

#include "engine/base/units.h"

namespace ds4::cli {
namespace {

// 107803320952 -> "107,803,320,952": exact, so that totals can be compared by eye.
std::string grouped(int64_t value) {
  std::string digits = std::to_string(value);
  for (int64_t at = static_cast<int64_t>(digits.size()) - 3; at > (value < 0 ? 1 : 0); at -= 3) {
    digits.insert(static_cast<size_t>(at), 1, ',');
  }
  return digits;
}

// "3,514.25": at most three decimals, none when whole.
std::string grouped_fraction(double value) {
  char decimals[40];
  std::snprintf(decimals, sizeof decimals, "%.3f", value);
  const std::string text(decimals);
  std::string tail = text.substr(text.find('.'));
  while (tail.back() == '0') tail.pop_back();
  return grouped(std::stoll(text)) + (tail == "." ? "" : tail);
}

// "160 in all 43 layers", or runs: "256 in layers 0-2, 160 in layers 3-42".
std::string experts_text(const std::vector<int>& experts) {
  if (experts.empty()) return "none";
  const auto differs = [&](int n) { return n != experts[0]; };
  if (std::none_of(experts.begin(), experts.end(), differs)) {
    const std::string n = std::to_string(experts.size());
    return std::to_string(experts[0]) +
           (n == "1" ? " in the only layer" : " in all " + n + " layers");
  }
  std::string text;
  for (size_t begin = 0, end = 0; begin < experts.size(); begin = end) {
    while (end < experts.size() && experts[end] == experts[begin]) ++end;
    text += (begin ? ", " : "") + std::to_string(experts[begin]) + " in ";
    text += end - begin == 1 ? "layer " + std::to_string(begin)
                             : "layers " + std::to_string(begin) + "-" + std::to_string(end - 1);
  }
  return text;
}

// Columns: the first left-aligned, the others right-aligned, two spaces between.
class Table {
 public:
  void row(std::vector<std::string> cells) { rows_.push_back(std::move(cells)); }

  std::string text() const {
    std::vector<size_t> widths;
    for (const auto& cells : rows_) {
      widths.resize(std::max(widths.size(), cells.size()));
      for (size_t c = 0; c < cells.size(); ++c) widths[c] = std::max(widths[c], cells[c].size());
    }
    std::string text;
    for (const auto& cells : rows_) {
      for (size_t c = 0; c < cells.size(); ++c) {
        const std::string pad(widths[c] - cells[c].size(), ' ');
        text += c == 0 ? cells[c] + pad : "  " + pad + cells[c];
      }
      text += '\n';
    }
    return text;
  }

 private:
  std::vector<std::vector<std::string>> rows_;
};

std::string component_table(const Inventory& inventory) {
  Table table;
  table.row({"component", "tensors", "bytes", "bytes/token"});
  for (const Inventory::Component& part : inventory.components) {
    table.row({part.name, grouped(part.tensors), grouped(part.bytes),
               part.bytes_per_token ? grouped(part.bytes_per_token) : "-"});
  }
  table.row({"total", grouped(inventory.n_tensors), grouped(inventory.tensor_bytes),
             grouped(inventory.bytes_per_token)});
  return table.text();
}

std::string dtype_table(const Inventory& inventory) {
  Table table;
  table.row({"stored as", "tensors", "bytes"});
  for (const Inventory::DtypeTotal& dtype : inventory.dtypes) {
    table.row({dtype.dtype, grouped(dtype.tensors), grouped(dtype.bytes)});
  }
  return table.text();
}

}  // namespace

std::string inspect_text(const Inventory& inventory) {
  std::string text;
  const auto line = [&](const char* label, const std::string& value) {
    char padded[32];
    std::snprintf(padded, sizeof padded, "%-18s", label);
    text += padded + value + "\n";
  };
  line("tensors", grouped(inventory.n_tensors) + " in " + grouped(inventory.n_shards) +
                      (inventory.n_shards == 1 ? " file, " : " files, ") +
                      format_bytes(inventory.tensor_bytes));
  line("routed experts", experts_text(inventory.experts_per_layer));
  line("MTP", inventory.mtp);
  line("identity", inventory.identity);
  text += "\n" + component_table(inventory);
  text += "bytes/token: weights read per decoded token at batch 1, without MTP\n";
  text += "\n" + dtype_table(inventory) + "\n";
  line("KV cache, fp8", grouped_fraction(inventory.kv_bytes_per_token_fp8) +
                            " bytes/token (FP8 rows, FP4 indexer keys)");
  line("KV cache, bf16", grouped_fraction(inventory.kv_bytes_per_token_bf16) + " bytes/token");
  line("raw windows, fp8", grouped(inventory.kv_fixed_bytes_fp8) + " bytes per sequence");
  text.pop_back();
  return text;
}

std::string inspect_json(const Inventory& inventory) {
  nlohmann::ordered_json object;
  object["format"] = "ds4-inventory-1";
  object["identity"] = inventory.identity;
  object["n_shards"] = inventory.n_shards;
  object["n_tensors"] = inventory.n_tensors;
  object["tensor_bytes"] = inventory.tensor_bytes;
  object["bytes_per_token"] = inventory.bytes_per_token;
  object["kv_bytes_per_token_fp8"] = inventory.kv_bytes_per_token_fp8;
  object["kv_bytes_per_token_bf16"] = inventory.kv_bytes_per_token_bf16;
  object["kv_fixed_bytes_fp8"] = inventory.kv_fixed_bytes_fp8;
  object["mtp"] = inventory.mtp;
  object["experts_per_layer"] = inventory.experts_per_layer;
  for (const Inventory::Component& part : inventory.components) {
    object["components"].push_back({{"name", part.name},
                                    {"tensors", part.tensors},
                                    {"bytes", part.bytes},
                                    {"bytes_per_token", part.bytes_per_token}});
  }
  for (const Inventory::DtypeTotal& dtype : inventory.dtypes) {
    object["dtypes"].push_back(
        {{"dtype", dtype.dtype}, {"tensors", dtype.tensors}, {"bytes", dtype.bytes}});
  }
  return object.dump(2);
}

}  // namespace ds4::cli
