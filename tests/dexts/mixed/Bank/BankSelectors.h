/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

enum {
        kBankChoose,    /* in: kind of vault */
        kBankPut,       /* in: amount; out: what put says, the total */
        kBankTry,       /* C++ puts 5, C puts 1 twice; out: what either says */
        kBankSelectors
};
