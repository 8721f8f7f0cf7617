// SPDX-License-Identifier: Apache-2.0
// profile.safetensors while it is being filled: preallocated, rows written in place, a row's done flag set after its bytes are on disk.
#pragma once
#include <mvrm/influence/profile.h>
#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace mvrm::influence {

// The tensors of an empty profile: NaN everywhere, done = 0. `feature_width` 0 = features are not kept.
void allocate(Profile& profile, int64_t rows, int64_t dimensions, int64_t feature_width);
// The named tensors of the file, in the order of docs/files.md.
std::vector<std::pair<std::string, core::Tensor*>> tensors_of(Profile& profile);

// Fills the tensors of `profile` from the file. Throws DataError when it is broken or does not fit the profile's shape.
void read_rows(const std::filesystem::path& directory, Profile& profile);

// Owns the open file. Several ranks may hold one store on the same file as long as they write different rows. Not thread-safe.
class ProfileStore {
 public:
  static void create(const std::filesystem::path& directory, const Profile& profile);
  // Opens for writing; the file has the tensors of `profile`.
  ProfileStore(const std::filesystem::path& directory, const Profile& profile);
  ~ProfileStore();
  ProfileStore(const ProfileStore&) = delete;
  ProfileStore& operator=(const ProfileStore&) = delete;
  // Copies row `n` of `profile` to the file; the done flag follows at the next flush().
  void write_row(const Profile& profile, int64_t n);
  void flush();

 private:
  void write_at(uint64_t offset, const void* bytes, size_t size);
  std::filesystem::path path_;
  int descriptor_ = -1;
  std::map<std::string, uint64_t> offset_;  // of each tensor in the file
  std::vector<int64_t> pending_;
};

}  // namespace mvrm::influence
