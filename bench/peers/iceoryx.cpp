/* SPDX-License-Identifier: Apache-2.0 */
/*
 * iceoryx, requests and responses through its shared memory: both sides polling ("iceoryx-poll"), or blocking on wait sets
 * ("iceoryx-event"). Its daemon is a child of the server's process. iceoryx knows fixed names below /tmp and /dev/shm, so all
 * three have mounts of their own.
 */
#include "bench/peers/peer.h"

#include <cerrno>
#include <csignal>
#include <cstring>
#include <sched.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <iceoryx_posh/iceoryx_posh_config.hpp>
#include <iceoryx_posh/internal/roudi/roudi.hpp>
#include <iceoryx_posh/mepoo/chunk_header.hpp>
#include <iceoryx_posh/popo/untyped_client.hpp>
#include <iceoryx_posh/popo/untyped_server.hpp>
#include <iceoryx_posh/popo/wait_set.hpp>
#include <iceoryx_posh/roudi/iceoryx_roudi_components.hpp>
#include <iceoryx_posh/runtime/posh_runtime.hpp>

namespace {

constexpr int IN_FLIGHT = 16;           /* its longest queue of responses */
constexpr uint32_t ALIGNMENT = 8;
const iox::capro::ServiceDescription service { "ambidext", "bench", "echo" };

void be_quiet()
{
        using namespace iox::log;
        LogManager::GetLogManager().SetDefaultLogLevel(LogLevel::kError, LogLevelOutput::kHideLogLevel);
}

/* --- the daemon --- */

[[noreturn]] void run_daemon()
{
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        auto group = iox::posix::PosixGroup::getGroupOfCurrentProcess().getName();
        iox::mepoo::MePooConfig pools;
        pools.addMemPool({ 256, 256 });
        pools.addMemPool({ PEER_BIG + 256, 64 });
        iox::RouDiConfig_t configuration;
        configuration.m_sharedMemorySegments.push_back({ group, group, pools });
        iox::roudi::IceOryxRouDiComponents components(configuration);
        iox::roudi::RouDi daemon(components.rouDiMemoryManager, components.portManager,
                                 iox::roudi::RouDi::RoudiStartupParameters { iox::roudi::MonitoringMode::OFF, false });
        for (;;)
                pause();
}

/* --- server --- */

bool answer_one(iox::popo::UntypedServer &server)
{
        auto taken = server.take();
        if (taken.has_error())
                return false;
        const void *request = taken.value();
        uint32_t size = iox::mepoo::ChunkHeader::fromUserPayload(request)->userPayloadSize();
        auto loaned = server.loan(iox::popo::RequestHeader::fromPayload(request), size, ALIGNMENT);
        if (!loaned.has_error()) {
                memcpy(loaned.value(), request, size);
                server.send(loaned.value()).or_else([](auto &) { peer_fail(-EIO, "iceoryx: a response could not be sent"); });
        }
        server.releaseRequest(request);
        return true;
}

/* Before the first thread: mounts, then the daemon. */
int prepare_server()
{
        int r = peer_private_mounts();
        if (r < 0)
                return r;
        pid_t daemon = fork();
        if (daemon < 0)
                return -errno;
        be_quiet();
        if (daemon == 0)
                run_daemon();
        iox::runtime::PoshRuntime::initRuntime("bench-server");         /* waits for the daemon */
        return 0;
}

int poll_serve(const struct peer_place *place)
{
        int r = prepare_server();
        if (r < 0)
                return r;
        iox::popo::UntypedServer server(service);
        peer_ready();
        for (;;)
                if (!answer_one(server))
                        peer_rest(place->shared);
}

int event_serve(const struct peer_place *place)
{
        int r = prepare_server();
        if (r < 0)
                return r;
        iox::popo::UntypedServer server(service);
        iox::popo::WaitSet<> set;
        if (set.attachState(server, iox::popo::ServerState::HAS_REQUEST).has_error())
                return peer_fail(-EIO, "iceoryx: no wait set");
        peer_ready();
        for (;;) {
                set.wait();
                while (answer_one(server))
                        ;
        }
}

/* --- client; all of it lives as long as the process --- */

iox::popo::UntypedClient *client;
iox::popo::WaitSet<> *responses;        /* NULL: polls */

int poll_connect(const struct peer_place *place)
{
        int r = peer_join_mounts(place->server);
        if (r < 0)
                return r;
        be_quiet();
        iox::runtime::PoshRuntime::initRuntime("bench-client");
        client = new iox::popo::UntypedClient(service);
        while (client->getConnectionState() != iox::ConnectionState::CONNECTED)
                sched_yield();          /* bounded by who started us */
        return 0;
}

int event_connect(const struct peer_place *place)
{
        int r = poll_connect(place);
        if (r < 0)
                return r;
        responses = new iox::popo::WaitSet<>;
        return responses->attachState(*client, iox::popo::ClientState::HAS_RESPONSE).has_error() ? -EIO : 0;
}

int send(const void *in, size_t size)
{
        auto loaned = client->loan(static_cast<uint32_t>(size), ALIGNMENT);
        if (loaned.has_error())
                return peer_fail(-ENOMEM, "iceoryx: no chunk for a request");
        memcpy(loaned.value(), in, size);
        return client->send(loaned.value()).has_error() ? peer_fail(-EIO, "iceoryx: a request could not be sent") : 0;
}

/* As the server's peer_rest(): who polls on the processor that the other needs must give it away. */
void receive(void *out, size_t size)
{
        for (unsigned tries = 1;; tries++) {
                auto taken = client->take();
                if (!taken.has_error()) {
                        memcpy(out, taken.value(), size);
                        client->releaseResponse(taken.value());
                        return;
                }
                if (responses)
                        responses->wait();
                else if (tries % 16 == 0)
                        sched_yield();
        }
}

int iceoryx_call(const void *in, void *out, size_t size)
{
        int r = send(in, size);
        if (r == 0)
                receive(out, size);
        return r;
}

int iceoryx_flood(uint64_t until, uint64_t *done)
{
        unsigned char bytes[PEER_SMALL] = {};
        int under_way = 0, r = 0;
        for (; r == 0 && under_way < IN_FLIGHT; under_way++)
                r = send(bytes, sizeof(bytes));
        while (r == 0 && under_way > 0) {
                receive(bytes, sizeof(bytes));
                ++*done;
                if (peer_now() < until)
                        r = send(bytes, sizeof(bytes));
                else
                        under_way--;
        }
        return r;
}

}

const struct peer peers[] = {
        { "iceoryx-poll", PEER_BIG, false, poll_serve, poll_connect, iceoryx_call, iceoryx_flood },
        { "iceoryx-event", PEER_BIG, false, event_serve, event_connect, iceoryx_call, iceoryx_flood },
        {},
};
