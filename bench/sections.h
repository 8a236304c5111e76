/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include "bench/bench.h"

void bench_hot(struct bench *bench);
