// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <charconv>
#include <mvrm/core/error.h>
#include <mvrm/core/files.h>
#include <mvrm/core/safetensors.h>
#include <mvrm/train/checkpoint.h>
#include <nlohmann/json.hpp>
#include <unistd.h>

namespace mvrm::train {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

namespace {

constexpr int kFormat = 1;
constexpr const char* kStateFile = "state.safetensors";

std::optional<int64_t> step_of(const fs::path& folder) {
  const std::string name = folder.filename().string();
  int64_t step = 0;
  if (name.rfind("step-", 0) != 0) return std::nullopt;
  const auto [end, error] = std::from_chars(name.data() + 5, name.data() + name.size(), step);
  return error == std::errc{} && end == name.data() + name.size() ? std::optional(step) : std::nullopt;
}

// Checkpoints by step, newest first.
std::vector<fs::path> checkpoints_of(const fs::path& run_dir) {
  std::vector<fs::path> folders;
  std::error_code missing;
  for (const auto& entry : fs::directory_iterator(run_dir / "checkpoints", missing)) {
    if (entry.is_directory() && step_of(entry.path())) folders.push_back(entry.path());
  }
  std::sort(folders.begin(), folders.end(), [](const auto& a, const auto& b) { return *step_of(a) > *step_of(b); });
  return folders;
}

Json read_manifest(const fs::path& checkpoint) {
  Json manifest = Json::parse(core::read_file(checkpoint / "manifest.json", 1 << 20), nullptr, false);
  if (!manifest.is_object() || manifest.value("format", 0) != kFormat) throw core::model_error((checkpoint / "manifest.json").string() + ": is not a checkpoint manifest");
  return manifest;
}

void verify(const fs::path& checkpoint) {
  const Json manifest = read_manifest(checkpoint);
  const fs::path state = checkpoint / kStateFile;
  if (!fs::is_regular_file(state) || fs::file_size(state) != manifest.at("bytes").get<uint64_t>() || core::sha256_file(state) != manifest.at("sha256").get<std::string>()) {
    throw core::model_error(state.string() + ": differs from its manifest");
  }
}

// Removed under another name first: a folder named step-N is always whole.
void remove_folder(const fs::path& folder) {
  fs::path trash = folder;
  trash.replace_filename(".trash-" + folder.filename().string() + "-" + std::to_string(::getpid()));
  std::error_code ignored;
  fs::rename(folder, trash, ignored);
  fs::remove_all(trash, ignored);
}

void clean_up(const fs::path& run_dir, int64_t keep) {
  const auto folders = checkpoints_of(run_dir);
  for (size_t i = static_cast<size_t>(keep); i < folders.size(); ++i) remove_folder(folders[i]);
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(run_dir / "checkpoints", ignored)) {
    const std::string name = entry.path().filename().string();
    if (name.rfind(".trash-", 0) == 0 || name.rfind(".tmp-", 0) == 0) fs::remove_all(entry.path(), ignored);
  }
}

}  // namespace

void save_checkpoint(const fs::path& run_dir, const CheckpointInfo& info, const TrainState& state, int64_t keep, dist::Communicator& comm) {
  const core::NamedTensors tensors = state.gather(comm);
  if (comm.is_main()) {
    const std::string name = "step-" + std::to_string(info.step);
    const fs::path folder = run_dir / "checkpoints" / name, temporary = run_dir / "checkpoints" / (".tmp-" + name + "-" + std::to_string(::getpid()));
    fs::create_directories(temporary);
    core::write_safetensors(temporary / kStateFile, tensors);
    const Json manifest{{"format", kFormat}, {"step", info.step}, {"updates", info.updates}, {"identity", info.identity}, {"bytes", fs::file_size(temporary / kStateFile)},
                        {"sha256", core::sha256_file(temporary / kStateFile)}};
    core::write_file_atomic(temporary / "manifest.json", manifest.dump(2) + "\n");
    core::fsync_folder(temporary);
    if (fs::exists(folder)) remove_folder(folder);
    fs::rename(temporary, folder);
    core::fsync_folder(folder.parent_path());
    clean_up(run_dir, keep);
  }
  comm.barrier();
}

std::optional<fs::path> newest_checkpoint(const fs::path& run_dir, const core::Log& log) {
  for (const auto& folder : checkpoints_of(run_dir)) {
    try {
      verify(folder);
      return folder;
    } catch (const std::exception& error) {
      log.warn(std::string("passed over: ") + error.what());
    }
  }
  return std::nullopt;
}

void discard_checkpoints(const fs::path& run_dir, const core::Log& log) {
  for (const auto& folder : checkpoints_of(run_dir)) {
    log.info("removed, because the run starts anew: " + folder.string());
    remove_folder(folder);
  }
}

CheckpointInfo load_checkpoint(const fs::path& checkpoint, const std::map<std::string, std::string>& identity, TrainState& state, dist::Communicator& comm) {
  const Json manifest = read_manifest(checkpoint);
  CheckpointInfo info{.step = manifest.at("step").get<int64_t>(), .updates = manifest.at("updates").get<int64_t>(), .identity = manifest.at("identity").get<std::map<std::string, std::string>>()};
  std::string differences;
  for (const auto& [key, wanted] : identity) {
    const std::string stored = info.identity.contains(key) ? info.identity.at(key) : "(none)";
    if (stored != wanted) differences += (differences.empty() ? "" : ", ") + key + " was " + stored + " and is " + wanted;
  }
  if (!differences.empty()) {
    throw core::ConfigError(checkpoint.string() + ": belongs to another run: " + differences + "; use --resume never or another run.dir");
  }
  const auto file = core::SafetensorsFile::open(checkpoint / kStateFile);
  state.restore([&](const std::string& name) { return file.tensor(name); }, comm);
  return info;
}

}  // namespace mvrm::train
