// SPDX-License-Identifier: Apache-2.0
// Free text of language models as answers: GenAI-Bench's four-way verdict, and VideoScore's five whole numbers.
#pragma once
#include <array>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace mvrm::eval {

enum class HumanVote { left, right, tie, both_bad };
std::optional<HumanVote> vote_from_name(std::string_view name);  // leftvote rightvote tievote bothbad_vote
const char* name_of(HumanVote vote);

// The leftmost "[[…]]" of the text, as far right as it goes within its line: two verdicts on one line are one wrong verdict.
std::optional<std::string> verdict_of(std::string_view text);
bool is_correct(const std::optional<std::string>& verdict, HumanVote vote);  // no verdict is wrong

struct VerdictCount {
  int64_t n = 0, correct = 0;
  double accuracy() const { return n > 0 ? static_cast<double>(correct) / static_cast<double>(n) : 0; }
};
struct VerdictResult {
  VerdictCount all;
  std::array<VerdictCount, 4> by_vote;  // by HumanVote
  int64_t without_verdict = 0;
};
// Rows {"idx", "response", "human_vote"}, JSON array or JSON Lines. Throws DataError with file, row and cause.
VerdictResult evaluate_verdicts(const std::filesystem::path& answers);
std::string to_json_text(const VerdictResult& result);  // cli.md shape

// Whole numbers behind ": " or ":** ", the first five; 0 where there is none or it is not 1, 2, 3 or 4.
std::array<double, 5> integer_answers(std::string_view text);

}  // namespace mvrm::eval
