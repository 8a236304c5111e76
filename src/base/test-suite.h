/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The frame of a test program: its tests in cases, its cases in a suite, the exit status of main(). Each test runs in a process of
 * its own and has 60 s, unless tcase_set_timeout() says otherwise; what is told, CK_VERBOSITY says.
 */
#include <check.h>
#include <stdlib.h>

/* A case with these tests; what has a fixture, or runs several times, is added to it by Check's own functions. */
#define test_case(name, ...) amb_test_case(name, (const TTest *const[]){ __VA_ARGS__, NULL })
/* Runs these cases and frees them. */
#define run_cases(name, ...) amb_run_cases(name, (TCase *const[]){ __VA_ARGS__, NULL })
/* The same with one case of these tests. */
#define run_suite(name, ...) run_cases(name, test_case(name, __VA_ARGS__))

static inline TCase *amb_test_case(const char *name, const TTest *const *tests)
{
        TCase *tcase = tcase_create(name);

        tcase_set_timeout(tcase, 60);
        for (; *tests; tests++)
                tcase_add_test(tcase, *tests);
        return tcase;
}

static inline int amb_run_cases(const char *name, TCase *const *cases)
{
        Suite *suite = suite_create(name);
        SRunner *runner;
        int failed;

        for (; *cases; cases++)
                suite_add_tcase(suite, *cases);
        runner = srunner_create(suite);
        srunner_run_all(runner, CK_ENV);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
