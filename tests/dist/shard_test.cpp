// SPDX-License-Identifier: Apache-2.0
#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <mvrm/dist/shard.h>
#include <limits>
#include <thread>

namespace {

using namespace mvrm;

TEST(Shard, RowsAreInterleavedAndGatheredBitForBit) {
  constexpr int64_t kRows = 7, kRanks = 3;
  at::Tensor whole = at::arange(kRows * 2, at::kFloat).view({kRows, 2}) + 0.1f;
  whole[4][1] = std::numeric_limits<float>::quiet_NaN();
  auto ranks = dist::make_thread_ranks(kRanks);
  std::vector<at::Tensor> tables(kRanks);
  std::vector<std::thread> threads;
  for (size_t r = 0; r < kRanks; ++r) {
    threads.emplace_back([&, r] {
      tables[r] = at::full({kRows, 2}, -1.0f);
      for (const int64_t row : dist::interleaved_rows(kRows, *ranks[r])) tables[r][row].copy_(whole[row]);
      dist::share_interleaved_rows(tables[r], *ranks[r]);
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(dist::interleaved_rows(kRows, *ranks[1]), (std::vector<int64_t>{1, 4}));
  for (const auto& table : tables) EXPECT_TRUE(at::equal(table.view(at::kInt), whole.view(at::kInt)));
}

TEST(Shard, FewerRowsThanRanks) {
  auto ranks = dist::make_thread_ranks(2);
  std::vector<at::Tensor> flags{at::ones({1}, at::kByte), at::zeros({1}, at::kByte)};
  std::thread other([&] { dist::share_interleaved_rows(flags[1], *ranks[1]); });
  dist::share_interleaved_rows(flags[0], *ranks[0]);
  other.join();
  EXPECT_TRUE(dist::interleaved_rows(1, *ranks[1]).empty());
  EXPECT_EQ(flags[1].item<int64_t>(), 1);
}

}  // namespace
