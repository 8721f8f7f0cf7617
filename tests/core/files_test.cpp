// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>
#include <mvrm/core/error.h>
#include <mvrm/core/files.h>
#include <sys/stat.h>

#include "tests/support/program.h"

namespace {

using mvrm::core::Error;
using mvrm::core::ExitStatus;
using mvrm::test::Scratch;

TEST(Files, AnAtomicWriteReplacesTheWholeFile) {
  const Scratch scratch("files1");
  const auto path = scratch.path / "a.txt";
  mvrm::core::write_file_atomic(path, "first, longer");
  mvrm::core::write_file_atomic(path, std::string_view("sec\0nd", 6));
  EXPECT_EQ(mvrm::core::read_file(path), std::string("sec\0nd", 6));
  size_t files = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator(scratch.path)) ++files;
  EXPECT_EQ(files, 1U);   // no temporary file is left
}

TEST(Files, AFailedWriteLeavesTheOldFileAndNoTemporary) {
  const Scratch scratch("files2");
  std::filesystem::create_directories(scratch.path / "taken" / "inside");
  EXPECT_THROW(mvrm::core::write_file_atomic(scratch.path / "taken", "x"), Error);   // a folder can't be replaced by a file
  EXPECT_TRUE(std::filesystem::is_directory(scratch.path / "taken" / "inside"));
  size_t files = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator(scratch.path)) ++files;
  EXPECT_EQ(files, 1U);
}

TEST(Files, ErrorsNameThePathAndTheCause) {
  const Scratch scratch("files3");
  try {
    mvrm::core::read_file(scratch.path / "absent");
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.status(), ExitStatus::io);
    EXPECT_EQ(error.what(), (scratch.path / "absent").string() + ": can't open: No such file or directory");
  }
  EXPECT_THROW(mvrm::core::read_file(scratch.path), Error);
  EXPECT_THROW(mvrm::core::write_file_atomic(scratch.path / "no" / "folder", "x"), Error);
  EXPECT_THROW(mvrm::core::fsync_folder(scratch.path / "no"), Error);
}

TEST(Files, TheLimitHoldsForFilesAndPipes) {
  const Scratch scratch("files4");
  const auto path = scratch.path / "a";
  mvrm::core::write_file_atomic(path, std::string(3'000'000, 'x'));
  EXPECT_EQ(mvrm::core::read_file(path, 3'000'000).size(), 3'000'000U);
  EXPECT_THROW(mvrm::core::read_file(path, 2'999'999), Error);
  EXPECT_THROW(mvrm::core::read_file("/dev/zero", 5'000'000), Error);   // no size of its own
  EXPECT_EQ(mvrm::core::read_file("/dev/null", 0), "");
}

// FIPS 180-4, and what sha256sum prints for a million times "a".
TEST(Files, Sha256MatchesPublishedDigests) {
  EXPECT_EQ(mvrm::core::sha256_hex(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(mvrm::core::sha256_hex("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  const Scratch scratch("files5");
  mvrm::core::write_file_atomic(scratch.path / "a", std::string(1'000'000, 'a'));
  EXPECT_EQ(mvrm::core::sha256_file(scratch.path / "a"), "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

}  // namespace
