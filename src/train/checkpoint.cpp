// SPDX-License-Identifier: Apache-2.0
#include <ATen/ATen.h>
#include <algorithm>
#include <charconv>
#include <chrono>
#include <future>
#include <mvrm/core/disk.h>
#include <mvrm/core/error.h>
#include <mvrm/core/files.h>
#include <mvrm/core/model_files.h>
#include <mvrm/core/safetensors.h>
#include <mvrm/train/checkpoint.h>
#include <nlohmann/json.hpp>
#include <unistd.h>

namespace mvrm::train {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

namespace {

constexpr int kFormat = 2;
constexpr auto kPause = std::chrono::milliseconds(20);

std::string state_file(int64_t rank, int64_t ranks) { return "state-" + std::to_string(rank) + "-of-" + std::to_string(ranks) + ".safetensors"; }
std::string receipt_file(int64_t rank) { return "written-" + std::to_string(rank) + ".json"; }

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
  Json manifest = Json::parse(core::read_model_file(checkpoint / "manifest.json", 1 << 20), nullptr, false);
  if (!manifest.is_object() || manifest.value("format", 0) != kFormat) throw core::model_error((checkpoint / "manifest.json").string() + ": is not a checkpoint manifest");
  return manifest;
}

// Removed under another name first: a folder named step-N is always whole.
void remove_folder(const fs::path& folder) {
  fs::path trash = folder;
  trash.replace_filename(".trash-" + folder.filename().string() + "-" + std::to_string(::getpid()));
  std::error_code ignored;
  fs::rename(folder, trash, ignored);
  fs::remove_all(trash, ignored);
}

// Rank 0 looks for all, since all write to its disk: they go on or give up together.
void require_room(const fs::path& run_dir, int64_t step, const core::NamedTensors& parts, dist::Communicator& comm) {
  double mine = 0;
  for (const auto& [name, part] : parts) mine += static_cast<double>(part.nbytes());
  double needed = 0;
  for (const double bytes : dist::gather_values(comm, mine)) needed += bytes;
  const double room = dist::gather_values(comm, comm.is_main() ? static_cast<double>(core::free_bytes(run_dir)) : 0).front();
  if (needed <= room) return;
  const auto text = [](double bytes) { return std::to_string(static_cast<uint64_t>(bytes)); };
  throw core::io_error((run_dir / "checkpoints").string() + ": the checkpoint of step " + std::to_string(step) + " needs " + text(needed) + " bytes, the disk has " +
                       text(room) + "; make room and start again, the checkpoint before it is kept");
}

}  // namespace

// The parts of a large model are hashed side by side.
void verify_checkpoint(const fs::path& checkpoint) try {
  const Json manifest = read_manifest(checkpoint);
  if (static_cast<int64_t>(manifest.at("files").size()) != manifest.at("ranks").get<int64_t>()) throw core::model_error((checkpoint / "manifest.json").string() + ": names too few files");
  std::vector<std::future<void>> checks;
  for (const auto& [name, file] : manifest.at("files").items()) {
    checks.push_back(std::async(std::launch::async, [state = checkpoint / fs::path(name).filename(), bytes = file.at("bytes").get<uint64_t>(), hash = file.at("sha256").get<std::string>()] {
      if (!fs::is_regular_file(state) || fs::file_size(state) != bytes || core::sha256_file(state) != hash) throw core::model_error(state.string() + ": differs from its manifest");
    }));
  }
  for (auto& check : checks) check.get();
} catch (const Json::exception&) {
  throw core::model_error((checkpoint / "manifest.json").string() + ": is not a checkpoint manifest");
}

void clean_checkpoints(const fs::path& run_dir) {
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(run_dir / "checkpoints", ignored)) {
    const std::string name = entry.path().filename().string();
    if (name.rfind(".trash-", 0) == 0 || name.rfind(".tmp-", 0) == 0) fs::remove_all(entry.path(), ignored);
  }
}

void prune_checkpoints(const fs::path& run_dir, const fs::path& newest, int64_t keep) {
  const auto folders = checkpoints_of(run_dir);
  if (folders.empty() || folders.front() != newest) return;
  for (size_t i = static_cast<size_t>(keep); i < folders.size(); ++i) remove_folder(folders[i]);
  if (folders.size() > static_cast<size_t>(keep)) core::fsync_folder(newest.parent_path());
}

CheckpointWriter::CheckpointWriter(fs::path run_dir, int64_t keep, dist::Communicator& comm) : run_dir_(std::move(run_dir)), keep_(keep), comm_(comm) {}

CheckpointWriter::~CheckpointWriter() {
  abandoned_ = true;
  if (thread_.joinable()) thread_.join();
}

fs::path CheckpointWriter::folder_under_way(const fs::path& run_dir, int64_t step) { return run_dir / "checkpoints" / (".tmp-step-" + std::to_string(step)); }

void CheckpointWriter::save(const CheckpointInfo& info, const TrainState& state) {
  finish();
  core::NamedTensors parts;
  for (const auto& [name, part] : state.parts()) parts.emplace_back(name, part.to(at::kCPU, /*non_blocking=*/false, /*copy=*/true));
  if (comm_.is_main()) parts.emplace_back("balance", info.balance.clone());
  require_room(run_dir_, info.step, parts, comm_);
  done_ = false;
  thread_ = std::thread([this, info, parts = std::move(parts)] {
    try {
      write(info, parts);
    } catch (...) {
      error_ = std::current_exception();
    }
    done_ = true;
  });
}

void CheckpointWriter::check() {
  if (!done_ || !error_) return;
  std::rethrow_exception(std::exchange(error_, nullptr));
}

// Many short exchanges, so that a long write is not taken for a lost peer.
void CheckpointWriter::finish() {
  for (;;) {
    check();
    const auto done = dist::gather_values(comm_, done_ ? 1.0 : 0.0);
    if (std::all_of(done.begin(), done.end(), [](double d) { return d > 0; })) break;
    std::this_thread::sleep_for(kPause);
  }
  if (thread_.joinable()) thread_.join();
  check();
}

void CheckpointWriter::close() {
  finish();
  if (!comm_.is_main()) return;
  clean_checkpoints(run_dir_);
  if (const auto folders = checkpoints_of(run_dir_); !folders.empty()) prune_checkpoints(run_dir_, folders.front(), keep_);
}

// On every rank, in the background: no collectives here.
void CheckpointWriter::write(const CheckpointInfo& info, const core::NamedTensors& parts) {
  const fs::path temporary = folder_under_way(run_dir_, info.step);
  std::error_code error;
  fs::create_directories(temporary, error);
  if (error) throw core::io_error(temporary.string() + ": can't be made: " + error.message());
  const fs::path state = temporary / state_file(comm_.rank(), comm_.size());
  core::write_safetensors(state, parts);
  const Json receipt{{"bytes", fs::file_size(state)}, {"sha256", core::sha256_file(state)}};
  core::write_file_atomic(temporary / receipt_file(comm_.rank()), receipt.dump());
  if (comm_.is_main()) commit(info, temporary);
}

void CheckpointWriter::commit(const CheckpointInfo& info, const fs::path& temporary) {
  Json files;
  for (int64_t rank = 0; rank < comm_.size(); ++rank) {
    const fs::path receipt = temporary / receipt_file(rank);
    while (!fs::exists(receipt)) {
      if (abandoned_) return;
      std::this_thread::sleep_for(kPause);
    }
    files[state_file(rank, comm_.size())] = Json::parse(core::read_file(receipt, 1 << 16));
    fs::remove(receipt);
  }
  const Json manifest{{"format", kFormat}, {"step", info.step}, {"updates", info.updates}, {"not_finite_in_a_row", info.not_finite_in_a_row}, {"ranks", comm_.size()}, {"identity", info.identity}, {"files", files}};
  core::write_file_atomic(temporary / "manifest.json", manifest.dump(2) + "\n");
  core::fsync_folder(temporary);
  const fs::path folder = run_dir_ / "checkpoints" / ("step-" + std::to_string(info.step));
  if (fs::exists(folder)) remove_folder(folder);
  std::error_code error;
  fs::rename(temporary, folder, error);
  if (error) throw core::io_error(folder.string() + ": can't be put in place: " + error.message());
  core::fsync_folder(folder.parent_path());
  core::fsync_folder(run_dir_);   // the name `checkpoints`, which the first one made
  prune_checkpoints(run_dir_, folder, keep_);
}

std::optional<fs::path> newest_checkpoint(const fs::path& run_dir, const core::Log& log) {
  for (const auto& folder : checkpoints_of(run_dir)) {
    try {
      verify_checkpoint(folder);
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
  CheckpointInfo info{.step = manifest.at("step").get<int64_t>(), .updates = manifest.at("updates").get<int64_t>(), .not_finite_in_a_row = manifest.value("not_finite_in_a_row", int64_t{0}), .identity = manifest.at("identity").get<std::map<std::string, std::string>>(), .balance = {}};
  std::string differences;
  for (const auto& [key, wanted] : identity) {
    const std::string stored = info.identity.contains(key) ? info.identity.at(key) : "(none)";
    if (stored != wanted) differences += (differences.empty() ? "" : ", ") + key + " was " + stored + " and is " + wanted;
  }
  if (!differences.empty()) {
    throw core::ConfigError(checkpoint.string() + ": belongs to another run: " + differences + "; use --resume never or another run.dir");
  }
  const auto ranks = manifest.at("ranks").get<int64_t>();
  std::vector<core::SafetensorsFile> files;
  for (int64_t rank = 0; rank < ranks; ++rank) files.push_back(core::SafetensorsFile::open(checkpoint / state_file(rank, ranks)));
  state.restore([&](const std::string& name, int64_t begin, core::Tensor& out) {
    // The flat buffers differ in padding at their end only; part r of the old ones begins at r times its length.
    for (int64_t rank = 0; rank < ranks; ++rank) {
      const core::Tensor part = files[static_cast<size_t>(rank)].tensor(name);
      const int64_t first = rank * part.numel(), from = std::max(begin, first), to = std::min(begin + out.numel(), first + part.numel());
      if (from < to) out.slice(0, from - begin, to - begin).copy_(part.slice(0, from - first, to - first));
    }
  }, comm);
  info.balance = files.front().tensor("balance").clone();
  return info;
}

}  // namespace mvrm::train
