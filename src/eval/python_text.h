// SPDX-License-Identifier: Apache-2.0
// Numbers as Python writes and rounds them: VideoScore's files hold Python lists in strings.
#pragma once
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace mvrm::eval {

double round_to_3(double value);        // round(value, 3): half to even on the exact binary value
std::string python_repr(double value);  // repr(value): shortest digits that read back the same, "2.0", "1e-05"
std::optional<std::vector<double>> parse_list(std::string_view text);  // "[1.898, 2, -1]"; nullopt: not a list of finite numbers
std::string list_of_integers_or_reals(std::span<const double> values); // "[2, 3]" when all are whole numbers, else "[2.0, 0.533]"
std::string list_of_reals(std::span<const double> values);

}  // namespace mvrm::eval
