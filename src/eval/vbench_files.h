// SPDX-License-Identifier: Apache-2.0
// Ids and preferences of VideoScore-Bench's VBench rows.
#pragma once
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <unordered_map>

namespace mvrm::eval {

struct VbenchId {
  std::string aspect;  // empty: the id holds none
  int64_t number = 0;
  std::string model;
};
std::optional<VbenchId> vbench_id(const std::string& id);

// The aspect of an id without one: the next of VBench's order each time the number falls.
class AspectOrder {
 public:
  std::string next(int64_t number, const std::string& where, const std::string& id);

 private:
  size_t aspect_ = 0;
  int64_t last_ = -1;
};

struct VbenchVideo {
  std::string where, prompt;
  std::map<std::string, double> over;  // other model -> 0, 0.5 or 1; other models that nobody compared it with are missing
};
using VbenchKey = std::string;  // "<aspect>_<number>_<model>"
std::unordered_map<VbenchKey, VbenchVideo> read_vbench_preferences(const std::filesystem::path& path);

}  // namespace mvrm::eval
