// SPDX-License-Identifier: Apache-2.0
// mvrm demo: the whole story on rendered clips: noisy labels, profile, planted noise found, set refined, model trained again.
#pragma once
#include <cstdint>
#include <filesystem>
#include <mvrm/core/context.h>
#include <mvrm/report/document.h>
#include <nlohmann/json.hpp>

namespace mvrm::experiment {

struct DemoOptions {
  std::filesystem::path out_dir = "demo_out";
  std::filesystem::path base_model;      // empty: the one that ships with the program
  bool quick = false;
  uint64_t seed = 42;
  int64_t seeds = 1;                     // repetitions with seed, seed+1, …; the paired intervals need at least 2
  int64_t videos = 0;                    // training clips, 0 = 640 (quick: 200)
  double noise = 0.10;                   // planted share per dimension
  double alpha_percent = 5.0;            // budget of every pruning plan, per dimension
};
// Writes demo.json, report.md and report.html into out_dir and returns the JSON document. Resumes what is there.
nlohmann::ordered_json demo(const DemoOptions& options, const core::Context& context);
// Every number in it comes from the JSON document.
report::Document demo_report(const nlohmann::ordered_json& results);

}  // namespace mvrm::experiment
