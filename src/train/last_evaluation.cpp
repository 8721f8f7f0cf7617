// SPDX-License-Identifier: Apache-2.0
#include <mvrm/core/files.h>
#include <mvrm/train/loop.h>
#include <nlohmann/json.hpp>
#include <sstream>
#include <vector>

namespace mvrm::train {

void write_last_evaluation(const std::filesystem::path& run_dir, const std::string& json) {
  const auto path = run_dir / "metrics.jsonl";
  std::istringstream lines(core::read_file(path));
  std::vector<std::string> kept;
  for (std::string line; std::getline(lines, line);) kept.push_back(line);
  // The last line is that of the last step, or of its evaluation.
  const auto last = kept.empty() ? nlohmann::json{{"step", 0}} : nlohmann::json::parse(kept.back());
  const auto step = last.at("step").get<int64_t>();
  if (last.contains("eval")) kept.pop_back();
  std::string text;
  for (const auto& line : kept) text += line + "\n";
  const nlohmann::ordered_json row{{"step", step}, {"eval", nlohmann::ordered_json::parse(json)}};
  core::write_file_atomic(path, text + row.dump() + "\n");
}

}  // namespace mvrm::train
