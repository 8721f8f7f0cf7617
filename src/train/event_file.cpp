// SPDX-License-Identifier: Apache-2.0
#include "event_file.h"

#include <array>
#include <bit>
#include <chrono>
#include <cstring>
#include <mvrm/core/error.h>
#include <mvrm/core/files.h>
#include <unistd.h>

namespace mvrm::train {

namespace fs = std::filesystem;

namespace {

constexpr std::string_view kPrefix = "events.out.tfevents.";
constexpr size_t kHeader = 12, kFooter = 4;   // length and its checksum; the checksum of the data

constexpr std::array<uint32_t, 256> crc_table() {
  std::array<uint32_t, 256> table{};
  for (uint32_t i = 0; i < 256; ++i) {
    uint32_t value = i;
    for (int bit = 0; bit < 8; ++bit) value = (value >> 1) ^ ((value & 1) != 0 ? 0x82f63b78U : 0U);
    table[i] = value;
  }
  return table;
}

// A checksum of data that hold checksums is weak, so TFRecord turns it.
uint32_t masked_crc(std::string_view bytes) { return std::rotr(crc32c(bytes), 15) + 0xa282ead8U; }

template <class T> void append_little_endian(std::string& out, T value) {
  static_assert(std::endian::native == std::endian::little);
  out.append(reinterpret_cast<const char*>(&value), sizeof value);
}
template <class T> T little_endian_at(std::string_view bytes, size_t position) {
  T value{};
  std::memcpy(&value, bytes.data() + position, sizeof value);
  return value;
}

// Protobuf's wire types.
enum class Wire : uint8_t { varint = 0, fixed64 = 1, text = 2, fixed32 = 5 };

void append_varint(std::string& out, uint64_t value) {
  for (; value >= 0x80; value >>= 7) out += static_cast<char>(value | 0x80);
  out += static_cast<char>(value);
}
void append_key(std::string& out, uint64_t field, Wire wire) { append_varint(out, field << 3 | static_cast<uint64_t>(wire)); }
void append_text(std::string& out, uint64_t field, std::string_view text) {
  append_key(out, field, Wire::text);
  append_varint(out, text.size());
  out += text;
}

std::optional<uint64_t> varint_at(std::string_view bytes, size_t& position) {
  uint64_t value = 0;
  for (int shift = 0; shift < 64 && position < bytes.size(); shift += 7) {
    const auto byte = static_cast<uint8_t>(bytes[position++]);
    value |= static_cast<uint64_t>(byte & 0x7f) << shift;
    if (byte < 0x80) return value;
  }
  return std::nullopt;
}

// Event's fields.
constexpr uint64_t kWallTime = 1, kStep = 2, kFileVersion = 3, kSummary = 5;

std::string event_at(double wall_seconds) {
  std::string event;
  append_key(event, kWallTime, Wire::fixed64);
  append_little_endian(event, wall_seconds);
  return event;
}

double now_seconds() { return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count(); }

void keep_steps_up_to(const fs::path& path, int64_t last) {
  std::string kept;
  for (const auto& record : records_of(core::read_file(path))) {
    if (step_of(record) <= last) kept += tfrecord(record);
  }
  core::write_file_atomic(path, kept);
}

std::vector<fs::path> event_files(const fs::path& run_dir) {
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(run_dir))
    if (entry.path().filename().string().starts_with(kPrefix)) files.push_back(entry.path());
  return files;
}

}  // namespace

uint32_t crc32c(std::string_view bytes) {
  constexpr std::array<uint32_t, 256> kTable = crc_table();
  uint32_t value = ~0U;
  for (const char c : bytes) value = kTable[(value ^ static_cast<uint8_t>(c)) & 0xff] ^ (value >> 8);
  return ~value;
}

std::string version_event(double wall_seconds) {
  std::string event = event_at(wall_seconds);
  append_text(event, kFileVersion, "brain.Event:2");
  return event;
}

std::string scalar_event(double wall_seconds, int64_t step, const Scalars& scalars) {
  std::string summary;
  for (const auto& [tag, number] : scalars) {   // Summary.Value {1: tag, 2: simple_value}
    std::string value;
    append_text(value, 1, tag);
    append_key(value, 2, Wire::fixed32);
    append_little_endian(value, static_cast<float>(number));
    append_text(summary, 1, value);
  }
  std::string event = event_at(wall_seconds);
  append_key(event, kStep, Wire::varint);
  append_varint(event, static_cast<uint64_t>(step));
  append_text(event, kSummary, summary);
  return event;
}

std::string tfrecord(std::string_view data) {
  std::string record;
  append_little_endian(record, static_cast<uint64_t>(data.size()));
  append_little_endian(record, masked_crc(record));
  record += data;
  append_little_endian(record, masked_crc(data));
  return record;
}

std::vector<std::string> records_of(std::string_view bytes) {
  std::vector<std::string> records;
  while (bytes.size() >= kHeader) {
    const auto length = little_endian_at<uint64_t>(bytes, 0);
    if (little_endian_at<uint32_t>(bytes, 8) != masked_crc(bytes.substr(0, 8))) break;
    if (length > bytes.size() - kHeader || bytes.size() - kHeader - length < kFooter) break;
    const std::string_view data = bytes.substr(kHeader, length);
    if (little_endian_at<uint32_t>(bytes, kHeader + length) != masked_crc(data)) break;
    records.emplace_back(data);
    bytes.remove_prefix(kHeader + length + kFooter);
  }
  return records;
}

int64_t step_of(std::string_view event) {
  for (size_t position = 0; position < event.size();) {
    const auto key = varint_at(event, position);
    if (!key) return 0;
    const auto wire = static_cast<Wire>(*key & 7);
    if (wire == Wire::varint) {
      const auto value = varint_at(event, position);
      if (*key >> 3 == kStep) return static_cast<int64_t>(value.value_or(0));
    } else if (wire == Wire::text) {
      const auto length = varint_at(event, position);
      if (!length || *length > event.size() - position) return 0;
      position += *length;
    } else {
      position += wire == Wire::fixed64 ? 8 : 4;
    }
  }
  return 0;
}

EventFile::EventFile(const fs::path& run_dir, int64_t first_step) {
  fs::create_directories(run_dir);
  for (const auto& path : event_files(run_dir)) {
    if (first_step > 0) keep_steps_up_to(path, first_step);
    else fs::remove(path);
  }
  char host[256] = "localhost";
  ::gethostname(host, sizeof host - 1);
  const std::string name = std::string(kPrefix) + std::to_string(static_cast<int64_t>(now_seconds())) + "." + host + "." + std::to_string(::getpid());
  path_ = run_dir / name;
  for (int n = 1; fs::exists(path_); ++n) path_ = run_dir / (name + "." + std::to_string(n));
  file_.open(path_, std::ios::binary);
  append(version_event(now_seconds()));
}

void EventFile::write(int64_t step, const Scalars& scalars) { append(scalar_event(now_seconds(), step, scalars)); }

void EventFile::sync() const { core::fsync_file(path_); }

void EventFile::append(const std::string& event) {
  file_ << tfrecord(event) << std::flush;
  if (!file_) throw core::io_error(path_.string() + ": can't be written; is the disk full?");
}

}  // namespace mvrm::train
