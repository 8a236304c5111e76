/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Keys by which a device's description tells macOS's event services how to treat its events. Here they are properties of the
 * service like all others, for applications to read; Linux does not ask for them. Event services themselves are not here.
 */

/* Pointers. The type is a string, the name of the key whose value is taken: kIOHIDMouseAccelerationTypeKey and others. */
#define kIOHIDPointerAccelerationKey "HIDPointerAcceleration"   /* numbers: fixed point, 65536 is 1 */
#define kIOHIDPointerAccelerationTypeKey "HIDPointerAccelerationType"
#define kIOHIDPointerAccelerationMultiplierKey "HIDPointerAccelerationMultiplier"
#define kIOHIDPointerAccelerationSupportKey "HIDSupportsPointerAcceleration"    /* boolean */
#define kIOHIDMouseAccelerationTypeKey "HIDMouseAcceleration"
#define kIOHIDTrackpadAccelerationType "HIDTrackpadAcceleration"
#define kIOHIDUseLinearScalingMouseAccelerationKey "HIDUseLinearScalingMouseAcceleration"
#define kHIDAccelParametricCurvesKey "HIDAccelCurves"           /* array of dictionaries */
#define kHIDPointerReportRateKey "HIDPointerReportRate"         /* number: reports in a second */

/* Wheels. */
#define kIOHIDScrollAccelerationKey "HIDScrollAcceleration"
#define kIOHIDScrollAccelerationTypeKey "HIDScrollAccelerationType"
#define kIOHIDScrollAccelerationSupportKey "HIDSupportsScrollAcceleration"      /* boolean */
#define kIOHIDMouseScrollAccelerationKey "HIDMouseScrollAcceleration"
#define kIOHIDTrackpadScrollAccelerationKey "HIDTrackpadScrollAcceleration"
#define kHIDScrollAccelParametricCurvesKey "HIDScrollAccelCurves"
#define kIOHIDScrollResolutionKey "HIDScrollResolution"
#define kIOHIDScrollResolutionXKey "HIDScrollResolutionX"
#define kIOHIDScrollResolutionYKey "HIDScrollResolutionY"
#define kIOHIDScrollResolutionZKey "HIDScrollResolutionZ"
#define kIOHIDScrollReportRateKey "HIDScrollReportRate"
#define kIOHIDDropAccelPropertyEventsKey "DropAccelPropertyEvents"

/* Tablets and screens. */
#define kIOHIDDigitizerTipThresholdKey "DigitizerTipThreshold"
#define kIOHIDSurfaceDimensionsKey "SurfaceDimensions"          /* dictionary of the two that follow */
#define kIOHIDWidthKey "Width"
#define kIOHIDHeightKey "Height"

#define kIOHIDEventDriverHandlesReport "IOHIDEventDriverHandlesReport"
#define kIOHIDServiceAccelerationProperties "IOHIDSetAcceleration"
#define kIOHIDEventServiceSensorControlOptionsKey "HIDDefaultSensorControlOptions"
