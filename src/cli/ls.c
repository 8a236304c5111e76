/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"

#include <getopt.h>
#include <inttypes.h>

#include <CoreFoundation/CoreFoundation.h>
#include <ambidext/registry.h>

static const char help[] =
        "ambidext ls [-l] [--json]\n"
        "\n"
        "Prints the registry as a tree: each entry's name, class, the driver's own class, id, the process that hosts it, its state;\n"
        "for a user client, who opened it.\n"
        "\n"
        "  -l, --long   with every entry's properties\n"
        "  --json       the whole registry, parents first, as a JSON array: id, parent, class, name, userClass, state (a number),\n"
        "               states (its names), busy, pid, creator, properties\n";

static const struct {
        uint64_t bit;
        const char *name;
} states[] = {
        { kIOServiceInactiveState, "inactive" },       { kIOServiceRegisteredState, "registered" },
        { kIOServiceMatchedState, "matched" },         { kIOServiceFirstPublishState, NULL },
        { kIOServiceFirstMatchState, NULL },
};

/* Calls say for the name of each state that people care about; how many there were. */
static int states_for(uint64_t state, void (*say)(const char *name, int index))
{
        int count = 0;
        for (size_t i = 0; i < AMB_ARRAY_LENGTH(states); i++)
                if ((state & states[i].bit) && states[i].name)
                        say(states[i].name, count++);
        return count;
}

static void say_plain(const char *name, int index)
{
        printf(", %s", name);
}

static void say_json(const char *name, int index)
{
        printf("%s\"%s\"", index ? ", " : "", name);
}

static CFDictionaryRef entry_at(CFArrayRef entries, CFIndex i)
{
        CFTypeRef entry = CFArrayGetValueAtIndex(entries, i);
        return entry && CFGetTypeID(entry) == CFDictionaryGetTypeID() ? entry : NULL;
}

static CFDictionaryRef properties_of(CFDictionaryRef entry)
{
        CFTypeRef properties = cli_get_value(entry, "properties");
        return properties && CFGetTypeID(properties) == CFDictionaryGetTypeID() ? properties : NULL;
}

/* A name that a driver chose, for a terminal. */
static void print_name(const char *name)
{
        for (const char *c = name; *c; c++)
                putchar((unsigned char)*c < ' ' || *c == 0x7f ? '?' : *c);
}

static void print_entry(CFDictionaryRef entry)
{
        CFDictionaryRef properties = properties_of(entry);
        print_name(cli_get_string(entry, "name", "?"));
        printf("  <class ");
        print_name(cli_get_string(entry, "class", "?"));
        const char *user_class = cli_get_string(properties, "IOUserClass", NULL);
        if (user_class) {
                printf(", user class ");
                print_name(user_class);
        }
        printf(", id 0x%" PRIx64, cli_get_number(entry, "id", 0));
        uint64_t pid = cli_get_number(entry, "pid", 0), busy = cli_get_number(entry, "busy", 0);
        if (pid)
                printf(", pid %" PRIu64, pid);
        states_for(cli_get_number(entry, "state", 0), say_plain);
        if (busy)
                printf(", busy %" PRIu64, busy);
        putchar('>');
        const char *creator = cli_get_string(properties, "IOUserClientCreator", NULL);
        if (creator) {
                printf("  opened by ");
                print_name(creator);
        }
        putchar('\n');
}

static void print_properties(CFDictionaryRef entry, const char *indent)
{
        CFDictionaryRef properties = properties_of(entry);
        CFIndex count = properties ? CFDictionaryGetCount(properties) : 0;
        AMB_FREE const void **keys = count ? calloc((size_t)count, sizeof(*keys)) : NULL;
        if (!keys)
                return;
        CFDictionaryGetKeysAndValues(properties, keys, NULL);
        for (CFIndex i = 0; i < count; i++) {
                const char *key = CFStringGetCStringPtr(keys[i], kCFStringEncodingUTF8);
                printf("%s    ", indent);
                print_name(key ? key : "?");
                printf(" = ");
                cli_print_value(stdout, CFDictionaryGetValue(properties, keys[i]));
                putchar('\n');
        }
}

static bool is_child(CFArrayRef entries, CFIndex i, uint64_t parent)
{
        CFDictionaryRef entry = entry_at(entries, i);
        return entry && cli_get_number(entry, "parent", ~0ull) == parent;
}

/* indent: what stands before every line of this subtree. Entries come parents first, so a tree has no loops to fall into. */
static void print_children(CFArrayRef entries, CFIndex from, uint64_t parent, const char *indent, bool properties)
{
        CFIndex count = CFArrayGetCount(entries), last = -1;
        for (CFIndex i = from; i < count; i++)
                if (is_child(entries, i, parent))
                        last = i;
        for (CFIndex i = from; i <= last; i++) {
                if (!is_child(entries, i, parent))
                        continue;
                CFDictionaryRef entry = entry_at(entries, i);
                printf("%s%s", indent, i == last ? "└─ " : "├─ ");
                print_entry(entry);
                AMB_FREE char *deeper = amb_format("%s%s", indent, i == last ? "   " : "│  ");
                if (!deeper)
                        return;
                if (properties)
                        print_properties(entry, deeper);
                print_children(entries, i + 1, cli_get_number(entry, "id", 0), deeper, properties);
        }
}

static void print_tree(CFArrayRef entries, bool properties)
{
        for (CFIndex i = 0; i < CFArrayGetCount(entries); i++) {
                if (!is_child(entries, i, 0))
                        continue;
                CFDictionaryRef root = entry_at(entries, i);
                print_entry(root);
                if (properties)
                        print_properties(root, "");
                print_children(entries, i + 1, cli_get_number(root, "id", 0), "", properties);
        }
}

static void print_json_string(const char *key, const char *text)
{
        printf("\"%s\": ", key);
        cli_json_string(stdout, text);
        printf(", ");
}

static void print_json(CFArrayRef entries)
{
        printf("[");
        for (CFIndex i = 0; i < CFArrayGetCount(entries); i++) {
                CFDictionaryRef entry = entry_at(entries, i);
                uint64_t state = cli_get_number(entry, "state", 0);
                printf("%s\n  {\"id\": %" PRIu64 ", \"parent\": %" PRIu64 ", ", i ? "," : "", cli_get_number(entry, "id", 0),
                       cli_get_number(entry, "parent", 0));
                print_json_string("name", cli_get_string(entry, "name", ""));
                print_json_string("class", cli_get_string(entry, "class", ""));
                print_json_string("userClass", cli_get_string(properties_of(entry), "IOUserClass", ""));
                print_json_string("creator", cli_get_string(properties_of(entry), "IOUserClientCreator", ""));
                printf("\"state\": %" PRIu64 ", \"states\": [", state);
                states_for(state, say_json);
                printf("], \"busy\": %" PRIu64 ", \"pid\": %" PRIu64 ", \"properties\": ", cli_get_number(entry, "busy", 0),
                       cli_get_number(entry, "pid", 0));
                cli_json_value(stdout, properties_of(entry));
                printf("}");
        }
        printf("\n]\n");
}

static int ls_main(int argc, char **argv)
{
        static const struct option options[] = { { "long", no_argument, NULL, 'l' }, { "json", no_argument, NULL, 'j' }, { 0 } };
        bool json = false, properties = false;
        int option;
        opterr = 0;
        while ((option = getopt_long(argc, argv, "l", options, NULL)) >= 0)
                switch (option) {
                case 'l': properties = true; break;
                case 'j': json = true; break;
                default: return cli_say_option(&cli_ls, argv, option);
                }
        if (optind < argc)
                return cli_say_usage(&cli_ls, "no argument expected, but there is '%s'", argv[optind]);

        CFArrayRef entries;
        kern_return_t code = amb_registry_dump(&entries);
        if (code != kIOReturnSuccess) {
                AMB_FREE char *why = amb_registry_explain();
                return cli_say_code(json, code, why, "reading the registry");
        }
        if (json)
                print_json(entries);
        else
                print_tree(entries, properties);
        CFRelease(entries);
        return CLI_OK;
}

const struct cli_verb cli_ls = { "ls", "print the registry: services, their drivers, who has them open", help, ls_main, true };
