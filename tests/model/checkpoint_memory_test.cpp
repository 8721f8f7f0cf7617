// SPDX-License-Identifier: Apache-2.0
// Loading a model takes the model's own memory: no second copy, whatever the types on both sides.
#include <filesystem>
#include <gtest/gtest.h>
#include <mvrm/model/reward_model.h>

#include "tests/support/memory.h"
#include "tests/support/program.h"
#include "tests/support/tiny_model.h"

namespace mvrm::model {
namespace {

constexpr int64_t kMiB = int64_t{1} << 20;

TEST(CheckpointMemory, LoadingNeedsNoSecondCopy) {
#ifdef __SANITIZE_ADDRESS__
  GTEST_SKIP() << "the address sanitizer keeps freed memory";
#endif
  const test::Scratch scratch("memory");
  ModelConfig config = test::tiny_config();
  config.text.vocab_size = 50'000;
  config.text.hidden_size = 512;   // the token embeddings alone: 98 MiB in float32
  config.text.num_attention_heads = 64;
  config.text.num_key_value_heads = 1;
  config.text.intermediate_size = 1024;
  int64_t parameters = 0;
  {
    const RewardModel model = random_reward_model(config, at::kFloat, 1);
    for (const auto& unit : model.parameters)
      for (const auto& parameter : unit) parameters += parameter.numel();
    save_reward_model(scratch.path, model, {});
  }
  ASSERT_GT(parameters, 25'000'000);
  for (const auto& [dtype, size] : {std::pair{at::kFloat, 4}, {at::kBFloat16, 2}}) {
    const int64_t own = parameters * size;
    int64_t extra = 0;
    for (int attempt = 0; attempt < 5 && extra < own / 2; ++attempt) {   // a kernel that takes pages back meanwhile hides what was used
      RewardModel loaded;
      extra = test::extra_bytes([&] { loaded = load_reward_model(scratch.path, dtype); });
    }
    std::printf("loading %lld MiB of parameters took %lld MiB at the peak\n", static_cast<long long>(own / kMiB), static_cast<long long>(extra / kMiB));
    EXPECT_GE(extra, own / 2) << "the measurement saw nothing";
    EXPECT_LE(extra, own + 40 * kMiB);   // a piece of 16 MiB for each of two cores, and the rest of the process; a second copy is 104 MiB
  }
}

}  // namespace
}  // namespace mvrm::model
