// SPDX-License-Identifier: Apache-2.0
// The world of one, and small exchanges on top of any communicator.
#include <ATen/ATen.h>
#include <algorithm>
#include <mvrm/dist/communicator.h>

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

}  // namespace mvrm::dist
