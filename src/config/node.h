// SPDX-License-Identifier: Apache-2.0
// The tree between YAML and the fields. Private to config; knows nothing of yaml-cpp.
#pragma once
#include <cstddef>
#include <memory>
#include <mvrm/core/error.h>
#include <string>
#include <vector>

namespace mvrm::config {

// "a.yaml:3:7", or "--set key.path" for an override.
struct Place {
  std::string source;
  int line = 0, column = 0;   // from 1; 0: the source has no lines
  std::string text() const {
    return line == 0 ? source : source + ":" + std::to_string(line) + ":" + std::to_string(column);
  }
};

struct Node;
using NodePtr = std::shared_ptr<const Node>;

struct Entry {
  std::string key;
  Place place;
  NodePtr value;
};

struct Node {
  enum class Kind { null, scalar, sequence, map };
  Kind kind = Kind::null;
  Place place;
  std::string text;              // of a scalar
  std::vector<NodePtr> items;    // of a sequence
  std::vector<Entry> entries;    // of a map; keys are unique
  size_t nodes = 1;              // in the tree below and with this one, aliases unfolded
  int height = 1;

  const Entry* find(const std::string& key) const {
    for (const Entry& entry : entries)
      if (entry.key == key) return &entry;
    return nullptr;
  }
};

// "a.yaml:3:7: optimizer.lr: why". An override's place already says its key, which isn't said twice.
inline core::ConfigError error_at(const Place& place, const std::string& path, const std::string& why) {
  const std::string where = place.text();
  const bool said = path.empty() || where == "--set " + path;
  return core::ConfigError(where + ": " + (said ? "" : path + ": ") + why);
}
inline std::string join_path(const std::string& path, const std::string& key) { return path.empty() ? key : path + "." + key; }

}  // namespace mvrm::config
