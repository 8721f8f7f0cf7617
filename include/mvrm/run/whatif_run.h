// SPDX-License-Identifier: Apache-2.0
// mvrm whatif: what a refitted head would say if labels were dropped or changed, and which labels a reward hangs on. From kept features
// alone; no model, no video.
#pragma once
#include <cstdint>
#include <filesystem>
#include <mvrm/core/context.h>
#include <mvrm/influence/leverage.h>
#include <mvrm/influence/profile.h>
#include <optional>
#include <string>
#include <vector>

namespace mvrm::run {

struct WhatIfRunOptions {
  std::filesystem::path profile_dir;
  std::filesystem::path test_dir;               // a profile with features whose rewards are compared; empty: the training profile itself
  std::vector<std::string> drop;                // ids, or ID:DIMENSION for one label; an @FILE holds one a line
  std::vector<std::string> set;                 // ID:DIMENSION=LABEL
  std::string explain;                          // id of a test sample: its proponents and opponents
  std::string by = "ridge";                     // what ties labels to it: the refitted head, or `head`: gradients at the trained head
  int64_t top = 10;
  std::optional<double> lambda;                 // of the ridge head; nullopt: by exact leave-one-out error
};
struct Explanation {
  std::vector<int64_t> proponents, opponents;   // rows of the training profile
};
struct WhatIfResult {
  influence::Profile train, test;
  core::Tensor before_TK, after_TK;             // rewards of the refitted head, float64
  std::vector<double> lambda_K;                 // NaN: the dimension has no head
  int64_t changed = 0;                          // labels dropped, changed or added
  std::vector<double> spearman_before_K, spearman_after_K;   // against the test labels; NaN without
  int64_t explained_row = -1;                   // in `test`
  std::vector<Explanation> explanation_K;
  std::string by;                               // of the options
  // By training label: the change of the explained reward when it is dropped (ridge), or M_kk, the product of both labels' gradients of
  // half the squared residual (head): positive where a step on the one lowers the other's loss.
  std::vector<core::Tensor> effect_KN;
};
// The fit is kept in profile_dir/ridge.safetensors for the next question. Throws ConfigError for ids, dimensions or labels that are not
// there, DataError for a profile without features.
WhatIfResult whatif_run(const WhatIfRunOptions& options, const core::Context& context);
std::string whatif_table(const WhatIfResult& result, int64_t top);
std::string whatif_json(const WhatIfResult& result);
void write_whatif_csv(const std::filesystem::path& path, const WhatIfResult& result);   // id, dimension, before, after

}  // namespace mvrm::run
