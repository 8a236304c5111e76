/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A fuzzer is one program: the driver's sources, the driver's runtime, an application's library, and a harness (share/fuzz) that
 * makes calls of what libFuzzer gives it. Which class to start the harness learns from the Info.plist, which is compiled in:
 *      extern const unsigned char amb_fuzz_info[];             XML text, a NUL behind it
 *      extern const unsigned long amb_fuzz_info_length;        without the NUL
 */
#include "dext/dext.h"
#include "dext/info.h"
#include "dext/target.h"
#include "object/plist.h"

static int write_info(const char *path, const struct dext_info *info, struct dext_report *report)
{
        AMB_FREE char *bytes = NULL;
        struct dext_text text = { 0 };
        size_t length;
        int r = amb_plist_write((OSObject *)info->info, false, &bytes, &length);

        if (r != 0)
                return dext_fail(report, "%s: Info.plist cannot be written", path);
        dext_text_add(&text, "const unsigned char amb_fuzz_info[] = {");
        for (size_t i = 0; i <= length; i++)
                dext_text_add(&text, "%s%u,", i % 24 ? " " : "\n\t", i < length ? (unsigned char)bytes[i] : 0);
        dext_text_add(&text, "\n};\nconst unsigned long amb_fuzz_info_length = %zu;\n", length);
        r = dext_file_write(path, text.data, text.length);
        return r < 0 ? dext_fail(report, "%s: %s", path, strerror(-r)) : 0;
}

int dext_fuzz_add(struct dext_job *job, const struct dext_info *info, const struct dext_tools *tools, struct dext_report *report)
{
        static const char *const extensions[] = { "c", NULL };
        const char *path = dext_format("%s/info.c", job->objects);
        struct dext_list names = { 0 };

        dext_directory_list(&names, tools->harness ? tools->harness : "");
        for (size_t i = 0; i < names.count; i++)
                if (dext_path_has_extension(names.items[i], extensions))
                        dext_list_add(&job->more, dext_path_join(tools->harness, names.items[i]));
        if (!job->more.count)
                return dext_fail(report, "the harness that --fuzz needs (share/ambidext/fuzz) is not beside this program; is the "
                                 "installation "
                                         "whole?");
        dext_list_add(&job->more, path);
        return write_info(path, info, report);
}
