/* What the thermostat and its app say to each other. Also included by Thermostat.iig. */
#ifndef THERMOSTAT_TYPES_H
#define THERMOSTAT_TYPES_H
#include <stdint.h>

enum {
    kThermostatSet = 0,         /* target (hundredths of a degree), mode -> revision */
    kThermostatRead,            /* probe, time -> value as int64 */
    kThermostatExchange,        /* ThermostatPlan -> ThermostatPlan: the new one in, the old one out */
    kThermostatCount,           /* -> probes, objects of class ThermostatProbe that live, mode, unit */
    kThermostatAddProbe,        /* kind -> probe */
    kThermostatSelectors
};

enum { kThermostatPlanSteps = 6 };

typedef struct {
    int32_t target[kThermostatPlanSteps];
    uint32_t minute[kThermostatPlanSteps];
    uint8_t mode;
    uint8_t flags;
    uint16_t steps;
} ThermostatPlan;

#endif
