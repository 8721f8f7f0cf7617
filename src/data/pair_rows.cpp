// SPDX-License-Identifier: Apache-2.0
#include "pair_rows.h"

#include <cstdio>

namespace mvrm::data {

namespace {

struct Vote {
  const char* name;
  double left;  // preference for the left clip
};
constexpr Vote kVotes[] = {{"leftvote", 1.0}, {"rightvote", 0.0}, {"tievote", 0.5}, {"bothbad_vote", 0.5}};

}  // namespace

bool is_pair(const Row& row) { return row.object.contains("left_video") || row.object.contains("right_video"); }

std::vector<Row> split_pair(const std::filesystem::path& path, const Row& row, int64_t index) {
  const auto fail = [&](const std::string& why) { throw RowError(path, {.line = row.line, .id = {}, .cause = why}); };
  for (const char* key : {"left_video", "right_video", "prompt", "vote_type"}) {
    if (!row.object.contains(key) || row.object[key].is_null()) fail(std::string("has no '") + key + "'");
  }
  const Json& vote = row.object["vote_type"];
  double left = -1;
  std::string known;
  for (const auto& entry : kVotes) {
    if (vote == entry.name) left = entry.left;
    known += (known.empty() ? "" : ", ") + std::string(entry.name);
  }
  if (left < 0) fail("unknown vote " + excerpt(vote.dump(-1, ' ', false, Json::error_handler_t::replace), 40) + "; known: " + known);
  if (row.object.contains("idx")) {
    if (!row.object["idx"].is_number_unsigned() || row.object["idx"].get<uint64_t>() > 999'999'999)
      fail("'idx' is not a number from 0 to 999999999");
    index = row.object["idx"].get<int64_t>();
  }
  char number[24];
  std::snprintf(number, sizeof number, "%04lld", static_cast<long long>(index));
  std::vector<Row> sides;
  for (const bool is_left : {true, false}) {
    Json side{{"id", std::string(number) + (is_left ? "_left" : "_right")},
              {"video", row.object[is_left ? "left_video" : "right_video"]},
              {"prompt", row.object["prompt"]},
              {"preference", is_left ? left : 1 - left}};
    sides.push_back({.object = std::move(side), .line = row.line});
  }
  return sides;
}

}  // namespace mvrm::data
