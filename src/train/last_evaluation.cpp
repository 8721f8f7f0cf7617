// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <mvrm/core/files.h>
#include <mvrm/train/loop.h>
#include <nlohmann/json.hpp>
#include <sstream>

namespace mvrm::train {

void write_last_evaluation(const std::filesystem::path& run_dir, const std::string& json) {
  const auto path = run_dir / "metrics.jsonl";
  std::istringstream lines(core::read_file(path));
  std::vector<std::string> kept;
  int64_t step = 0;
  for (std::string line; std::getline(lines, line);) {
    step = std::max(step, nlohmann::json::parse(line).at("step").get<int64_t>());
    kept.push_back(line);
  }
  std::string text;
  for (const auto& line : kept) {
    const auto row = nlohmann::json::parse(line);
    if (!row.contains("eval") || row.at("step") != step) text += line + "\n";
  }
  const nlohmann::ordered_json row{{"step", step}, {"eval", nlohmann::ordered_json::parse(json)}};
  core::write_file_atomic(path, text + row.dump() + "\n");
}

}  // namespace mvrm::train
