/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <cstdint>

namespace ambidext::keyboard {

enum class user_client_method : uint64_t {
  initialize,
  terminate,
  ready,
  post_report,
  reset,
  end_,
};

class __attribute__((packed)) keyboard_input final {
public:
  uint8_t report_id_ = 1;
  uint8_t modifiers = 0;
  uint8_t keys[6] = {};
};

class __attribute__((packed)) consumer_input final {
public:
  uint8_t report_id_ = 2;
  uint16_t key = 0;
};

} // namespace ambidext::keyboard
