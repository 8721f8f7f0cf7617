// SPDX-License-Identifier: Apache-2.0
// Schedule, decay groups, flat layout and sums: the small parts of a training step.
#include <ATen/ATen.h>
#include <algorithm>
#include <fstream>
#include <gtest/gtest.h>
#include <mvrm/core/random.h>
#include <mvrm/train/flat_parameters.h>
#include <mvrm/train/loop.h>
#include <mvrm/train/reduction.h>
#include <mvrm/train/schedule.h>
#include <nlohmann/json.hpp>
#include <numeric>

#include "tests/support/golden.h"
#include "tests/train/ranks.h"

namespace mvrm::train {
namespace {

// spec/videoscore.md 4.5: 576 steps, warm-up 18; lr(k) = lr k / 18, then lr (1 + cos(pi (k - 18) / 558)) / 2.
TEST(Schedule, IsThatOfTheReleasedModel) {
  const ScheduleConfig cosine;
  EXPECT_EQ(learning_rate(cosine, 1e-5, 0, 576), 0);
  EXPECT_DOUBLE_EQ(learning_rate(cosine, 1e-5, 9, 576), 5e-6);
  EXPECT_DOUBLE_EQ(learning_rate(cosine, 1e-5, 18, 576), 1e-5);
  EXPECT_DOUBLE_EQ(learning_rate(cosine, 1e-5, 18 + 186, 576), 7.5e-6);   // a third of the way: cos 60 degrees
  EXPECT_DOUBLE_EQ(learning_rate(cosine, 1e-5, 18 + 279, 576), 5e-6);
  EXPECT_NEAR(learning_rate(cosine, 1e-5, 575, 576), 1e-5 * 7.92447e-6, 1e-15);   // (1 - cos(pi / 558)) / 2 = (pi / 1116)^2
  EXPECT_LT(learning_rate(cosine, 1e-5, 15, 514), 1e-5);                           // warm-up ceil(0.03 * 514) = 16
  EXPECT_DOUBLE_EQ(learning_rate(cosine, 1e-5, 16, 514), 1e-5);
  EXPECT_DOUBLE_EQ(learning_rate(cosine, 1e-5, 18, 600), 1e-5);                    // 0.03 * 600 is above 18 in binary
  EXPECT_DOUBLE_EQ(learning_rate({.kind = "linear", .warmup_ratio = 0}, 1, 3, 4), 0.25);
  EXPECT_DOUBLE_EQ(learning_rate({.kind = "constant", .warmup_ratio = 0.5}, 1, 1, 4), 0.5);
  EXPECT_DOUBLE_EQ(learning_rate({.kind = "constant", .warmup_ratio = 0.5}, 1, 3, 4), 1);
}

// spec/videoscore.md 4.4: neither biases nor the vision tower's LayerNorms; RMSNorms, embeddings, latents and score.weight are decayed.
TEST(Decay, FollowsTheTrainer) {
  MVRM_NEEDS_GOLDEN("names_videoscore_8b.json");
  std::ifstream file(test::golden_file("names_videoscore_8b.json"));
  int64_t biases = 0, norms = 0, decayed = 0;
  const auto names = nlohmann::json::parse(file);
  for (const auto& [name, shape] : names.items()) {
    const bool bias = name.find("bias") != std::string::npos;
    const bool layer_norm = name.find("vision_model") != std::string::npos && name.find("norm") != std::string::npos && !bias;
    biases += bias;
    norms += layer_norm;
    decayed += is_decayed(name);
    EXPECT_EQ(is_decayed(name), !bias && !layer_norm) << name;
  }
  EXPECT_EQ(norms, 2 * 27 + 1);
  EXPECT_EQ(decayed, 764 - norms - biases);
  for (const char* name : {"model.text_model.norm.weight", "model.connector.perceiver_resampler.norm.weight", "model.text_model.embed_tokens.weight", "score.weight",
                           "model.connector.perceiver_resampler.latents", "model.vision_model.embeddings.position_embedding.weight"})
    EXPECT_TRUE(is_decayed(name)) << name;
}

TEST(FlatLayout, AlignsParametersAndSplitsEvenly) {
  const model::RewardModel model = test::tiny_model();
  for (size_t u = 0; u < model.units.size(); ++u) {
    for (const int64_t ranks : {1, 2, 3, 4, 8}) {
      const FlatLayout layout = layout_of(model.units[u], ranks);
      EXPECT_EQ(layout.total % (kChunk * ranks), 0);
      EXPECT_EQ(layout.offset, layout_of(model.units[u], 1).offset);   // a checkpoint of another number of ranks is read by ranges
      int64_t end = 0;
      for (size_t i = 0; i < layout.offset.size(); ++i) {
        EXPECT_EQ(layout.offset[i] * 2 % 64, 0);
        EXPECT_GE(layout.offset[i], end);
        end = layout.offset[i] + layout.length[i];
      }
      EXPECT_LE(end, layout.total);
    }
    const FlatLayout layout = layout_of(model.units[u], 2);
    const at::Tensor flat = flatten(layout, model.parameters[u], at::kFloat);
    const auto views = views_of(layout, model.units[u], flat);
    for (size_t i = 0; i < views.size(); ++i) {
      EXPECT_TRUE(at::equal(views[i], model.parameters[u][i]));
      EXPECT_EQ(views[i].data_ptr(), flat.const_data_ptr<float>() + layout.offset[i]);
    }
  }
}

// The tree by hand: bits of the slot number, highest first. 5 slots: ((0+4)+2) + (1+3).
float by_hand(const std::vector<float>& v) {
  const float even = (v[0] + v[4]) + v[2];
  return even + (v[1] + v[3]);
}

TEST(TreeSum, IsOneTreeForEveryOrderAndNumberOfRanks) {
  const std::vector<float> value{1e8f, 1.25f, -1e8f, 3.7f, 5.5f};
  const float expected = by_hand(value);
  for (const SlotOrder order : {SlotOrder::interleaved, SlotOrder::blocks}) {
    for (const int64_t ranks : {1, 2, 4}) {
      std::vector<float> found(static_cast<size_t>(ranks));
      test::on_ranks(ranks, [&](dist::Communicator& comm) {
        TreeSum tree(5, comm.rank(), comm.size(), order);
        core::CounterRng random(7, static_cast<uint64_t>(comm.rank()));
        std::vector<int64_t> leaves(static_cast<size_t>(tree.count()));
        std::iota(leaves.begin(), leaves.end(), 0);
        // In blocks every leaf is summed over ranks before it enters the tree, so the ranks must agree on the order.
        if (order == SlotOrder::interleaved)
          for (size_t i = leaves.size(); i > 1; --i) std::swap(leaves[i - 1], leaves[static_cast<size_t>(random.below(static_cast<int64_t>(i)))]);
        for (const int64_t leaf : leaves) {
          const int64_t slot = tree.slot_of(leaf);
          at::Tensor flat = at::full({4}, slot < 5 ? value[static_cast<size_t>(slot)] : 0.0f);
          tree.add(leaf, {order == SlotOrder::blocks ? reduce_scatter(flat, true, comm) : flat});
        }
        at::Tensor sum = tree.take({at::zeros({4})}).front();
        if (order == SlotOrder::interleaved) sum = reduce_scatter(sum, true, comm);
        found[static_cast<size_t>(comm.rank())] = sum[0].item<float>();
      });
      for (const float f : found) EXPECT_EQ(f, expected) << ranks << " ranks, " << (order == SlotOrder::blocks ? "blocks" : "interleaved");
    }
  }
  EXPECT_NE(expected, std::accumulate(value.begin(), value.end(), 0.0f));   // these numbers do tell orders apart
}

TEST(TreeSum, CoversEverySlotOnce) {
  for (const SlotOrder order : {SlotOrder::interleaved, SlotOrder::blocks}) {
    for (const int64_t ranks : {1, 2, 3, 4, 5, 8}) {
      for (int64_t slots = 1; slots < 20; ++slots) {
        std::vector<int64_t> seen;
        for (int64_t rank = 0; rank < ranks; ++rank) {
          const TreeSum tree(slots, rank, ranks, order);
          for (int64_t position = 0; position < tree.count(); ++position)
            if (const int64_t slot = tree.slot_of(tree.leaf_at(position)); slot < slots) seen.push_back(slot);
        }
        std::sort(seen.begin(), seen.end());
        std::vector<int64_t> all(static_cast<size_t>(slots));
        std::iota(all.begin(), all.end(), 0);
        EXPECT_EQ(seen, all) << slots << " slots, " << ranks << " ranks";
      }
    }
  }
}

TEST(EpochOrder, RemovingASampleMovesNoOther) {
  std::vector<std::string> ids;
  for (int i = 0; i < 50; ++i) ids.push_back("id" + std::to_string(i));
  const auto whole = epoch_order(ids, 42, 3);
  std::vector<std::string> expected;
  for (const int64_t n : whole)
    if (n != 17) expected.push_back(ids[static_cast<size_t>(n)]);
  ids.erase(ids.begin() + 17);
  std::vector<std::string> found;
  for (const int64_t n : epoch_order(ids, 42, 3)) found.push_back(ids[static_cast<size_t>(n)]);
  EXPECT_EQ(found, expected);
  EXPECT_NE(epoch_order(ids, 42, 4), epoch_order(ids, 42, 3));
  EXPECT_NE(epoch_order(ids, 43, 3), epoch_order(ids, 42, 3));
}

}  // namespace
}  // namespace mvrm::train
