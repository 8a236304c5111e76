/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The registry in a world of chance: model apps, model hosts, a bundle that comes and goes, devices that are plugged and unplugged,
 * answers in any order, crashes at any time. The model keeps its own books and compares: see the oracles at each action.
 *
 *      test-simulate [SEEDS [FIRST]]   default 3000 seeds from 1; a failing seed is printed
 */
#include "registry/test-tool.h"

enum { HOSTS = 64, OPENS = 256, STARTS = 64, STOPS = 128, KNOWN = 4096, OWNERS = 3 };

enum stop { STOP_NO, STOP_ASKED };
struct model_host {
        uint64_t id, tag;
        bool launching, alive, exiting;
        int bundle;
};
struct model_open {
        uint64_t host, connection, service;
        bool answered;
};
struct pair {
        uint64_t host, entry;
};
struct known {
        uint64_t entry;
        uint8_t stops, terminated[OWNERS];
};

static struct world {
        struct amb_registry *registry;
        uint64_t random, now, next_host;
        struct model_host hosts[HOSTS];
        struct model_open opens[OPENS], connections[OPENS];
        struct pair starts[STARTS], stops[STOPS], owed[STOPS];      /* Start running; Stop running; base Stop not called yet */
        struct known known[KNOWN];
        size_t known_count;
        uint64_t highest, nub;
        bool bundles[3];
        bool allowed;                   /* the open that is being made */
        bool launches;                  /* faults allowed */
} world;

static uint64_t seeds = 3000, first = 1, seed;

/* Check writes a file at each of its assertions; there are millions of them here. */
#define give_up(text) ck_abort_msg("seed %llu: %s", (unsigned long long)seed, (text))
#define require(condition, text)                                                                                        \
        do {                                                                                                            \
                if (!(condition))                                                                                       \
                        ck_abort_msg("seed %llu: %s: %s", (unsigned long long)seed, #condition, (text));               \
        } while (0)
#define require_eq(one, other) require((one) == (other), "")
#define require_less(one, other) require((one) < (other), "")

static const char *const bundle_ids[] = { "com.sim.one", "com.sim.two", "com.sim.nub" };
static const char *const infos[] = {
        INFO("com.sim.one", "<key>a</key>" PERSONALITY("One", CATEGORY("one") "<key>IOUserServerOneProcess</key><true/>")
             "<key>b</key>" PERSONALITY("Second", CATEGORY("second") "<key>IOUserServerOneProcess</key><true/>")),
        INFO("com.sim.two", "<key>a</key>" PERSONALITY("Two", CATEGORY("two") "<key>IOProbeScore</key><integer>5</integer>")
             "<key>b</key>" PERSONALITY("Fallback", CATEGORY("two"))),
        INFO("com.sim.nub", "<key>a</key><dict><key>IOClass</key><string>IOUserService</string><key>IOProviderClass</key>"
             "<string>SimDevice</string><key>IOUserClass</key><string>OnNub</string></dict>"),
};

static uint64_t roll(uint64_t below)
{
        world.random ^= world.random << 13;
        world.random ^= world.random >> 7;
        world.random ^= world.random << 17;
        return below ? world.random % below : 0;
}

static struct known *know(uint64_t entry)
{
        for (size_t i = world.known_count; i--;)
                if (world.known[i].entry == entry)
                        return &world.known[i];
        require_less(world.known_count, KNOWN);
        world.known[world.known_count] = (struct known){ .entry = entry };
        return &world.known[world.known_count++];
}

static struct model_host *host_of(uint64_t id)
{
        for (size_t i = 0; i < HOSTS; i++)
                if (world.hosts[i].alive && world.hosts[i].id == id)
                        return &world.hosts[i];
        return NULL;
}

static void put(struct pair *pairs, size_t count, uint64_t host, uint64_t entry)
{
        for (size_t i = 0; i < count; i++)
                if (!pairs[i].entry) {
                        pairs[i] = (struct pair){ host, entry };
                        return;
                }
        give_up("model is full");
}

static void put_open(struct model_open *opens, struct model_open open)
{
        for (size_t i = 0; i < OPENS; i++)
                if (!opens[i].connection) {
                        opens[i] = open;
                        return;
                }
        give_up("model is full");
}

static void on_launch(const struct amb_action *action)
{
        size_t i = 0;

        while (i < HOSTS && (world.hosts[i].alive || world.hosts[i].launching))
                i++;
        require_less(i, HOSTS);
        require(action->not_before <= world.now + 5 * SECOND, "a launch is put off too long");
        /* Oracle: a launch is named by a new entry, and ids only grow. */
        require_less(world.highest, action->tag);
        world.highest = action->tag;
        world.hosts[i] = (struct model_host){ .tag = action->tag, .launching = true };
        for (int b = 0; b < 3; b++)
                if (!strcmp(bundle_ids[b], action->bundle_id))
                        world.hosts[i].bundle = b;
}

static void on_cancel(const struct amb_action *action)
{
        for (size_t i = 0; i < HOSTS; i++)
                if (world.hosts[i].launching && world.hosts[i].tag == action->tag) {
                        world.hosts[i] = (struct model_host){ 0 };
                        return;
                }
        give_up("cancelled a launch that is not under way");
}

static void on_stop(const struct amb_action *action)
{
        /* Oracles: Stop goes to a living host only, and once per entry. */
        require(host_of(action->host), "Stop to a dead host");
        require_eq(know(action->entry)->stops++, 0);
        if (action->wait)
                put(world.stops, STOPS, action->host, action->entry);
}

static void on_result(const struct amb_action *action)
{
        for (size_t i = 0; i < OPENS; i++) {
                struct model_open *open = &world.opens[i];

                if (open->connection != action->connection)
                        continue;
                if (!action->code)
                        put_open(world.connections, *open);
                *open = (struct model_open){ 0 };
                return;
        }
        give_up("an open has two results, or none was asked for");
}

static void on_action(const struct amb_action *action)
{
        switch (action->type) {
        case AMB_ACTION_LAUNCH:
                on_launch(action);
                break;
        case AMB_ACTION_CANCEL_LAUNCH:
                on_cancel(action);
                break;
        case AMB_ACTION_LOAD_MODULE:
                require(host_of(action->host), "");
                break;
        case AMB_ACTION_START:
                require(host_of(action->host), "Start to a dead host");
                put(world.starts, STARTS, action->host, action->entry);
                break;
        case AMB_ACTION_NEW_USER_CLIENT:
                /* Oracle: the driver hears of an app only when the app may. */
                require(world.allowed, "");
                require(host_of(action->host), "");
                require(action->entitlements, "no entitlements");
                put_open(world.opens, (struct model_open){ action->host, action->connection, action->entry, false });
                break;
        case AMB_ACTION_OPEN_RESULT:
                on_result(action);
                break;
        case AMB_ACTION_STOP:
                on_stop(action);
                break;
        case AMB_ACTION_EXIT_HOST:
                require(host_of(action->host) && !host_of(action->host)->exiting, "");
                host_of(action->host)->exiting = true;
                break;
        case AMB_ACTION_NOTIFY:
                /* Oracle: an instance's end is told once to each subscriber. */
                if (action->subscription == 1)
                        require_eq(know(action->entry)->terminated[action->owner - 1]++, 0);
                break;
        case AMB_ACTION_INTEREST:
        case AMB_ACTION_QUIET:
        case AMB_ACTION_LOG:
                break;
        default:
                give_up("unknown action");
        }
}

static void settle(void)
{
        const char *broken = amb_registry_check(world.registry);
        struct amb_action action;

        require(!broken, broken);
        while (amb_registry_next_action(world.registry, &action))
                on_action(&action);
}

/* --- what can happen --- */

static void toggle_bundle(bool only_add)
{
        int which = (int)roll(3);
        char *why = NULL;

        if (world.bundles[which]) {
                if (only_add)
                        return;
                require_eq(amb_registry_remove_bundle(world.registry, bundle_ids[which], world.now), kIOReturnSuccess);
        } else {
                OSObject *info = value_of(infos[which]), *held = value_of("<dict>" DRIVERKIT "</dict>");

                require_eq(amb_registry_add_bundle(world.registry, "/sim", info, held, world.now, &why), kIOReturnSuccess);
                OSObject_release(info);
                OSObject_release(held);
        }
        world.bundles[which] = !world.bundles[which];
}

static void toggle_nub(void)
{
        if (world.nub) {
                require_eq(amb_registry_remove_nub(world.registry, world.nub, world.now), kIOReturnSuccess);
                world.nub = 0;
        } else {
                require_eq(amb_registry_add_nub(world.registry, AMB_ENTRY_ROOT, "SimDevice", NULL, NULL, world.now, &world.nub),
                                 kIOReturnSuccess);
        }
}

static void host_step(bool faults)
{
        struct model_host *host = &world.hosts[roll(HOSTS)];

        if (host->launching) {
                if (faults && !roll(5)) {
                        uint64_t tag = host->tag;

                        *host = (struct model_host){ 0 };
                        amb_registry_launch_failed(world.registry, tag, world.now);
                        return;
                }
                host->launching = false;
                host->alive = true;
                host->id = world.next_host++;
                require_eq(amb_registry_host_checked_in(world.registry, host->id, host->tag, bundle_ids[host->bundle],
                                                              bundle_ids[host->bundle], world.now), kIOReturnSuccess);
        } else if (host->alive && (host->exiting || (faults && !roll(8)))) {
                uint64_t id = host->id;

                *host = (struct model_host){ 0 };
                for (size_t i = 0; i < STARTS; i++)
                        if (world.starts[i].host == id)
                                world.starts[i] = (struct pair){ 0 };
                for (size_t i = 0; i < STOPS; i++) {
                        if (world.stops[i].host == id)
                                world.stops[i] = (struct pair){ 0 };
                        if (world.owed[i].host == id)
                                world.owed[i] = (struct pair){ 0 };
                }
                for (size_t i = 0; i < OPENS; i++)
                        if (world.connections[i].host == id)
                                world.connections[i] = (struct model_open){ 0 };
                amb_registry_host_lost(world.registry, id, roll(2), world.now);
        }
}

static void start_step(bool faults)
{
        struct pair *start = &world.starts[roll(STARTS)], found = *start;
        uint64_t created = 0;

        if (!found.entry)
                return;
        if (!roll(3)) {
                OSDictionary *properties = value_of("<dict><key>IOClass</key><string>IOUserService</string></dict>");

                if (!amb_registry_create_service(world.registry, found.host, found.entry, properties, &created))
                        amb_registry_register_service(world.registry, found.host, created, world.now);
                OSObject_release(properties);
                settle();
        }
        if (faults && !roll(8)) {
                require_eq(amb_registry_terminate(world.registry, found.host, found.entry, 0, world.now), kIOReturnSuccess);
                settle();
        }
        amb_registry_register_service(world.registry, found.host, found.entry, world.now);
        settle();
        *start = (struct pair){ 0 };
        require_eq(amb_registry_start_done(world.registry, found.host, found.entry,
                                                 faults && !roll(4) ? kIOReturnError : kIOReturnSuccess, world.now), kIOReturnSuccess);
}

static void stop_step(bool faults)
{
        struct pair *stop = &world.stops[roll(STOPS)], *owed = &world.owed[roll(STOPS)], found = *stop;

        if (found.entry) {
                *stop = (struct pair){ 0 };
                bool early = roll(2), error = faults && !roll(6);
                if (early) {
                        amb_registry_did_stop(world.registry, found.host, found.entry, world.now);
                        settle();
                } else if (!error) {
                        put(world.owed, STOPS, found.host, found.entry);
                }
                /* The closing app may have made the host report the end already: then nobody waits any more. */
                amb_registry_stop_done(world.registry, found.host, found.entry, error ? kIOReturnError : kIOReturnSuccess, world.now);
        } else if (owed->entry) {
                found = *owed;
                *owed = (struct pair){ 0 };
                amb_registry_did_stop(world.registry, found.host, found.entry, world.now);
        }
}

/* Some entry of the tree, any. */
static uint64_t some_entry(void)
{
        uint64_t entry = 0;

        for (uint64_t steps = roll(12) + 1; steps--;) {
                uint64_t next = amb_registry_next(world.registry, entry);

                if (!next)
                        break;
                entry = next;
        }
        return entry;
}

static void app_step(void)
{
        static const char *const grants[] = { NULL, ENTITLED("com.sim.one"), ENTITLED("com.sim.two"), ENTITLED("com.sim.nub") };
        uint64_t which = roll(4), entry = some_entry();
        struct amb_entry_view view;
        struct amb_open open;

        require(amb_registry_view(world.registry, entry, &view), "");
        world.allowed = which && view.bundle_id && !strcmp(view.bundle_id, bundle_ids[which - 1]);
        IOReturn code = open_as(world.registry, entry, 1000, grants[which], &open);
        require((code == kIOReturnSuccess) == (open.why == NULL), "");
        require(code != kIOReturnSuccess || world.allowed, "");
        free(open.why);
        settle();
        world.allowed = false;
}

static void open_step(bool faults)
{
        static const char *const answers[] = { USER_CLIENT(""), USER_CLIENT(""),
                                               USER_CLIENT("<key>IOUserClientEntitlements</key><string>x</string>"),
                                               "<dict><key>IOClass</key><string>IOUserService</string></dict>" };
        struct model_open *open = &world.opens[roll(OPENS)];
        struct model_open *connection = &world.connections[roll(OPENS)];

        if (open->connection && host_of(open->host) && !roll(3)) {
                OSDictionary *properties = value_of("<dict><key>IOClass</key><string>IOUserService</string></dict>");
                uint64_t created;

                if (!amb_registry_create_service(world.registry, open->host, open->connection, properties, &created) && roll(2))
                        amb_registry_register_service(world.registry, open->host, created, world.now);
                OSObject_release(properties);
                if (faults && !roll(6))
                        amb_registry_terminate(world.registry, open->host, open->connection, 0, world.now);
        } else if (open->connection && host_of(open->host)) {
                OSDictionary *properties = faults && !roll(6) ? NULL : value_of(answers[roll(4)]);
                IOReturn code = faults && !roll(5) ? kIOReturnExclusiveAccess : kIOReturnSuccess;

                require_eq(amb_registry_open_done(world.registry, open->host, open->connection, code, "Client", properties,
                                                        world.now), kIOReturnSuccess);
                OSObject_release(properties);
        } else if (connection->connection) {
                struct model_open closed = *connection;

                *connection = (struct model_open){ 0 };
                amb_registry_connection_closed(world.registry, closed.host, closed.connection, world.now);
        }
}

static void driver_step(void)
{
        uint64_t entry = some_entry();
        struct amb_entry_view view;

        require(amb_registry_view(world.registry, entry, &view), "");
        if (!view.host || !host_of(view.host))
                return;
        switch (roll(5)) {
        case 0:
                amb_registry_terminate(world.registry, view.host, entry, 0, world.now);
                break;
        case 1:
                amb_registry_register_service(world.registry, view.host, entry, world.now);
                break;
        case 2:
                amb_registry_set_name(world.registry, view.host, entry, "renamed");
                break;
        case 3:
                amb_registry_did_stop(world.registry, view.host, entry, world.now);
                break;
        default:
                amb_registry_register_service(world.registry, view.host + 1, entry, world.now);
                break;
        }
}

static void watch(void)
{
        OSDictionary *everything = value_of("<dict><key>IOProviderClass</key><string>IOService</string></dict>");

        for (uint64_t owner = 1; owner <= OWNERS; owner++) {
                uint64_t *found = NULL;
                size_t count;

                require_eq(amb_registry_subscribe(world.registry, owner, 1, "IOServiceTerminate", everything, &found, &count), 0);
                free(found);
                require_eq(amb_registry_subscribe(world.registry, owner, 2, "IOServiceMatched", everything, &found, &count), 0);
                free(found);
        }
        OSObject_release(everything);
}

static void one_step(bool faults)
{
        world.now += roll(SECOND);
        switch (roll(faults ? 40 : 20)) {
        case 0 ... 5:
                for (int i = 0; i < 12; i++) {
                        host_step(faults && !i);
                        settle();
                }
                break;
        case 6 ... 9:
                for (int i = 0; i < 16; i++) {
                        start_step(faults);
                        settle();
                }
                break;
        case 10 ... 13:
                for (int i = 0; i < 16; i++) {
                        stop_step(faults);
                        settle();
                }
                break;
        case 14 ... 19:
                for (int i = 0; i < 16; i++) {
                        open_step(faults);
                        settle();
                }
                break;
        case 20 ... 29:
                app_step();
                break;
        case 30 ... 33:
                driver_step();
                break;
        case 34 ... 36:
                toggle_bundle(roll(2));
                break;
        case 37:
                toggle_nub();
                break;
        case 38:
                amb_registry_set_matching(world.registry, roll(3), world.now);
                break;
        default:
                host_step(true);
                break;
        }
        settle();
}

static bool waiting(void)
{
        for (size_t i = 0; i < HOSTS; i++)
                if (world.hosts[i].launching || world.hosts[i].exiting)
                        return true;
        for (size_t i = 0; i < STARTS; i++)
                if (world.starts[i].entry)
                        return true;
        for (size_t i = 0; i < STOPS; i++)
                if (world.stops[i].entry || world.owed[i].entry)
                        return true;
        for (size_t i = 0; i < OPENS; i++)
                if (world.opens[i].connection || world.connections[i].connection)
                        return true;
        return false;
}

/* What is left, for whoever looks for the reason of a failure. */
static void dump(void)
{
        struct amb_entry_view view;

        for (uint64_t entry = 0; (entry = amb_registry_next(world.registry, entry));)
                if (amb_registry_view(world.registry, entry, &view))
                        fprintf(stderr, "0x%llx below 0x%llx: %s %s, host %llu, state 0x%x, busy %u\n", (unsigned long long)view.id,
                                (unsigned long long)view.parent, view.class, view.name, (unsigned long long)view.host, view.state,
                                view.busy);
}

static void simulate(void)
{
        world = (struct world){ .random = seed * 0x9E3779B97F4A7C15ull | 1, .next_host = 1, .now = SECOND };
        world.registry = amb_registry_new(0, &(struct amb_registry_limits){ .remembered = 8 });
        require_eq(amb_registry_add_class(world.registry, "SimDevice", "IOService"), kIOReturnSuccess);
        watch();
        amb_registry_set_matching(world.registry, true, world.now);
        uint64_t steps = 20 + roll(40);
        for (uint64_t i = 0; i < steps; i++)
                one_step(true);
        /* The faults stop: everything comes to rest, and at rest nothing is busy. */
        amb_registry_set_matching(world.registry, true, world.now);
        settle();
        for (int i = 0; i < 20000 && waiting(); i++)
                one_step(false);
        require(!waiting(), "no rest");
        struct amb_entry_view root;
        require(amb_registry_view(world.registry, AMB_ENTRY_ROOT, &root), "");
        if (root.busy)
                dump();
        require(root.busy == 0, "busy at rest");
        /* Shutdown: every host is told to go. */
        amb_registry_shutdown(world.registry, world.now);
        settle();
        for (size_t i = 0; i < HOSTS; i++)
                require(!world.hosts[i].alive || world.hosts[i].exiting, "a host stays");
        amb_registry_free(world.registry);
}

START_TEST(chance)
{
        for (seed = first; seed < first + seeds; seed++)
                simulate();
}
END_TEST

int main(int argc, char **argv)
{
        if (argc > 1)
                seeds = strtoull(argv[1], NULL, 0);
        if (argc > 2)
                first = strtoull(argv[2], NULL, 0);
        return run_suite("registry-simulate", chance);
}
