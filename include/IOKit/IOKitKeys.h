/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Names that IOKit's calls and property lists use: constants. Contract: lifecycle-registry 0.3, 5.1. */

#define kIOServicePlane "IOService"
#define kIODeviceTreePlane "IODeviceTree"

/* matching dictionaries and personalities */
#define kIOProviderClassKey "IOProviderClass"
#define kIONameMatchKey "IONameMatch"
#define kIOPropertyMatchKey "IOPropertyMatch"
#define kIOPropertyExistsMatchKey "IOPropertyExistsMatch"
#define kIOPathMatchKey "IOPathMatch"
#define kIOLocationMatchKey "IOLocationMatch"
#define kIOParentMatchKey "IOParentMatch"
#define kIOResourceMatchKey "IOResourceMatch"
#define kIORegistryEntryIDKey "IORegistryEntryID"
#define kIOMatchCategoryKey "IOMatchCategory"
#define kIOProbeScoreKey "IOProbeScore"
#define kIOClassKey "IOClass"
#define kIOUserClassKey "IOUserClass"
#define kIOUserServerNameKey "IOUserServerName"
#define kIOUserClientClassKey "IOUserClientClass"
#define kIOBSDNameKey "BSD Name"
#define kIONameMatchedKey "IONameMatched"

/* classes */
#define kIOServiceClass "IOService"
#define kIOResourcesClass "IOResources"
#define kIOUserResourcesClass "IOUserResources"

/* IOServiceAddMatchingNotification */
#define kIOPublishNotification "IOServicePublish"
#define kIOFirstPublishNotification "IOServiceFirstPublish"
#define kIOMatchedNotification "IOServiceMatched"
#define kIOFirstMatchNotification "IOServiceFirstMatch"
#define kIOTerminatedNotification "IOServiceTerminate"
#define kIOWillTerminateNotification "IOServiceWillTerminate"

/* IOServiceAddInterestNotification */
#define kIOGeneralInterest "IOGeneralInterest"
#define kIOBusyInterest "IOBusyInterest"
