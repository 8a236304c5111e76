# SPDX-License-Identifier: Apache-2.0
@0xc3a1d9f0b7e24865;

interface Echo {
  echo @0 (bytes :Data) -> (bytes :Data);
}
