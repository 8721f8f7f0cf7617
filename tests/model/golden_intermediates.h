// SPDX-License-Identifier: Apache-2.0
// Every intermediate of a pass against the reference's, by name.
#pragma once
#include <gtest/gtest.h>
#include <set>

#include "tests/model/golden_case.h"
#include "tests/support/fidelity.h"

namespace mvrm::model {

inline const std::set<std::string> kExact = {"patch_attention_mask", "vision_position_ids", "pool_index", "real_image"};

// Every quantity that the program has and every quantity that the file has: neither side may leave one out.
inline void compare_intermediates(const Named& golden, const Named& f32, at::ScalarType dtype, const std::string& case_name, test::Fidelity& fidelity,
                                  at::Device device = at::kCPU) {
  const data::Batch batch = golden_batch(f32, case_name);
  const Named got = trace(golden_model(dtype, case_name, Compatibility::reference, device), batch), want = starting_with(golden, case_name + ".out.");
  std::set<std::string> names;
  for (const auto& [name, value] : got) names.insert(name);
  for (const auto& [name, value] : want)
    if (!name.starts_with("grad.")) names.insert(name);
  for (const std::string& name : names) {
    if (kExact.contains(name)) continue;
    ASSERT_TRUE(got.contains(name) && want.contains(name)) << case_name << ": " << name;
    const double error = masked_error(name, got.at(name), want.at(name), batch.attention_mask_BL);
    fidelity.add(group_of(name), error, case_name + " " + name);
  }
}

}  // namespace mvrm::model
