/* SPDX-License-Identifier: Apache-2.0 */
#include "driver/service.h"
#include "driver/table.h"

static pthread_mutex_t table_lock = PTHREAD_MUTEX_INITIALIZER;
static struct amb_link table = AMB_LIST_INIT(table);    /* IOService_ivars */
static size_t table_count;
static struct amb_link buckets[1024];                   /* the same by number; hash chains, made when they are needed first */

/* With the lock. */
static struct amb_link *bucket(uint64_t entry)
{
        struct amb_link *chain = &buckets[entry % AMB_ARRAY_LENGTH(buckets)];

        if (!chain->next)
                amb_list_init(chain);
        return chain;
}

void amb_table_add(IOService *service)
{
        OSObject_retain(service);
        pthread_mutex_lock(&table_lock);
        amb_list_append(&table, &service->ivars->link);
        amb_list_append(bucket(service->ivars->entry), &service->ivars->same_bucket);
        table_count++;
        pthread_mutex_unlock(&table_lock);
}

void amb_table_remove(IOService *service)
{
        bool was_in;

        pthread_mutex_lock(&table_lock);
        was_in = amb_link_linked(&service->ivars->link);
        if (was_in) {
                amb_link_remove(&service->ivars->link);
                amb_link_remove(&service->ivars->same_bucket);
                table_count--;
        }
        pthread_mutex_unlock(&table_lock);
        if (was_in)
                OSObject_release(service);
}

IOService *amb_table_find(uint64_t entry)
{
        struct IOService_ivars *s;
        IOService *found = NULL;

        pthread_mutex_lock(&table_lock);
        amb_list_for(s, bucket(entry), same_bucket) {
                if (s->entry == entry) {
                        found = s->service;
                        OSObject_retain(found);
                        break;
                }
        }
        pthread_mutex_unlock(&table_lock);
        return found;
}

int amb_table_copy(IOService ***ret_services, size_t *ret_count)
{
        struct IOService_ivars *s;
        IOService **services;
        size_t n = 0;

        pthread_mutex_lock(&table_lock);
        services = calloc(table_count + 1, sizeof(*services));
        if (services) {
                amb_list_for(s, &table, link) {
                        services[n++] = s->service;
                        OSObject_retain(s->service);
                }
        }
        pthread_mutex_unlock(&table_lock);
        if (!services)
                return amb_trace(-ENOMEM);
        *ret_services = services;
        *ret_count = n;
        return 0;
}
