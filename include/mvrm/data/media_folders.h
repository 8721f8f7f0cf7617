// SPDX-License-Identifier: Apache-2.0
// Where the media of a published data set lie once its archives are unpacked beside the data file. mvrm's own rows don't need it:
// they name paths.
#pragma once
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace mvrm::data {

class MediaFolders {
 public:
  // Looks into the folder of `data_file` once: images/, frames/, frames_<any>/ (VideoFeedback's and VideoScore-Bench's archives).
  explicit MediaFolders(const std::filesystem::path& data_file);
  // The folder that holds the bare name `first` of sample `id`: the data file's own, or FOLDER/<name up to its first "_">/ (training
  // layout), FOLDER/<id>/ (benchmark layout), or FOLDER itself. nullopt = nowhere.
  std::optional<std::filesystem::path> of_frames(const std::string& first, const std::string& id) const;
  // videos/<id>.mp4, videos_<any>/<id>.mp4 or <id>.mp4, for rows whose frames were not unpacked.
  std::optional<std::filesystem::path> video_of(const std::string& id) const;

 private:
  std::filesystem::path root_;
  std::vector<std::filesystem::path> frame_folders_, video_folders_;
};

// The .jpg, .jpeg and .png files of a folder by name; none where it can't be read.
std::vector<std::filesystem::path> pictures_in(const std::filesystem::path& folder);

}  // namespace mvrm::data
