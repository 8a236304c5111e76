/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Checks that print a line to standard error when they fail, and jump to the end of a function. Macros; any thread.
 *
 *      check, verify           only say it; check's expression is not evaluated with -DNDEBUG or -DDEBUG_ASSERT_PRODUCTION_CODE=1
 *      require                 says it and jumps to a label
 *      ..._noerr               the expression is a code that must be 0; its value is said
 *      ..._action              does something more before the jump
 *      ..._quiet               says nothing;       ..._string: says the text
 *      nrequire                fails when the expression is true
 *
 * With -D__ASSERT_MACROS_DEFINE_VERSIONS_WITHOUT_UNDERSCORES=0 only the names with underscores exist.
 * Contract: real-code 3 'Headers included by client programs'.
 */
#include <stdio.h>

#ifndef DEBUG_ASSERT_PRODUCTION_CODE
#ifdef NDEBUG
#define DEBUG_ASSERT_PRODUCTION_CODE 1
#else
#define DEBUG_ASSERT_PRODUCTION_CODE 0
#endif
#endif

#if DEBUG_ASSERT_PRODUCTION_CODE
#define AMB_ASSERT_SAY(text, code) ((void)0)
#else
#define AMB_ASSERT_SAY(text, code)                                                                                      \
        fprintf(stderr, "%s:%d: %s: not so: %s (%ld)\n", __FILE__, __LINE__, __func__, text, (long)(code))
#endif
#define AMB_ASSERT_JUMP(fails, text, label, action)                                                                     \
        do {                                                                                                            \
                if (__builtin_expect(!!(fails), 0)) {                                                                   \
                        AMB_ASSERT_SAY(text, 0);                                                                        \
                        action;                                                                                         \
                        goto label;                                                                                     \
                }                                                                                                       \
        } while (0)
#define AMB_ASSERT_JUMP_CODE(code, text, label, action)                                                                 \
        do {                                                                                                            \
                long amb_assert_code = (long)(code);                                                                    \
                if (__builtin_expect(amb_assert_code != 0, 0)) {                                                        \
                        AMB_ASSERT_SAY(text, amb_assert_code);                                                          \
                        action;                                                                                         \
                        goto label;                                                                                     \
                }                                                                                                       \
        } while (0)
#define AMB_ASSERT_JUMP_QUIET(fails, label, action)                                                                     \
        do {                                                                                                            \
                if (__builtin_expect(!!(fails), 0)) {                                                                   \
                        action;                                                                                         \
                        goto label;                                                                                     \
                }                                                                                                       \
        } while (0)

#define __Verify(expression)                                                                                            \
        do {                                                                                                            \
                if (!(expression))                                                                                      \
                        AMB_ASSERT_SAY(#expression, 0);                                                                 \
        } while (0)
#define __Verify_noErr(code)                                                                                            \
        do {                                                                                                            \
                long amb_assert_code = (long)(code);                                                                    \
                if (amb_assert_code != 0)                                                                               \
                        AMB_ASSERT_SAY(#code, amb_assert_code);                                                         \
        } while (0)
#if DEBUG_ASSERT_PRODUCTION_CODE
#define __Check(expression) ((void)0)
#define __Check_noErr(code) ((void)0)
#else
#define __Check(expression) __Verify(expression)
#define __Check_noErr(code) __Verify_noErr(code)
#endif
#define __Require(expression, label) AMB_ASSERT_JUMP(!(expression), #expression, label, )
#define __Require_String(expression, label, text) AMB_ASSERT_JUMP(!(expression), text, label, )
#define __Require_Quiet(expression, label) AMB_ASSERT_JUMP_QUIET(!(expression), label, )
#define __Require_Action(expression, label, action) AMB_ASSERT_JUMP(!(expression), #expression, label, action)
#define __Require_Action_String(expression, label, action, text) AMB_ASSERT_JUMP(!(expression), text, label, action)
#define __Require_Action_Quiet(expression, label, action) AMB_ASSERT_JUMP_QUIET(!(expression), label, action)
#define __Require_noErr(code, label) AMB_ASSERT_JUMP_CODE(code, #code, label, )
#define __Require_noErr_String(code, label, text) AMB_ASSERT_JUMP_CODE(code, text, label, )
#define __Require_noErr_Quiet(code, label) AMB_ASSERT_JUMP_QUIET((code) != 0, label, )
#define __Require_noErr_Action(code, label, action) AMB_ASSERT_JUMP_CODE(code, #code, label, action)
#define __Require_noErr_Action_Quiet(code, label, action) AMB_ASSERT_JUMP_QUIET((code) != 0, label, action)
#define __nRequire(expression, label) AMB_ASSERT_JUMP(expression, #expression, label, )
#define __nRequire_Quiet(expression, label) AMB_ASSERT_JUMP_QUIET(expression, label, )
#define __nRequire_Action(expression, label, action) AMB_ASSERT_JUMP(expression, #expression, label, action)

#ifndef __ASSERT_MACROS_DEFINE_VERSIONS_WITHOUT_UNDERSCORES
#define __ASSERT_MACROS_DEFINE_VERSIONS_WITHOUT_UNDERSCORES 1
#endif
#if __ASSERT_MACROS_DEFINE_VERSIONS_WITHOUT_UNDERSCORES
#define check(expression) __Check(expression)
#define check_noerr(code) __Check_noErr(code)
#define verify(expression) __Verify(expression)
#define verify_noerr(code) __Verify_noErr(code)
#define require(expression, label) __Require(expression, label)
#define require_string(expression, label, text) __Require_String(expression, label, text)
#define require_quiet(expression, label) __Require_Quiet(expression, label)
#define require_action(expression, label, action) __Require_Action(expression, label, action)
#define require_action_string(expression, label, action, text) __Require_Action_String(expression, label, action, text)
#define require_action_quiet(expression, label, action) __Require_Action_Quiet(expression, label, action)
#define require_noerr(code, label) __Require_noErr(code, label)
#define require_noerr_string(code, label, text) __Require_noErr_String(code, label, text)
#define require_noerr_quiet(code, label) __Require_noErr_Quiet(code, label)
#define require_noerr_action(code, label, action) __Require_noErr_Action(code, label, action)
#define require_noerr_action_quiet(code, label, action) __Require_noErr_Action_Quiet(code, label, action)
#define nrequire(expression, label) __nRequire(expression, label)
#define nrequire_quiet(expression, label) __nRequire_Quiet(expression, label)
#define nrequire_action(expression, label, action) __nRequire_Action(expression, label, action)
#endif
