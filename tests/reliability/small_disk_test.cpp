// SPDX-License-Identifier: Apache-2.0
// A real disk that fills up (spec/reliability.md R4): a file system of 4 MiB, less and less of it left, and the same promises as in
// disk_full_test.cpp, without a shim that plays the kernel.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <mvrm/core/disk.h>
#include <sched.h>
#include <sys/mount.h>

#include "tests/reliability/jobs.h"

namespace mvrm {
namespace {

namespace fs = std::filesystem;
using test::Ranks;

constexpr int kNotAllowed = 77;

bool put(const char* file, const std::string& text) {
  const int descriptor = ::open(file, O_WRONLY);
  const bool done = descriptor >= 0 && ::write(descriptor, text.data(), text.size()) == static_cast<ssize_t>(text.size());
  return ::close(descriptor) == 0 && done;
}
// A mount table of this process alone; false where the kernel says no. Not root: in a world where it is.
bool leave_the_mounts() {
  const std::string user = std::to_string(::getuid()), group = std::to_string(::getgid());
  if (::unshare(CLONE_NEWNS) != 0) {
    if (::unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0) return false;
    if (!put("/proc/self/setgroups", "deny") || !put("/proc/self/uid_map", "0 " + user + " 1") || !put("/proc/self/gid_map", "0 " + group + " 1")) return false;
  }
  return ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0;
}

class SmallDisk : public testing::Test {
 protected:
  test::Scratch scratch_{"small_disk"};
  test::TinyJobFiles files_{scratch_.path};
  const bool warm_ = test::warm_up(files_, scratch_.path / "warm_up");
  const fs::path dir_ = scratch_.path / "job";

  // On a fresh disk with `room` bytes left: the job, which may fail, then the same with room for all. 0: it fitted at once; 5: it did not,
  // and all promises held.
  int twice(const Ranks::Body& body, uint64_t room, const std::map<std::string, std::string>& expected, dist::Communicator& comm) const {
    if (!leave_the_mounts() || ::mount("tmpfs", dir_.c_str(), "tmpfs", 0, "size=4m") != 0) return kNotAllowed;
    const fs::path ballast = dir_ / "ballast";
    std::ofstream(ballast) << std::string(core::free_bytes(dir_) - room, 'x');
    int status = 0;
    try {
      body(comm);
    } catch (const core::Error& error) {
      status = static_cast<int>(error.status());
      MVRM_CHECK(std::string(error.what()).find(dir_.string()) != std::string::npos, error.what());
    } catch (const fs::filesystem_error& error) {
      status = 5;
    }
    MVRM_CHECK(status == 0 || status == 5, "status ", status);
    fs::remove(ballast);
    body(comm);
    const std::string differs = test::difference(expected, test::contents(dir_));
    MVRM_CHECK(differs.empty(), differs);
    return status;
  }
  void sweep(const Ranks::Body& body) {
    Ranks whole(1);
    ASSERT_EQ(whole.run(dir_, body).front(), 0) << whole.said(0);
    const auto expected = test::contents(dir_);
    fs::remove_all(dir_);
    fs::create_directories(dir_);
    std::vector<uint64_t> rooms;
    for (uint64_t pages = 0; pages <= 320; ++pages) rooms.push_back(4096 * pages);
    int fitted = 0, refused = 0;
    for (const uint64_t room : test::spread(rooms, 24)) {
      Ranks job(1);
      const int status = job.run(dir_, [&](dist::Communicator& comm) { return twice(body, room, expected, comm); }).front();
      if (status == kNotAllowed) GTEST_SKIP() << "a file system of its own is not allowed here";
      EXPECT_TRUE(status == 0 || status == 5) << room << " bytes of room: " << status << ": " << job.said(0);
      (status == 0 ? fitted : refused) += 1;
    }
    EXPECT_GT(fitted, 0);
    EXPECT_GT(refused, 0);
    std::printf("small disk | %d refused with status 5, %d fitted\n", refused, fitted);
  }
};

TEST_F(SmallDisk, Training) { sweep(test::train_body(test::tiny_run_config(files_, dir_))); }
TEST_F(SmallDisk, Profiling) { sweep(test::profile_body(files_, dir_)); }

}  // namespace
}  // namespace mvrm
