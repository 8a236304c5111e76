/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/daemon.h"

/* The client library uses one connection per control call in progress, so these are also threads that may block in opens. */
#define PEERS_PER_UID 1024
#define CALLS_PER_UID 4096
#define LOG_BURST 20

struct amb_account *amb_account_find(struct amb_daemon *daemon, uid_t uid)
{
        struct amb_account *account;

        amb_list_for(account, &daemon->accounts, link)
                if (account->uid == uid)
                        return account;
        account = calloc(1, sizeof(*account));
        if (!account)
                return NULL;
        account->uid = uid;
        account->log_tokens = LOG_BURST;
        account->log_time = amb_time_now();
        amb_list_append(&daemon->accounts, &account->link);
        return account;
}

bool amb_account_may_connect(const struct amb_daemon *daemon, const struct amb_account *account)
{
        /* A peer costs two descriptors; one user gets at most half of what there is. */
        return account->peers < PEERS_PER_UID && account->peers < daemon->fds_most / 4;
}

bool amb_account_may_call(const struct amb_account *account)
{
        return account->calls < CALLS_PER_UID;
}

/* An open that is waiting for the driver holds about five descriptors. */
bool amb_account_may_open(const struct amb_daemon *daemon, const struct amb_account *account)
{
        return amb_account_may_call(account) && account->opens < daemon->fds_most / 16;
}

/* A burst of LOG_BURST lines, then one per second; what was left out is said with the next line. */
bool amb_account_may_log(struct amb_account *account)
{
        uint64_t now = amb_time_now(), seconds = (now - account->log_time) / AMB_SECOND;

        if (seconds > 0) {
                account->log_time += seconds * AMB_SECOND;
                account->log_tokens = seconds > LOG_BURST ? LOG_BURST : account->log_tokens + (unsigned)seconds;
                if (account->log_tokens > LOG_BURST)
                        account->log_tokens = LOG_BURST;
        }
        if (account->log_tokens == 0) {
                account->log_suppressed++;
                return false;
        }
        account->log_tokens--;
        if (account->log_suppressed > 0)
                amb_log(AMB_LOG_WARNING, "%u more lines about user %u were left out", account->log_suppressed, account->uid);
        account->log_suppressed = 0;
        return true;
}

void amb_accounts_free(struct amb_daemon *daemon)
{
        struct amb_account *account, *following;

        amb_list_for_safe(account, following, &daemon->accounts, link) {
                amb_link_remove(&account->link);
                free(account);
        }
}
