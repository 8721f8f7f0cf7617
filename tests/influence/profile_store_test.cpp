// SPDX-License-Identifier: Apache-2.0
// Rows on their way to the file: in any order, from several threads, and what a disk that takes no more does to the one who adds them.
#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <mvrm/core/error.h>
#include <sys/resource.h>
#include <csignal>

#include <chrono>
#include <optional>
#include <thread>

#include "src/influence/profile_store.h"
#include "tests/support/memory.h"
#include "tests/support/program.h"

namespace mvrm::influence {
namespace {

class ProfileStoreTest : public ::testing::Test {
 protected:
  ProfileStoreTest() {
    allocate(profile_, {.rows = 9, .dimensions = 2, .frames = 3, .feature_width = 4});
    ProfileStore::create(scratch_.path, profile_);
  }
  void fill(int64_t n) {
    for (const auto& [name, tensor] : tensors_of(profile_)) {
      if (tensor->defined() && name != "done") (*tensor)[n].fill_(static_cast<double>(10 * n) + static_cast<double>(name.size()));
    }
  }
  Profile on_disk() {
    Profile read;
    allocate(read, {.rows = 9, .dimensions = 2, .frames = 3, .feature_width = 4});
    read_rows(scratch_.path, read);
    return read;
  }
  test::Scratch scratch_{"profile_store"};
  Profile profile_;
};

TEST_F(ProfileStoreTest, RowsThatWereAddedAreOnDiskAndNoOthers) {
  {
    ProfileStore store(scratch_.path, profile_);
    const auto add = [&](std::initializer_list<int64_t> rows) {
      for (const int64_t n : rows) {
        fill(n);
        store.add_row(n, profile_.feature_ND[n]);
      }
    };
    std::thread other([&] { add({8, 3}); });
    add({4, 0});
    other.join();
    store.flush();
    EXPECT_EQ(on_disk().done_N.sum().item<int64_t>(), 4);
    add({5});   // the end of the store brings it
    fill(6);    // never added
  }
  auto read = on_disk();
  EXPECT_TRUE(at::equal(read.done_N, at::tensor({1, 0, 0, 1, 1, 1, 0, 0, 1}, at::kByte))) << read.done_N;
  for (const auto& [name, tensor] : tensors_of(read)) {
    if (!tensor->defined() || name == "done") continue;
    for (int64_t n = 0; n < 9; ++n) {
      const at::Tensor row = (*tensor)[n];
      const bool there = read.done_N[n].item<uint8_t>() != 0;
      EXPECT_TRUE(there ? row.eq(static_cast<double>(10 * n) + static_cast<double>(name.size())).all().item<bool>() : row.isnan().all().item<bool>()) << name << " " << n;
    }
  }
}

// 160 MB of features pass through: what is held is what waits for the disk.
TEST_F(ProfileStoreTest, FeaturesAreNeverWholeInMemory) {
  constexpr int64_t kRows = 20000, kWidth = 2048;
  const auto folder = scratch_.path / "wide";
  const int64_t extra = test::extra_bytes([&] {
    Profile wide;
    allocate(wide, {.rows = kRows, .dimensions = 2, .feature_width = kWidth, .stored_features = true});
    std::filesystem::create_directories(folder);
    ProfileStore::create(folder, wide);
    ProfileStore store(folder, wide);
    for (int64_t n = 0; n < kRows; ++n) {
      store.add_row(n, at::full({kWidth}, static_cast<double>(n), at::kFloat));
      if (n % 1000 == 0) store.flush();
    }
    store.flush();
  });
  const at::Tensor feature_ND = stored_features(folder);
  for (const int64_t n : {0, 777, 19999}) EXPECT_TRUE(feature_ND[n].eq(static_cast<double>(n)).all().item<bool>()) << n;
#ifndef __SANITIZE_ADDRESS__
  EXPECT_LT(extra, int64_t{100} << 20) << extra;
#else
  (void)extra;   // the sanitizer keeps freed memory
#endif
}

TEST_F(ProfileStoreTest, NobodyHasToAskForTheDisk) {
  ProfileStore store(scratch_.path, profile_);
  fill(2);
  store.add_row(2, profile_.feature_ND[2]);
  for (int tries = 0; tries < 200 && on_disk().done_N[2].item<uint8_t>() == 0; ++tries) std::this_thread::sleep_for(std::chrono::milliseconds(50));
  EXPECT_EQ(on_disk().done_N[2].item<uint8_t>(), 1);
}

TEST_F(ProfileStoreTest, TheNextRowHearsOfADiskThatIsFull) {
  ::signal(SIGXFSZ, SIG_IGN);
  ProfileStore store(scratch_.path, profile_);
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  const rlimit none{.rlim_cur = 0, .rlim_max = before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &none), 0);
  std::optional<std::string> said;
  for (int tries = 0; tries < 200 && !said; ++tries) {
    try {
      store.add_row(1, profile_.feature_ND[1]);
    } catch (const core::Error& error) {
      said = error.what();
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &before), 0);
  ASSERT_TRUE(said);
  EXPECT_NE(said->find("profile.safetensors"), std::string::npos) << *said;
  EXPECT_EQ(on_disk().done_N.sum().item<int64_t>(), 0);
}

}  // namespace
}  // namespace mvrm::influence
