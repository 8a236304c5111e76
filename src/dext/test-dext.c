/* SPDX-License-Identifier: Apache-2.0 */
/* The parts that touch no file: property lists in the old style, YAML, settings and their expansion, paths and lists. */
#include <check.h>
#include <stdlib.h>

#include "base/test-suite.h"
#include "dext/pbxproj.h"
#include "dext/settings.h"
#include "dext/yml.h"

static const struct dext_node *parse(const char *text)
{
        const char *why = "";
        struct dext_node *node = dext_pbxproj_parse(text, strlen(text), &why);
        ck_assert_msg(node != NULL, "%s: %s", text, why);
        return node;
}

static void refused(const char *text, const char *expected)
{
        const char *why = NULL;
        ck_assert_ptr_null(dext_pbxproj_parse(text, strlen(text), &why));
        ck_assert_str_eq(why, expected);
}

START_TEST(lists_are_read)
{
        const struct dext_node *list = parse("// !$*UTF8$!\n{\n\ta = b; /* c */ \"d e\" = ( 1, \"two\\n\\U00e9\\101\", /* x */ "
                                             "three.c ,);\n"
                                             "\tf = { g = <00 fF>; }; h/*x*/ = 'i';\n}\n");
        struct dext_list items = { 0 };
        ck_assert_str_eq(dext_node_text(list, "a", ""), "b");
        dext_node_list(&items, list, "d e");
        ck_assert_uint_eq(items.count, 3);
        ck_assert_str_eq(items.items[1], "two\n\xc3\xa9" "A");
        ck_assert_str_eq(items.items[2], "three.c");
        ck_assert_str_eq(dext_node_text(dext_node_get(list, "f"), "g", ""), "00fF");
        ck_assert_str_eq(dext_node_text(list, "h", ""), "i");
        ck_assert_str_eq(dext_node_text(list, "none", "fallback"), "fallback");
        ck_assert_str_eq(dext_node_text(list, "f", "fallback"), "fallback");
        ck_assert_uint_eq(dext_node_get(list, "f")->line, 4);
        ck_assert_ptr_null(dext_node_get(dext_node_get(list, "a"), "x"));
        /* the last of a key counts */
        ck_assert_str_eq(dext_node_text(parse("{a=1;a=2;}"), "a", ""), "2");
}
END_TEST

START_TEST(broken_lists_are_refused)
{
        refused("", "line 1: the text ends where a value is expected");
        refused("{\n a = b\n}", "line 3: ';' is expected behind the value of \"a\"");
        refused("{\n\n a b;\n}", "line 3: '=' is expected behind the key \"a\"");
        refused("{ a = b;", "line 1: a dictionary has no end");
        refused("{ ; }", "line 1: a key is expected here, or the dictionary's '}'");
        refused("(a b)", "line 1: ',' or ')' is expected behind an array's element");
        refused("(a,\n", "line 2: the text ends where a value is expected");
        refused("(a", "line 1: an array has no end");
        refused("{ a = \"b\n; }", "line 1: a string has no end");
        refused("{\n/* a = b; }", "line 2: a comment has no end");
        refused("<0g>", "line 1: data has something else than hexadecimal digits, or no '>'");
        refused("{}\n{}", "line 2: something follows behind the list");
        refused("{ a = ; }", "line 1: a value is expected here");
}
END_TEST

START_TEST(nesting_is_limited)
{
        char text[2 * DEXT_PBXPROJ_DEPTH + 16];
        size_t depth = DEXT_PBXPROJ_DEPTH;
        const char *why = NULL;
        memset(text, '(', depth);
        memset(text + depth, ')', depth);
        ck_assert_ptr_nonnull(dext_pbxproj_parse(text, 2 * depth, &why));
        memset(text, '(', depth + 2);
        memset(text + depth + 2, ')', depth + 2);
        ck_assert_ptr_null(dext_pbxproj_parse(text, 2 * depth + 4, &why));
        ck_assert_str_eq(why, "line 1: too many values inside one another");
}
END_TEST

static const struct dext_node *parse_yml(const char *text)
{
        const char *why = "";
        struct dext_node *node = dext_yml_parse(text, strlen(text), &why);
        ck_assert_msg(node != NULL, "%s: %s", text, why);
        return node;
}

START_TEST(yml_is_read)
{
        const struct dext_node *node = parse_yml("# c\n---\na: b  # c\nd e:\n  - 1\n  - \"two\\n\"\n  - [x, 'y']\n"
                                                 "f: {g: true, h: ''}\ni: |\n  1\n  2\n");
        struct dext_list items = { 0 };
        ck_assert_str_eq(dext_node_text(node, "a", ""), "b");
        dext_node_list(&items, node, "d e");
        ck_assert_uint_eq(items.count, 2);
        ck_assert_str_eq(items.items[1], "two\n");
        ck_assert_str_eq(dext_node_words(dext_node_get(node, "d e")), "1 two\n");
        ck_assert(dext_node_get(dext_node_get(node, "f"), "g")->plain);
        ck_assert(!dext_node_get(dext_node_get(node, "f"), "h")->plain);
        ck_assert_uint_eq(dext_node_get(node, "f")->line, 8);
        ck_assert_str_eq(dext_node_text(node, "i", ""), "1\n2\n");
        /* JSON is YAML. */
        ck_assert_str_eq(dext_node_text(parse_yml("{\"a\": \"b\"}"), "a", ""), "b");
}
END_TEST

START_TEST(yml_aliases_repeat)
{
        const struct dext_node *node = parse_yml("a: &a {x: 1, y: [2, 3]}\nb: *a\nc: {<<: *a, x: 4}\n"
                                                 "d: {x: 5, <<: [{z: 6, x: 7}, *a]}\n");
        ck_assert_str_eq(dext_node_text(dext_node_get(node, "b"), "x", ""), "1");
        ck_assert_str_eq(dext_node_text(dext_node_get(node, "c"), "x", ""), "4");
        ck_assert_str_eq(dext_node_words(dext_node_get(dext_node_get(node, "c"), "y")), "2 3");
        ck_assert_str_eq(dext_node_text(dext_node_get(node, "d"), "x", ""), "5");
        ck_assert_str_eq(dext_node_text(dext_node_get(node, "d"), "z", ""), "6");
        ck_assert_str_eq(dext_node_words(dext_node_get(dext_node_get(node, "d"), "y")), "2 3");
}
END_TEST

static const char *why_no_yml(const char *text)
{
        const char *why = NULL;
        ck_assert_ptr_null(dext_yml_parse(text, strlen(text), &why));
        ck_assert_ptr_nonnull(why);
        return why;
}

START_TEST(broken_yml_is_refused)
{
        struct dext_text many = { 0 }, deep = { 0 };
        const char *why = NULL;
        ck_assert_str_eq(why_no_yml(""), "line 1: there is nothing in it");
        ck_assert_str_eq(why_no_yml("a: b\nc: *d\n"), "line 2: nothing before this is called &d");
        ck_assert_str_eq(why_no_yml("a: &a [*a]\n"), "line 1: nothing before this is called &a");
        ck_assert_str_eq(why_no_yml("? [a]\n: b\n"), "line 1: a key must be a string");
        ck_assert_str_eq(why_no_yml("a: \"b\\0\"\n"), "line 1: a NUL byte");
        ck_assert_ptr_nonnull(strstr(why_no_yml("a: b\n c: d\n"), "line 2: "));
        ck_assert_ptr_nonnull(strstr(why_no_yml("a: [b\n"), "line 2: "));
        for (unsigned int i = 0; i < DEXT_YML_DEPTH + 2; i++)
                dext_text_put(&deep, "[", 1);
        for (unsigned int i = 0; i < DEXT_YML_DEPTH + 2; i++)
                dext_text_put(&deep, "]", 1);
        ck_assert_str_eq(why_no_yml(deep.data), "line 1: too many values inside one another");
        /* A hundred bytes that would become 9^20 values. */
        dext_text_add(&many, "a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]\n");
        for (int i = 1; i < 20; i++)
                dext_text_add(&many, "a%d: &a%d [*a%d, *a%d, *a%d, *a%d, *a%d, *a%d, *a%d, *a%d, *a%d]\n", i, i, i - 1, i - 1,
                              i - 1, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1);
        ck_assert_ptr_null(dext_yml_parse(many.data, many.length, &why));
        ck_assert_ptr_nonnull(strstr(why, "too many values"));
}
END_TEST

static struct dext_settings example(void)
{
        struct dext_settings settings = { .configuration = "Debug" };
        const struct {
                int level;
                const char *name, *value;
        } set[] = {
                { DEXT_LEVEL_DEFAULT, "PRODUCT_NAME", "$(TARGET_NAME)" },
                { DEXT_LEVEL_DEFAULT, "TARGET_NAME", "My Driver-2" },
                { DEXT_LEVEL_PROJECT, "DEFS", "A=1" },
                { DEXT_LEVEL_TARGET, "DEFS", "$(inherited) B=2" },
                { DEXT_LEVEL_USER, "DEFS", "C=3 $(DEFS)" },
                { DEXT_LEVEL_TARGET, "ID[sdk=driverkit*]", "com.example.dext" },
                { DEXT_LEVEL_TARGET, "ID", "com.example.app" },
                { DEXT_LEVEL_TARGET, "ID[sdk=macosx*]", "com.example.mac" },
                { DEXT_LEVEL_PROJECT, "ONLY[config=Debug][arch=*]", "debug" },
                { DEXT_LEVEL_PROJECT, "ONLY[config=Release]", "release" },
                { DEXT_LEVEL_PROJECT, "KIND", "NAME" },
                { DEXT_LEVEL_PROJECT, "LOOP", "$(POOL)" }, { DEXT_LEVEL_PROJECT, "POOL", "x$(LOOP)" },
                { DEXT_LEVEL_PROJECT, "EMPTY", "" },
                { DEXT_LEVEL_PROJECT, "T0", "$(T1)$(T1)$(T1)$(T1)" }, { DEXT_LEVEL_PROJECT, "T1", "$(T2)$(T2)$(T2)$(T2)" },
                { DEXT_LEVEL_PROJECT, "T2", "$(T3)$(T3)$(T3)$(T3)" }, { DEXT_LEVEL_PROJECT, "T3", "$(T0)$(T0)$(T0)$(T0)" },
        };
        for (size_t i = 0; i < AMB_ARRAY_LENGTH(set); i++)
                dext_settings_set(&settings, set[i].level, set[i].name, set[i].value);
        return settings;
}

START_TEST(variables_are_expanded)
{
        static const char *const pairs[][2] = {
                { "plain", "plain" }, { "$(PRODUCT_NAME)", "My Driver-2" }, { "a${PRODUCT_NAME}b", "aMy Driver-2b" },
                { "$(PRODUCT_NAME:rfc1034identifier)", "My-Driver-2" }, { "$(PRODUCT_NAME:c99extidentifier)", "My_Driver_2" },
                { "$(PRODUCT_NAME:lower)", "my driver-2" }, { "$(PRODUCT_NAME:rfc1034identifier:upper)", "MY-DRIVER-2" },
                { "$(PRODUCT_${KIND})", "My Driver-2" }, { "$(EMPTY:default=$(KIND))", "NAME" }, { "$(NONE:default=x)", "x" },
                { "$(DEFS)", "C=3 A=1 B=2" }, { "$(ID)", "com.example.dext" }, { "$(ONLY)", "debug" },
                { "$(NONE)", "" }, { "$(", "$(" }, { "$", "$" }, { "a$b", "a$b" }, { "$(unclosed", "$(unclosed" }, { "$5.00",
                                                                                                                     "$5.00" },
                { "$(KIND:unheardof)", "NAME" },
        };
        struct dext_settings settings = example();
        for (size_t i = 0; i < AMB_ARRAY_LENGTH(pairs); i++)
                ck_assert_str_eq(dext_settings_expand(&settings, pairs[i][0], NULL), pairs[i][1]);
        ck_assert_ptr_null(dext_settings_get(&settings, "NONE"));
        ck_assert_str_eq(dext_settings_text(&settings, "NONE"), "");
        ck_assert_uint_le(strlen(dext_settings_text(&settings, "LOOP")), 64);
        ck_assert_uint_le(strlen(dext_settings_text(&settings, "T0")), 64);
}
END_TEST

START_TEST(unknown_variables_are_named)
{
        struct dext_settings settings = example();
        struct dext_list unknown = { 0 };
        dext_settings_expand(&settings, "$(A) $(KIND) ${B_$(KIND)} $(A) $(C:default=c)", &unknown);
        ck_assert_uint_eq(unknown.count, 2);
        ck_assert_str_eq(unknown.items[0], "A");
        ck_assert_str_eq(unknown.items[1], "B_NAME");
}
END_TEST

START_TEST(paths_and_words)
{
        struct dext_list words = { 0 };
        ck_assert_str_eq(dext_path_join("/a/b", "../c/./d//e/"), "/a/c/d/e");
        ck_assert_str_eq(dext_path_join("/a", "/b/../.."), "/");
        ck_assert_str_eq(dext_path_join("/a", "../../../x"), "/x");
        ck_assert_str_eq(dext_path_stem("/a.b/c.iig"), "c");
        ck_assert_str_eq(dext_path_directory("/a"), "/");
        ck_assert(dext_path_below("/a/b", "/a") && dext_path_below("/a", "/a") && !dext_path_below("/ab", "/a"));
        ck_assert_str_eq(dext_shell_quote("a b'c$"), "'a b'\\''c$'");
        dext_list_split(&words, " A=1  \"B=two words\" 'C=\\' D=\\\"x\\\" E\\ F ''");
        ck_assert_uint_eq(words.count, 6);
        ck_assert_str_eq(words.items[1], "B=two words");
        ck_assert_str_eq(words.items[2], "C=\\");
        ck_assert_str_eq(words.items[3], "D=\"x\"");
        ck_assert_str_eq(words.items[4], "E F");
        ck_assert_str_eq(words.items[5], "");
}
END_TEST

int main(void)
{
        TCase *tests = test_case("dext", lists_are_read, broken_lists_are_refused, nesting_is_limited, yml_is_read,
                                 yml_aliases_repeat, broken_yml_is_refused, variables_are_expanded, unknown_variables_are_named,
                                 paths_and_words);

        tcase_add_checked_fixture(tests, NULL, dext_text_end);
        return run_cases("dext", tests);
}
