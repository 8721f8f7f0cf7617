// SPDX-License-Identifier: Apache-2.0
// profile.safetensors while it is being filled: preallocated, rows written in place, a row's done flag set after its bytes are on disk.
#pragma once
#include <mvrm/influence/profile.h>
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <filesystem>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace mvrm::influence {

struct ProfileShape {
  int64_t rows = 0, dimensions = 0;
  int64_t frames = 0;                        // 0: no prefix rewards
  bool kernel = false, running_loss = false;
  int64_t feature_width = 0;                 // 0: features are not kept
  at::ScalarType feature_dtype = at::kFloat;
  bool stored_features = false;              // they go to a ProfileStore row by row: in memory there is one row of NaN, seen N times
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

// The features of a file whose rows are written, a read-only view.
core::Tensor stored_features(const std::filesystem::path& directory);

// Owns the open file, and a thread that brings finished rows to it every quarter of a second: whoever computes waits for no disk. Several
// ranks may hold one store on the same file as long as they write different rows.
class ProfileStore {
 public:
  static void create(const std::filesystem::path& directory, const Profile& profile);
  // Opens for writing; the file has the tensors of `profile`, whose rows are written from where they lie, but for features.
  ProfileStore(const std::filesystem::path& directory, Profile profile);
  ~ProfileStore();
  ProfileStore(const ProfileStore&) = delete;
  ProfileStore& operator=(const ProfileStore&) = delete;
  // Row `n` of the tensors is whole and won't change. Its feature, where the profile keeps them, is held until it is written: the memory
  // of a pass doesn't grow with N D. Thread-safe; throws what stopped the thread.
  void add_row(int64_t n, const core::Tensor& feature_D = {});
  // Every row added so far is on disk, then its done flag is written.
  void flush();

 private:
  using Rows = std::map<int64_t, core::Tensor>;             // with their features, undefined where none are kept
  struct Column { core::Tensor table; uint64_t offset; };   // of its first row in the file
  void serve();
  void write_rows(const Column& column, int64_t begin, int64_t end);
  void write_features(const Rows& rows, int64_t begin, int64_t end);
  void write_at(uint64_t offset, const void* bytes, size_t size);
  std::filesystem::path path_;
  int descriptor_ = -1;
  std::vector<Column> columns_;
  uint64_t done_offset_ = 0, feature_offset_ = 0;
  std::optional<at::ScalarType> feature_dtype_;   // nullopt: features are not kept
  std::mutex file_mutex_, mutex_;   // mutex_: the members below
  std::condition_variable wake_;
  Rows pending_;
  std::exception_ptr error_;
  bool closing_ = false;
  std::thread thread_;
};

}  // namespace mvrm::influence
