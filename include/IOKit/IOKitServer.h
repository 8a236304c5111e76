/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The generation of the original's interface that this one has the behaviour of: a constant. Contract: call-path 1.1. */
#define IOKIT_SERVER_VERSION 20210810
