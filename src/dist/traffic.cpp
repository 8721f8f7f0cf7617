// SPDX-License-Identifier: Apache-2.0
#include <ATen/ATen.h>
#include <mvrm/dist/traffic.h>
#include <utility>

namespace mvrm::dist {

namespace {

int64_t bytes_of(const Tensor& tensor) { return static_cast<int64_t>(tensor.nbytes()); }

}  // namespace

Traffic total(const TrafficByKind& traffic) {
  Traffic sum;
  for (const auto& [kind, of_kind] : traffic) {
    sum.calls += of_kind.calls;
    sum.sent_bytes += of_kind.sent_bytes;
    sum.received_bytes += of_kind.received_bytes;
  }
  return sum;
}

void CountingCommunicator::add(const char* kind, int64_t sent, int64_t received) {
  Traffic& traffic = traffic_[kind];
  ++traffic.calls;
  traffic.sent_bytes += sent;
  traffic.received_bytes += received;
}

void CountingCommunicator::all_reduce_sum(Tensor& tensor) {
  const int64_t bytes = 2 * bytes_of(tensor) * (size() - 1) / size();
  add("all_reduce", bytes, bytes);
  inner_.all_reduce_sum(tensor);
}

void CountingCommunicator::broadcast(Tensor& tensor, int64_t root) {
  const int64_t bytes = bytes_of(tensor);
  add("broadcast", rank() == root ? (size() - 1) * bytes : 0, rank() == root ? 0 : bytes);
  inner_.broadcast(tensor, root);
}

void CountingCommunicator::all_gather(Tensor& out, const Tensor& in) {
  add_parts("all_gather", bytes_of(in));
  inner_.all_gather(out, in);
}

void CountingCommunicator::reduce_scatter_sum(Tensor& out, const Tensor& in) {
  add_parts("reduce_scatter", bytes_of(out));
  inner_.reduce_scatter_sum(out, in);
}

void CountingCommunicator::all_to_all(Tensor& out, const Tensor& in) {
  add_parts("all_to_all", bytes_of(in) / size());
  inner_.all_to_all(out, in);
}

Ticket CountingCommunicator::start_all_gather(Tensor& out, const Tensor& in) {
  add_parts("all_gather", bytes_of(in));
  return inner_.start_all_gather(out, in);
}

Ticket CountingCommunicator::start_reduce_scatter_sum(Tensor& out, const Tensor& in) {
  add_parts("reduce_scatter", bytes_of(out));
  return inner_.start_reduce_scatter_sum(out, in);
}

Ticket CountingCommunicator::start_all_to_all(Tensor& out, const Tensor& in) {
  add_parts("all_to_all", bytes_of(in) / size());
  return inner_.start_all_to_all(out, in);
}

TrafficByKind CountingCommunicator::take() { return std::exchange(traffic_, {}); }

}  // namespace mvrm::dist
