// SPDX-License-Identifier: Apache-2.0
// The profile that training leaves behind, by hand: what visits come to, and a log that is cut, continued or of another run.
#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <mvrm/core/error.h>
#include <mvrm/influence/estimator.h>
#include <mvrm/influence/online_profile.h>

#include <cmath>
#include <fstream>

#include "tests/support/program.h"

namespace {

using namespace mvrm;
using influence::OnlineProfile;
using influence::OnlineVisit;
using influence::Profile;

class Online : public testing::Test {
 protected:
  static Profile rows() {
    Profile profile{.ids = {"a", "b", "c", "d"}, .prompts = {"", "", "", ""}, .dimensions = {"x", "y"}, .data_hash = "data", .reading = "test"};
    profile.label_NK = at::tensor(at::ArrayRef<float>({1, 2, 3, NAN, 4, 1, 2, 2}), at::kFloat).view({4, 2});
    return profile;
  }
  std::filesystem::path folder(const std::string& name) const { return scratch_.path / name; }
  // Steps first .. last: step s visits row s - 1 with rewards (s, s / 2), ||h||^2 = 10 s, at learning rate s / 100.
  static void walk(OnlineProfile& online, int64_t first, int64_t last) {
    for (int64_t s = first; s <= last; ++s) {
      const auto x = static_cast<double>(s);
      online.add(s, x / 100, {OnlineVisit{.row = s - 1, .reward_K = {x, x / 2}, .feature_sq_norm = 10 * x}});
    }
  }
  static void expect_near(const at::Tensor& actual, std::initializer_list<double> expected) {
    const at::Tensor wanted = at::tensor(at::ArrayRef<double>(expected.begin(), expected.size()), at::kDouble).view(actual.sizes());
    EXPECT_TRUE(at::allclose(actual.to(at::kDouble), wanted, 1e-6, 1e-7, /*equal_nan=*/true)) << actual << wanted;
  }
  std::string bytes(const std::string& name) const { return test::slurp(folder(name) / "profile.safetensors"); }
  std::string said() const { return test::slurp(scratch_.path / "log.txt"); }
  core::Log log() const { return core::Log().with_file(scratch_.path / "log.txt"); }
  test::Scratch scratch_{"online_profile"};
};

TEST_F(Online, VisitsAddUpByHand) {
  OnlineProfile online(folder("a"), rows(), "run 1", {});
  online.add(1, 0.1, {{.row = 0, .reward_K = {2, 2.5}, .feature_sq_norm = 4}, {.row = 1, .reward_K = {3.5, 9}, .feature_sq_norm = 2}});
  online.add(2, 0.5, {{.row = 0, .reward_K = {1.5, 2}, .feature_sq_norm = 8}, {.row = 2, .reward_K = {NAN, 1}, .feature_sq_norm = 1}});
  const Profile profile = online.finish();
  // .1 * 1 * 4 + .5 * .25 * 8, .1 * .25 * 4 + 0; .1 * .25 * 2; a visit without a number; no visit.
  expect_near(profile.self_influence_NK, {1.4, 0.1, 0.05, NAN, NAN, NAN, NAN, NAN});
  expect_near(profile.residual_NK, {0.5, 0, 0.5, NAN, NAN, NAN, NAN, NAN});
  expect_near(profile.prediction_NK, {1.5, 2, 3.5, 9, NAN, NAN, NAN, NAN});
  expect_near(profile.feature_sq_norm_N, {8, 2, NAN, NAN});
  expect_near(profile.label_NK, {1, 2, 3, NAN, NAN, NAN, NAN, NAN});
  // x: step means .625, then .25: (.99 * .01 * .625 + .01 * .25) / (1 - .99^2). y: .25, then 0.
  const double later = (0.99 * 0.01 * 0.625 + 0.01 * 0.25) / (1 - 0.99 * 0.99), other = 0.99 * 0.01 * 0.25 / (1 - 0.99 * 0.99);
  expect_near(profile.running_loss_NK, {later, other, 0.625, NAN, NAN, NAN, NAN, NAN});
  expect_near(influence::estimate("online_relative", {.profile = &profile}), {0.25 / later, 0, 0.4, NAN, NAN, NAN, NAN, NAN});
  expect_near(influence::estimate("closed_form", {.profile = &profile}), {2, 0, 0.5, NAN, NAN, NAN, NAN, NAN});
  EXPECT_EQ(profile.done_N.sum().item<int64_t>(), 2);
  EXPECT_EQ(profile.estimator, "online");

  const Profile read = influence::read_profile(folder("a"));
  EXPECT_TRUE(at::allclose(read.running_loss_NK, profile.running_loss_NK, 0, 0, true));
  EXPECT_TRUE(at::allclose(read.self_influence_NK, profile.self_influence_NK, 0, 0, true));
  EXPECT_EQ(read.estimator, "online");
}

TEST_F(Online, GoingBackToACheckpointChangesNothing) {
  {
    OnlineProfile online(folder("whole"), rows(), "run 1", {});
    walk(online, 1, 4);
    online.finish();
  }
  {
    OnlineProfile online(folder("cut"), rows(), "run 1", log());
    walk(online, 1, 3);
    walk(online, 2, 3);   // in the same process
  }
  std::ofstream(folder("cut") / "visits.jsonl", std::ios::app) << "{\"step\":4,\"lr\":0.0";   // killed in the middle of a line
  {
    OnlineProfile online(folder("cut"), rows(), "run 1", log());
    EXPECT_EQ(online.last_step(), 3);
    walk(online, 3, 4);
    online.finish();
  }
  EXPECT_TRUE(bytes("cut") == bytes("whole"));
  EXPECT_EQ(said(), "");
}

TEST_F(Online, TheLogOfAnotherRunIsNotContinued) {
  {
    OnlineProfile online(folder("a"), rows(), "run 1", {});
    walk(online, 1, 3);
  }
  OnlineProfile other(folder("a"), rows(), "run 2", log());
  EXPECT_EQ(other.last_step(), 0);
  walk(other, 4, 4);
  EXPECT_NE(said().find("steps 1 to 3 were trained without being collected"), std::string::npos) << said();
  EXPECT_EQ(other.finish().done_N.sum().item<int64_t>(), 1);
}

}  // namespace
