/* SPDX-License-Identifier: Apache-2.0 */
/* Sets, reads and plans; a service, a user client and helper objects that come from one interface file. */
#include "client.h"
#include "several/Thermostat/ThermostatTypes.h"

static io_connect_t connection;

static kern_return_t call(uint32_t selector, uint64_t a, uint64_t b, uint32_t in, uint64_t *out, uint32_t room)
{
    const uint64_t scalars[] = { a, b };
    return IOConnectCallScalarMethod(connection, selector, scalars, in, out, &room);
}

static void check_setting()
{
    uint64_t out[4] = {};
    CHECK_OK(call(kThermostatSet, 2150, 4, 2, out, 1));
    uint64_t revision = out[0];
    CHECK_OK(call(kThermostatSet, 2200, 5, 2, out, 1));
    CHECK(out[0] == revision + 1);
    CHECK_CODE(call(kThermostatSet, 2200, 3, 2, out, 1), kIOReturnBadArgument);
    CHECK_OK(call(kThermostatCount, 0, 0, 0, out, 4));
    CHECK(out[2] == 5 && out[3] == 0x64656743); /* 'degC' */
}

static void check_probes()
{
    uint64_t out[4] = {};
    CHECK_OK(call(kThermostatRead, 0, 1500, 2, out, 2));
    CHECK(out[0] == 2500 && out[1] == 2500);
    CHECK_OK(call(kThermostatRead, 0, 700, 2, out, 2));
    CHECK(out[0] == 2700 && out[1] == 2600);
    CHECK_OK(call(kThermostatRead, 1, 3, 2, out, 2));
    CHECK((int64_t)out[0] == -497);
    CHECK_CODE(call(kThermostatRead, 2, 3, 2, out, 2), kIOReturnNotFound);
    CHECK_CODE(call(kThermostatAddProbe, 7, 0, 1, out, 1), kIOReturnBadArgument); /* no such kind: made and let go */
    CHECK_OK(call(kThermostatCount, 0, 0, 0, out, 4));
    CHECK(out[0] == 2 && out[1] == 2);
    for (uint64_t i = 2; i < 4; i++) {
        CHECK_OK(call(kThermostatAddProbe, 1, 0, 1, out, 1));
        CHECK(out[0] == i);
    }
    CHECK_CODE(call(kThermostatAddProbe, 1, 0, 1, out, 1), kIOReturnNoSpace);
    CHECK_OK(call(kThermostatCount, 0, 0, 0, out, 4));
    CHECK(out[0] == 4 && out[1] == 4);
}

static void check_plans()
{
    ThermostatPlan plan = {}, before = {};
    size_t size = sizeof(before);
    plan.steps = 2;
    plan.target[5] = -1;
    plan.flags = 3;
    CHECK_OK(IOConnectCallStructMethod(connection, kThermostatExchange, &plan, sizeof(plan), &before, &size));
    CHECK(size == sizeof(before) && before.steps == 0);
    CHECK_OK(IOConnectCallStructMethod(connection, kThermostatExchange, &plan, sizeof(plan), &before, &size));
    CHECK(before.steps == 2 && before.target[5] == -1 && before.flags == 3);
    plan.steps = kThermostatPlanSteps + 1;
    CHECK_CODE(IOConnectCallStructMethod(connection, kThermostatExchange, &plan, sizeof(plan), &before, &size),
               kIOReturnBadArgument);
}

int main()
{
    connection = client_open("Thermostat", 0);
    check_setting();
    check_probes();
    check_plans();
    CHECK_CODE(call(kThermostatSelectors, 0, 0, 0, nullptr, 0), kIOReturnUnsupported);
    CHECK_OK(IOServiceClose(connection));

    /* The plan was the connection's, the probes are the service's. */
    uint64_t out[4] = {};
    ThermostatPlan plan = {}, before = {};
    size_t size = sizeof(before);
    connection = client_open("Thermostat", 1);
    CHECK_OK(IOConnectCallStructMethod(connection, kThermostatExchange, &plan, sizeof(plan), &before, &size));
    CHECK(before.steps == 0);
    CHECK_OK(call(kThermostatCount, 0, 0, 0, out, 4));
    CHECK(out[0] == 4 && out[1] == 4);
    CHECK_OK(IOServiceClose(connection));
    printf("the thermostat sets, reads and plans\n");
    return 0;
}
