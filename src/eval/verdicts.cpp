// SPDX-License-Identifier: Apache-2.0
#include <mvrm/eval/verdicts.h>

#include <algorithm>
#include <charconv>
#include <unordered_map>

#include "row_file.h"
#include "votes.h"

namespace mvrm::eval {

namespace {

struct Vote {
  HumanVote vote;
  const char* name;
  std::array<std::string_view, 2> correct;
};
constexpr Vote kVotes[] = {
    {HumanVote::left, "leftvote", {"[[A>B]]", "[[A>>B]]"}},
    {HumanVote::right, "rightvote", {"[[B>A]]", "[[B>>A]]"}},
    {HumanVote::tie, "tievote", {"[[A=B]]", "[[A=B=Good]]"}},
    {HumanVote::both_bad, "bothbad_vote", {"[[A=B]]", "[[A=B=Bad]]"}},
};

}  // namespace

std::optional<HumanVote> vote_from_name(std::string_view name) {
  for (const auto& entry : kVotes) {
    if (name == entry.name) return entry.vote;
  }
  return std::nullopt;
}

const char* name_of(HumanVote vote) { return kVotes[static_cast<size_t>(vote)].name; }

HumanVote vote_field(const Row& row, const std::string& where, const std::string& id) {
  const Row* field = find_field(row, {"human_vote", "vote_type"});
  if (!field || !field->is_string()) fail_row(where, id, "a row needs a text 'human_vote'");
  const auto vote = vote_from_name(field->get_ref<const std::string&>());
  if (!vote) {
    fail_row(where, id, "unknown vote '" + field->get_ref<const std::string&>() + "'; known: leftvote, rightvote, tievote, bothbad_vote");
  }
  return *vote;
}

int64_t index_field(const Row& row, const std::string& where) {
  const auto field = row.find("idx");
  if (field == row.end() || !field->is_number_integer() || (field->is_number_unsigned() ? false : field->get<int64_t>() < 0)) {
    fail_row(where, "", "a row needs 'idx', a whole number from 0");
  }
  return field->get<int64_t>();
}

std::optional<std::string> verdict_of(std::string_view text) {
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    const std::string_view line = text.substr(begin, end - begin);
    begin = end + 1;
    const size_t open = line.find("[["), close = line.rfind("]]");
    if (open != std::string_view::npos && close != std::string_view::npos && close >= open + 2) {
      return std::string(line.substr(open, close + 2 - open));
    }
  }
  return std::nullopt;
}

bool is_correct(const std::optional<std::string>& verdict, HumanVote vote) {
  const auto& correct = kVotes[static_cast<size_t>(vote)].correct;
  return verdict && std::find(correct.begin(), correct.end(), *verdict) != correct.end();
}

VerdictResult evaluate_verdicts(const std::filesystem::path& answers) {
  VerdictResult result;
  std::unordered_map<int64_t, std::string> first_place;
  for_each_row(answers, [&](const Row& row, const std::string& where) {
    const int64_t index = index_field(row, where);
    const std::string id = std::to_string(index);
    const auto [first, fresh] = first_place.emplace(index, where);
    if (!fresh) fail_row(where, id, "duplicate idx; first in " + first->second);
    const HumanVote vote = vote_field(row, where, id);
    const auto response = row.find("response");
    if (response == row.end() || !(response->is_string() || response->is_null())) fail_row(where, id, "a row needs a text 'response'");
    const auto verdict = response->is_null() ? std::nullopt : verdict_of(response->get_ref<const std::string&>());
    for (VerdictCount* count : {&result.all, &result.by_vote[static_cast<size_t>(vote)]}) {
      ++count->n;
      count->correct += is_correct(verdict, vote) ? 1 : 0;
    }
    result.without_verdict += verdict ? 0 : 1;
  });
  return result;
}

std::string to_json_text(const VerdictResult& result) {
  Row document{{"n", result.all.n}, {"correct", result.all.correct}, {"accuracy", result.all.accuracy()}, {"votes", Row::object()}};
  for (const auto& entry : kVotes) {
    const auto& count = result.by_vote[static_cast<size_t>(entry.vote)];
    document["votes"][entry.name] = {{"n", count.n}, {"correct", count.correct}};
  }
  document["without_verdict"] = result.without_verdict;
  return document.dump();
}

std::array<double, 5> integer_answers(std::string_view text) {
  std::array<double, 5> answers{};
  size_t found = 0;
  for (size_t at = text.find(':'); at != std::string_view::npos && found < answers.size(); at = text.find(':', at + 1)) {
    std::string_view rest = text.substr(at + 1);
    if (rest.starts_with("**")) rest.remove_prefix(2);
    if (!rest.starts_with(' ') || rest.size() < 2 || rest[1] < '0' || rest[1] > '9') continue;
    int value = 0;
    const auto error = std::from_chars(rest.data() + 1, rest.data() + rest.size(), value).ec;
    answers[found++] = error == std::errc{} && value >= 1 && value <= 4 ? value : 0;
  }
  return answers;
}

}  // namespace mvrm::eval
