/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Since when something is there, and until when: attributes that mean nothing here, because what these headers declare is there,
 * and the versions that are compared with. Macros only. Contract: iig-language 6.1 (included by 23 of 28 drivers).
 */
#include <AvailabilityVersions.h>
#include <TargetConditionals.h>

/* What is compiled for; -D of one of them says otherwise. */
#ifndef __MAC_OS_X_VERSION_MIN_REQUIRED
#define __MAC_OS_X_VERSION_MIN_REQUIRED __MAC_12_0
#endif
#ifndef __MAC_OS_X_VERSION_MAX_ALLOWED
#define __MAC_OS_X_VERSION_MAX_ALLOWED __MAC_15_0
#endif
#if TARGET_OS_DRIVERKIT
#ifndef __DRIVERKIT_VERSION_MIN_REQUIRED
#define __DRIVERKIT_VERSION_MIN_REQUIRED __DRIVERKIT_21_0
#endif
#ifndef __DRIVERKIT_VERSION_MAX_ALLOWED
#define __DRIVERKIT_VERSION_MAX_ALLOWED __DRIVERKIT_24_0
#endif
#endif

/* Asked at run time: what these headers declare is there. clang knows the question, for systems that are not this one. */
#ifndef __clang__
#define __builtin_available(...) 1
#endif

#define API_AVAILABLE(...)
#define API_AVAILABLE_BEGIN(...)
#define API_AVAILABLE_END
#define API_UNAVAILABLE(...)
#define API_UNAVAILABLE_BEGIN(...)
#define API_UNAVAILABLE_END
#define API_DEPRECATED(...)
#define API_DEPRECATED_WITH_REPLACEMENT(...)
#define API_DEPRECATED_BEGIN(...)
#define API_DEPRECATED_END
#define API_OBSOLETED(...)
#define SPI_AVAILABLE(...)
#define SPI_DEPRECATED(...)
#define SPI_DEPRECATED_WITH_REPLACEMENT(...)
#define __API_AVAILABLE(...)
#define __API_UNAVAILABLE(...)
#define __API_DEPRECATED(...)
#define __API_DEPRECATED_WITH_REPLACEMENT(...)
#define __SPI_AVAILABLE(...)
#define __SPI_DEPRECATED(...)
#define __API_AVAILABLE_BEGIN(...)
#define __API_AVAILABLE_END
#define __API_DEPRECATED_BEGIN(...)
#define __API_DEPRECATED_END

#define __OSX_AVAILABLE(version)
#define __OSX_AVAILABLE_STARTING(mac, ios)
#define __OSX_AVAILABLE_BUT_DEPRECATED(...)
#define __OSX_AVAILABLE_BUT_DEPRECATED_MSG(...)
#define __OSX_DEPRECATED(...)
#define __OSX_UNAVAILABLE
#define __OSX_EXTENSION_UNAVAILABLE(message)
#define __IOS_AVAILABLE(version)
#define __IOS_DEPRECATED(...)
#define __IOS_UNAVAILABLE
#define __IOS_PROHIBITED
#define __IOS_EXTENSION_UNAVAILABLE(message)
#define __TVOS_AVAILABLE(version)
#define __TVOS_DEPRECATED(...)
#define __TVOS_UNAVAILABLE
#define __TVOS_PROHIBITED
#define __WATCHOS_AVAILABLE(version)
#define __WATCHOS_DEPRECATED(...)
#define __WATCHOS_UNAVAILABLE
#define __WATCHOS_PROHIBITED
#define __OS_EXTENSION_UNAVAILABLE(message)
#define __OS_AVAILABILITY(...)
#define __OS_AVAILABILITY_MSG(...)
#define __SWIFT_UNAVAILABLE
#define __SWIFT_UNAVAILABLE_MSG(message)
