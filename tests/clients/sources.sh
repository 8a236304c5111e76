# SPDX-License-Identifier: Apache-2.0
# A pipe at standard input: a file cannot be waited for.
(echo hello; echo quit) | "$CLIENT"
