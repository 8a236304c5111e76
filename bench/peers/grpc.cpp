/* SPDX-License-Identifier: Apache-2.0 */
/* gRPC over a unix socket: one unary method, the synchronous server and stub; a flood by the completion queue. */
#include "bench/peers/peer.h"

#include <cerrno>
#include <cstring>
#include <memory>
#include <string>

#include <grpcpp/grpcpp.h>

#include "echo.grpc.pb.h"

namespace {

using ambidext::bench::Bytes;
using ambidext::bench::Echo;

class EchoServer final : public Echo::Service {
        grpc::Status Call(grpc::ServerContext *context, const Bytes *request, Bytes *answer) override
        {
                answer->set_bytes(request->bytes());
                return grpc::Status::OK;
        }
};

std::string address_of(const struct peer_place *place)
{
        return std::string("unix:") + peer_path(place, "socket");
}

int rpc_serve(const struct peer_place *place)
{
        EchoServer service;
        grpc::ServerBuilder builder;
        builder.AddListeningPort(address_of(place), grpc::InsecureServerCredentials());
        builder.RegisterService(&service);
        std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
        if (!server)
                return peer_fail(-EIO, "gRPC: the server did not start");
        peer_ready();
        server->Wait();
        return -EIO;
}

Echo::Stub *stub;       /* lives as long as the process */

int rpc_connect(const struct peer_place *place)
{
        stub = Echo::NewStub(grpc::CreateChannel(address_of(place), grpc::InsecureChannelCredentials())).release();
        return 0;
}

int rpc_call(const void *in, void *out, size_t size)
{
        grpc::ClientContext context;
        Bytes request, answer;
        request.set_bytes(in, size);
        grpc::Status status = stub->Call(&context, request, &answer);
        if (!status.ok())
                return peer_fail(-EIO, "gRPC: %s", status.error_message().c_str());
        if (answer.bytes().size() != size)
                return -EBADMSG;
        memcpy(out, answer.bytes().data(), size);
        return 0;
}

struct under_way {
        grpc::ClientContext context;
        Bytes answer;
        grpc::Status status;
        std::unique_ptr<grpc::ClientAsyncResponseReader<Bytes>> reader;
};

void send_one(grpc::CompletionQueue *queue)
{
        static const char bytes[PEER_SMALL] = {};
        Bytes request;
        request.set_bytes(bytes, sizeof(bytes));
        auto *call = new under_way;
        call->reader = stub->AsyncCall(&call->context, request, queue);
        call->reader->Finish(&call->answer, &call->status, call);
}

int rpc_flood(uint64_t until, uint64_t *done)
{
        grpc::CompletionQueue queue;
        int left = PEER_IN_FLIGHT, r = 0;
        for (int i = 0; i < PEER_IN_FLIGHT; i++)
                send_one(&queue);
        while (left > 0) {
                void *tag;
                bool ok;
                if (!queue.Next(&tag, &ok))
                        return -EIO;
                std::unique_ptr<under_way> call(static_cast<under_way *>(tag));
                if (!call->status.ok())
                        r = peer_fail(-EIO, "gRPC: %s", call->status.error_message().c_str());
                ++*done;
                if (r == 0 && peer_now() < until)
                        send_one(&queue);
                else
                        left--;
        }
        queue.Shutdown();
        return r;
}

}

const struct peer peers[] = {
        { "grpc", PEER_BIG, false, rpc_serve, rpc_connect, rpc_call, rpc_flood },
        {},
};
