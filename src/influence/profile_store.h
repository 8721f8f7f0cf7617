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

struct ProfileShape {
  int64_t rows = 0, dimensions = 0;
  int64_t frames = 0;                        // 0: no prefix rewards
  bool kernel = false, running_loss = false;
  int64_t feature_width = 0;                 // 0: features are not kept
  at::ScalarType feature_dtype = at::kFloat;
};
// The tensors of an empty profile: NaN everywhere, done = 0.
void allocate(Profile& profile, const ProfileShape& shape);
// The named tensors of the file, in the order of docs/files.md; those that are not kept are undefined.
std::vector<std::pair<std::string, core::Tensor*>> tensors_of(Profile& profile);
// "f32", "bf16", "f16" of the feature's dtype, "" without features; and back.
std::string feature_dtype_name(const Profile& profile);
at::ScalarType feature_dtype_from_name(const std::string& name);

// Fills the tensors of `profile` from the file; features can stay a read-only view of it. Throws DataError when it is broken or does not fit
// the profile's shape.
void read_rows(const std::filesystem::path& directory, Profile& profile, bool map_features = false);

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
