// SPDX-License-Identifier: Apache-2.0
// The world of one, and small exchanges on top of any communicator.
#include <ATen/ATen.h>
#include <algorithm>
#include <atomic>
#include <chrono>
#include <exception>
#include <mvrm/core/error.h>
#include <mvrm/dist/communicator.h>
#include <thread>

namespace mvrm::dist {

namespace {

class Single : public Communicator {
 public:
  int64_t rank() const override { return 0; }
  int64_t size() const override { return 1; }
  void all_reduce_sum(Tensor&) override {}
  void broadcast(Tensor&, int64_t) override {}
  void all_gather(Tensor& out, const Tensor& in) override { copy(out, in); }
  void reduce_scatter_sum(Tensor& out, const Tensor& in) override { copy(out, in); }
  void all_to_all(Tensor& out, const Tensor& in) override { copy(out, in); }
  void barrier() override {}

 private:
  static void copy(Tensor& out, const Tensor& in) {
    if (!out.is_same(in) && out.data_ptr() != in.data_ptr()) out.copy_(in);
  }
};

}  // namespace

std::unique_ptr<Communicator> make_single() { return std::make_unique<Single>(); }

std::vector<double> gather_values(Communicator& comm, double value) {
  at::Tensor mine = at::full({1}, value, at::kDouble);
  at::Tensor all = at::empty({comm.size()}, at::kDouble);
  comm.all_gather(all, mine);
  return {all.const_data_ptr<double>(), all.const_data_ptr<double>() + comm.size()};
}

std::vector<std::string> gather_texts(Communicator& comm, const std::string& text) {
  const auto lengths = gather_values(comm, static_cast<double>(text.size()));
  const auto longest = static_cast<int64_t>(std::max(1.0, *std::max_element(lengths.begin(), lengths.end())));
  at::Tensor mine = at::zeros({longest}, at::kByte);
  std::copy(text.begin(), text.end(), mine.mutable_data_ptr<uint8_t>());
  at::Tensor all = at::empty({comm.size() * longest}, at::kByte);
  comm.all_gather(all, mine);
  std::vector<std::string> texts;
  for (size_t r = 0; r < lengths.size(); ++r) {
    const auto* begin = reinterpret_cast<const char*>(all.const_data_ptr<uint8_t>()) + static_cast<int64_t>(r) * longest;
    texts.emplace_back(begin, static_cast<size_t>(lengths[r]));
  }
  return texts;
}

void while_main_works(Communicator& comm, const std::function<void()>& work) {
  constexpr auto kPause = std::chrono::milliseconds(20);
  if (comm.size() == 1) return work();
  if (!comm.is_main()) {
    while (gather_values(comm, 1).front() == 0) std::this_thread::sleep_for(kPause);
    return;
  }
  // The work stays on this thread, with all that belongs to a thread; the short exchanges go on another one meanwhile.
  std::atomic<bool> done{false};
  std::exception_ptr lost;
  std::thread exchanges([&] {
    try {
      for (; !done; std::this_thread::sleep_for(kPause)) gather_values(comm, 0);
    } catch (...) {
      lost = std::current_exception();
    }
  });
  std::exception_ptr failed;
  try {
    work();
  } catch (...) {
    failed = std::current_exception();
  }
  done = true;
  exchanges.join();
  if (failed) std::rethrow_exception(failed);
  if (lost) std::rethrow_exception(lost);
  gather_values(comm, 1);
}

void require_same(Communicator& comm, const std::map<std::string, std::string>& values) {
  constexpr char kEnd = '\x1e', kBetween = '\x1f';
  std::string mine;
  for (const auto& [key, value] : values) mine += key + kBetween + value + kEnd;
  const auto parse = [](const std::string& text) {
    std::map<std::string, std::string> parsed;
    for (size_t begin = 0; begin < text.size();) {
      const size_t between = text.find(kBetween, begin), end = text.find(kEnd, between);
      parsed[text.substr(begin, between - begin)] = text.substr(between + 1, end - between - 1);
      begin = end + 1;
    }
    return parsed;
  };
  const auto all = gather_texts(comm, mine);
  auto first = parse(all.front());
  for (size_t r = 1; r < all.size(); ++r) {
    if (all[r] == all.front()) continue;
    auto other = parse(all[r]);
    std::string differences;
    for (const auto* side : {&first, &other}) {
      for (const auto& [key, value] : *side) {
        const std::string here = first.contains(key) ? first[key] : "(none)", there = other.contains(key) ? other[key] : "(none)";
        if (here != there && differences.find(key + " is ") == std::string::npos)
          differences += (differences.empty() ? "" : ", ") + key + " is '" + there + "' there and '" + here + "' on rank 0";
      }
    }
    throw core::ConfigError("rank " + std::to_string(r) + " was started with something else: " + differences + "; start all ranks with the same files");
  }
}

}  // namespace mvrm::dist
