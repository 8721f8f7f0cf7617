// SPDX-License-Identifier: Apache-2.0
// Whole files: read, hash, replace atomically. Every error is an Error with ExitStatus::io that names the path.
#pragma once
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

namespace mvrm::core {

// Reads a whole file of at most `max_bytes`; larger ones are an error before anything is allocated.
std::string read_file(const std::filesystem::path& path, uint64_t max_bytes = uint64_t{1} << 32);
// Writes <path>.tmp-<pid>, fsyncs, renames over `path`, fsyncs the folder: after a crash the old or the new file is there, whole.
void write_file_atomic(const std::filesystem::path& path, std::string_view content);
void fsync_file(const std::filesystem::path& path);
void fsync_folder(const std::filesystem::path& folder);

// SHA-256 as 64 lower-case hexadecimal digits.
std::string sha256_hex(std::string_view content);
std::string sha256_file(const std::filesystem::path& path);

}  // namespace mvrm::core
