/* SPDX-License-Identifier: Apache-2.0 */
/* The invariants of the state, for tests: what must be true between two events. */
#include "registry/internal.h"

#define REQUIRE(condition, sentence)                                                                                    \
        do {                                                                                                            \
                if (!(condition))                                                                                       \
                        return (sentence);                                                                              \
        } while (0)

static const char *check_children(const struct amb_entry *entry)
{
        const struct amb_entry *child, *other;
        uint32_t count = 0, busy = entry->own_busy;

        amb_list_for(child, &entry->children, sibling) {
                const char *category = child->user_client ? NULL : amb_entry_category(child);

                count++;
                busy += child->busy != 0;
                REQUIRE(child->parent == entry, "a child has another parent");
                REQUIRE(child->depth == entry->depth + 1, "a child has a wrong depth");
                REQUIRE(amb_active(entry) || !amb_active(child), "an inactive entry has an active child");
                if (!category || !amb_active(child))
                        continue;
                for (other = child; other->sibling.next != &entry->children;) {
                        other = amb_container_of(other->sibling.next, struct amb_entry, sibling);
                        const char *taken = other->user_client ? NULL : amb_entry_category(other);
                        REQUIRE(!taken || !amb_active(other) || strcmp(taken, category), "two active clients have one category");
                }
        }
        REQUIRE(count == entry->child_count, "the count of children is wrong");
        REQUIRE(busy == entry->busy, "busy is not the sum of its parts");
        return NULL;
}

static const char *check_provider(const struct amb_entry *entry)
{
        const struct amb_group *group;

        REQUIRE(entry->own_busy == entry->adjusted + entry->pass + !amb_active(entry), "own busy is not the sum of its causes");
        REQUIRE(!entry->begun || entry->pass, "a pass has begun that nobody wants");
        amb_list_for(group, &entry->groups, link) {
                REQUIRE(entry->begun, "there are candidates without a pass");
                REQUIRE(group->current && group->current->group == group, "a group has no current candidate");
                REQUIRE(group->current->parent == entry, "a candidate hangs on another provider");
        }
        REQUIRE(!entry->pass || !amb_list_empty(&entry->groups), "a pass has nothing to wait for");
        return NULL;
}

static const char *check_life(const struct amb_entry *entry)
{
        if (amb_active(entry)) {
                REQUIRE(!(entry->state & AMB_STATE_MATCHED) || entry->state & AMB_STATE_REGISTERED, "matched but not registered");
                REQUIRE(entry->stop == AMB_STOP_NONE, "an active entry was sent Stop");
                REQUIRE(entry->start != AMB_START_FAILED, "an active entry has failed");
                REQUIRE(!entry->rematch, "an active entry waits for its restart");
        } else {
                REQUIRE(entry->state == AMB_STATE_INACTIVE, "an inactive entry has other state bits");
                REQUIRE(entry->stop != AMB_STOP_DONE || entry->child_count || entry->opens || entry->pass,
                        "an entry that could leave is still there");
                REQUIRE(entry->stop < AMB_STOP_RETURNED || entry->will_announced, "stopped, but not announced");
        }
        REQUIRE(entry->start != AMB_START_LAUNCH || (entry->host && entry->host->state == AMB_HOST_LAUNCHING),
                "an entry waits for a host that is not being launched");
        REQUIRE(entry->start != AMB_START_CALLED || (entry->host && entry->host->state == AMB_HOST_ALIVE),
                "Start runs in a host that is not alive");
        REQUIRE(entry->stop != AMB_STOP_CALLED || (entry->host && !entry->host_dead), "Stop runs in a host that is not alive");
        REQUIRE(!entry->host_dead || !amb_active(entry), "an active entry's host is dead");
        return NULL;
}

static const char *check_open(const struct amb_entry *entry)
{
        if (!entry->service)
                return NULL;
        REQUIRE(entry->user_client && entry->stop == AMB_STOP_NONE, "an open is of no user client, or of one that is stopped");
        REQUIRE(entry->host && entry->host == entry->service->host && !entry->host_dead, "an open waits for a dead host");
        REQUIRE(entry->service->opens, "a service does not know of an open");
        return NULL;
}

static const char *check_entry(const struct amb_registry *registry, const struct amb_entry *entry)
{
        const char *broken = NULL;

        REQUIRE(entry->id < registry->next_id || entry->id < AMB_ENTRY_FIRST, "an id lies above the next one");
        REQUIRE(!amb_link_linked(&entry->work), "work is left over");
        switch (entry->place) {
        case AMB_PLACE_PENDING:
                REQUIRE(entry->service, "an entry is nowhere");
                broken = check_open(entry);
                break;
        case AMB_PLACE_TREE:
                REQUIRE(entry->parent || entry == registry->root, "an entry has no parent");
                REQUIRE(!entry->service || entry->service == entry->parent, "a user client is opened below another service");
                broken = check_open(entry);
                if (!broken)
                        broken = check_children(entry);
                if (!broken)
                        broken = check_provider(entry);
                if (!broken)
                        broken = check_life(entry);
                break;
        case AMB_PLACE_REMEMBERED:
                REQUIRE(!entry->parent && !entry->host && !entry->child_count && !entry->busy, "a remembered entry holds on");
                REQUIRE(entry->state == AMB_STATE_INACTIVE, "a remembered entry is not inactive");
                break;
        }
        return broken;
}

static const char *check_hosts(const struct amb_registry *registry)
{
        const struct amb_host *host;
        const struct amb_entry *entry;

        amb_list_for(host, &registry->hosts, link) {
                uint32_t count = 0;
                size_t weight = 0;

                amb_list_for(entry, &host->entries, hosted) {
                        count++;
                        weight += entry->weight;
                        REQUIRE(entry->host == host, "an entry is in another host's list");
                }
                REQUIRE(count == host->entry_count, "a host's count of entries is wrong");
                REQUIRE(weight == host->weight, "a host's weight is not that of its entries");
                REQUIRE(count || host->state == AMB_HOST_EXITING, "a host without entries was not told to exit");
                REQUIRE((host->state == AMB_HOST_ALIVE || host->state == AMB_HOST_EXITING) == (host->object != NULL),
                        "a host and its object do not agree");
        }
        return NULL;
}

const char *amb_registry_check(const struct amb_registry *registry)
{
        const struct amb_uid *uid;
        size_t total = 0, in_tree = 0;
        uint64_t connections = 0, charged = 0, opens = 0, pending = 0;

        for (size_t i = 0; i < registry->table_size; i++)
                for (const struct amb_entry *entry = registry->table[i]; entry; entry = entry->bucket) {
                        const char *broken = check_entry(registry, entry);

                        if (broken)
                                return broken;
                        total++;
                        charged += entry->uid != NULL;
                        opens += entry->opens;
                        pending += entry->service != NULL;
                        in_tree += entry->place == AMB_PLACE_TREE;
                }
        for (const struct amb_entry *entry = registry->root; entry; entry = amb_entry_after(registry, entry, registry->root))
                in_tree--;
        amb_list_for(uid, &registry->uids, link) {
                REQUIRE(uid->connections, "a uid without connections is kept");
                connections += uid->connections;
        }
        REQUIRE(total == registry->table_count, "the table of ids has a wrong count");
        REQUIRE(in_tree == 0, "the tree and the table differ");
        REQUIRE(opens == pending, "opens in progress are miscounted");
        REQUIRE(connections == charged, "connections are charged to the wrong uid");
        REQUIRE(registry->remembered_count <= registry->limits.remembered, "too much is remembered");
        return check_hosts(registry);
}
