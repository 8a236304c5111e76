/* SPDX-License-Identifier: Apache-2.0 */
/* Cap'n Proto RPC, two parties over a unix socket: a method that takes bytes and gives them back. */
#include "bench/peers/peer.h"

#include <cerrno>
#include <cstring>
#include <string>

#include <capnp/ez-rpc.h>
#include <kj/async.h>
#include <kj/exception.h>

#include "echo.capnp.h"

namespace {

class EchoServer final : public Echo::Server {
        kj::Promise<void> echo(EchoContext context) override
        {
                context.getResults().setBytes(context.getParams().getBytes());
                return kj::READY_NOW;
        }
};

std::string address_of(const struct peer_place *place)
{
        return std::string("unix:") + peer_path(place, "socket");
}

/* What Cap'n Proto throws becomes -errno here. */
template <typename Function> int guarded(Function &&function)
{
        try {
                return function();
        } catch (const kj::Exception &exception) {
                return peer_fail(-EIO, "Cap'n Proto: %s", exception.getDescription().cStr());
        } catch (const std::exception &exception) {
                return peer_fail(-EIO, "Cap'n Proto: %s", exception.what());
        }
}

int capnp_serve(const struct peer_place *place)
{
        return guarded([&] {
                capnp::EzRpcServer server(kj::heap<EchoServer>(), address_of(place).c_str());
                server.getPort().wait(server.getWaitScope());   /* it listens */
                peer_ready();
                kj::NEVER_DONE.wait(server.getWaitScope());
                return -EIO;
        });
}

capnp::EzRpcClient *client;
Echo::Client *echo;

/* Live as long as the process. */
int capnp_connect(const struct peer_place *place)
{
        return guarded([&] {
                client = new capnp::EzRpcClient(address_of(place).c_str());
                echo = new Echo::Client(client->getMain<Echo>());
                return 0;
        });
}

auto send(const void *in, size_t size)
{
        auto request = echo->echoRequest(capnp::MessageSize { size / sizeof(capnp::word) + 8, 0 });
        request.setBytes(capnp::Data::Reader(static_cast<const kj::byte *>(in), size));
        return request.send();
}

int capnp_call(const void *in, void *out, size_t size)
{
        return guarded([&] {
                auto answer = send(in, size).wait(client->getWaitScope());
                auto bytes = answer.getBytes();
                if (bytes.size() != size)
                        return -EBADMSG;
                memcpy(out, bytes.begin(), size);
                return 0;
        });
}

kj::Promise<void> one_after_the_other(uint64_t until, uint64_t *done)
{
        static const kj::byte bytes[PEER_SMALL] = {};
        return send(bytes, sizeof(bytes)).then([until, done](auto &&) -> kj::Promise<void> {
                ++*done;
                return peer_now() < until ? one_after_the_other(until, done) : kj::Promise<void>(kj::READY_NOW);
        });
}

int capnp_flood(uint64_t until, uint64_t *done)
{
        return guarded([&] {
                auto promises = kj::heapArrayBuilder<kj::Promise<void>>(PEER_IN_FLIGHT);
                for (int i = 0; i < PEER_IN_FLIGHT; i++)
                        promises.add(one_after_the_other(until, done));
                kj::joinPromises(promises.finish()).wait(client->getWaitScope());
                return 0;
        });
}

}

const struct peer peers[] = {
        { "capnp", PEER_BIG, false, capnp_serve, capnp_connect, capnp_call, capnp_flood },
        {},
};
