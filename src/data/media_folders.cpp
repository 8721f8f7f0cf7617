// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cctype>
#include <mvrm/data/media_folders.h>

namespace mvrm::data {

namespace fs = std::filesystem;

namespace {

// A name that can't lead out of a folder.
bool is_bare(const std::string& name) { return !name.empty() && name != "." && name != ".." && name.find('/') == std::string::npos; }

}  // namespace

MediaFolders::MediaFolders(const fs::path& data_file) : root_(data_file.parent_path()) {
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(root_.empty() ? "." : root_, ignored)) {
    const std::string name = entry.path().filename().string();
    const bool frames = name == "images" || name == "frames" || name.rfind("frames_", 0) == 0;
    const bool videos = name == "videos" || name.rfind("videos_", 0) == 0;
    if ((frames || videos) && entry.is_directory(ignored)) (frames ? frame_folders_ : video_folders_).push_back(root_ / name);
  }
  std::sort(frame_folders_.begin(), frame_folders_.end());
  std::sort(video_folders_.begin(), video_folders_.end());
  frame_folders_.push_back(root_);
  video_folders_.push_back(root_);
}

std::optional<fs::path> MediaFolders::of_frames(const std::string& first, const std::string& id) const {
  if (!is_bare(first) || !is_bare(id)) return std::nullopt;
  std::error_code ignored;
  if (fs::exists(root_ / first, ignored)) return root_;
  const std::string prefix = first.substr(0, first.find('_'));
  for (const fs::path& folder : frame_folders_) {
    for (const fs::path& inside : {folder / prefix, folder / id, folder}) {
      if (fs::exists(inside / first, ignored)) return inside;
    }
  }
  return std::nullopt;
}

std::optional<fs::path> MediaFolders::video_of(const std::string& id) const {
  if (!is_bare(id)) return std::nullopt;
  std::error_code ignored;
  for (const fs::path& folder : video_folders_) {
    if (fs::path video = folder / (id + ".mp4"); fs::is_regular_file(video, ignored)) return video;
  }
  return std::nullopt;
}

std::vector<fs::path> pictures_in(const fs::path& folder) {
  std::vector<fs::path> pictures;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(folder, ignored)) {
    std::string extension = entry.path().extension().string();
    std::transform(extension.begin(), extension.end(), extension.begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    if (extension == ".jpg" || extension == ".jpeg" || extension == ".png") pictures.push_back(folder / entry.path().filename());
  }
  std::sort(pictures.begin(), pictures.end());
  return pictures;
}

}  // namespace mvrm::data
