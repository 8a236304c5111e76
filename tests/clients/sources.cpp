// SPDX-License-Identifier: Apache-2.0
// A client that lives on libdispatch: a source reads a port of its own for completions, a timer asks for them, another source reads
// a pipe for commands, and a serial queue has it all.
#include <IOKit/IOKitLib.h>
#include <dispatch/dispatch.h>

#include <cstdio>
#include <string>
#include <unistd.h>

namespace {

class Monitor {
public:
    Monitor()
    {
        io_service_t service = IOServiceGetMatchingService(kIOMainPortDefault, IOServiceNameMatching("echo"));
        IOServiceOpen(service, mach_task_self_, 0, &connection_);
        IOObjectRelease(service);
        queue_ = dispatch_queue_create("monitor",
                                       dispatch_queue_attr_make_with_qos_class(DISPATCH_QUEUE_SERIAL, QOS_CLASS_USER_INITIATED, 0));
        mach_port_allocate(mach_task_self(), MACH_PORT_RIGHT_RECEIVE, &port_);
        mach_port_insert_right(mach_task_self(), port_, port_, MACH_MSG_TYPE_MAKE_SEND);
        events_ = make(DISPATCH_SOURCE_TYPE_MACH_RECV, port_, [](void *self) { static_cast<Monitor *>(self)->receive(); });
        timer_ = make(DISPATCH_SOURCE_TYPE_TIMER, 0, [](void *self) { static_cast<Monitor *>(self)->ask(); });
        commands_ = make(DISPATCH_SOURCE_TYPE_READ, STDIN_FILENO, [](void *self) { static_cast<Monitor *>(self)->read_command(); });
        dispatch_source_set_timer(timer_, dispatch_walltime(nullptr, 0), 5 * NSEC_PER_MSEC, NSEC_PER_MSEC);
    }
    ~Monitor()
    {
        for (dispatch_source_t source : {events_, timer_, commands_})
            dispatch_release(source);
        mach_port_destroy(mach_task_self(), port_);
        dispatch_release(queue_);
        dispatch_release(ended_);
        IOServiceClose(connection_);
    }
    void run()
    {
        for (dispatch_source_t source : {events_, timer_, commands_})
            dispatch_resume(source);
        for (int i = 0; i < 3; ++i)
            dispatch_semaphore_wait(ended_, DISPATCH_TIME_FOREVER);
        std::printf("%d events, sum %llu\n", heard_, static_cast<unsigned long long>(sum_));
    }

private:
    dispatch_source_t make(dispatch_source_type_t type, uintptr_t handle, dispatch_function_t function)
    {
        dispatch_source_t source = dispatch_source_create(type, handle, 0, queue_);
        dispatch_set_context(source, this);
        dispatch_source_set_event_handler_f(source, function);
        dispatch_source_set_cancel_handler_f(source, [](void *self) {
            dispatch_semaphore_signal(static_cast<Monitor *>(self)->ended_);
        });
        return source;
    }
    static void completed(void *refcon, IOReturn result, void *one, void *two)
    {
        auto self = static_cast<Monitor *>(refcon);
        self->sum_ += reinterpret_cast<uintptr_t>(one) * 10 + reinterpret_cast<uintptr_t>(two);
        self->heard_ += result == kIOReturnSuccess;
    }
    void receive()
    {
        struct {
            mach_msg_header_t header;
            unsigned char room[1024];
        } message;
        if (mach_msg(&message.header, MACH_RCV_MSG | MACH_RCV_TIMEOUT, 0, sizeof(message), port_, 0, MACH_PORT_NULL))
            return;
        IODispatchCalloutFromMessage(nullptr, &message.header, nullptr);
        if (heard_ == 4)
            dispatch_cancel(events_);
    }
    void ask()
    {
        uint64_t reference[kIOAsyncCalloutCount] = {};
        uint64_t input[3] = {1, asked_, 1};
        reference[kIOAsyncCalloutFuncIndex] = reinterpret_cast<uint64_t>(&Monitor::completed);
        reference[kIOAsyncCalloutRefconIndex] = reinterpret_cast<uint64_t>(this);
        kern_return_t result = IOConnectCallAsyncScalarMethod(connection_, 2, port_, reference, kIOAsyncCalloutCount, input, 3,
                                                              nullptr, nullptr);
        if (result != kIOReturnSuccess)
            std::printf("not asked: 0x%x\n", static_cast<unsigned>(result));
        if (++asked_ == 4)
            dispatch_source_cancel(timer_);
    }
    void read_command()
    {
        char bytes[256];
        std::size_t there = dispatch_source_get_data(commands_);
        ssize_t length = there > 0 ? read(STDIN_FILENO, bytes, sizeof(bytes)) : 0;
        if (length > 0)
            commanded_.append(bytes, static_cast<std::size_t>(length));
        if (commanded_.find("quit\n") != std::string::npos || length <= 0)
            dispatch_source_cancel(commands_);
    }

    io_connect_t connection_ = IO_OBJECT_NULL;
    mach_port_t port_ = MACH_PORT_NULL;
    dispatch_queue_t queue_ = nullptr;
    dispatch_source_t events_ = nullptr, timer_ = nullptr, commands_ = nullptr;
    dispatch_semaphore_t ended_ = dispatch_semaphore_create(0);
    uint64_t asked_ = 0, sum_ = 0;
    int heard_ = 0;
    std::string commanded_;
};

}

int main()
{
    Monitor monitor;
    monitor.run();
}
