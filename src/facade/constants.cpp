/* SPDX-License-Identifier: Apache-2.0 */
/* Objects that exist before a class has a face: they get it when the library is loaded, after the faces are made. */
#include <DriverKit/OSCollections.h>

static const struct amb_constants {
        amb_constants()
        {
                memcpy(static_cast<void *>(kOSBooleanTrue), gOSBooleanMetaClass.skin, sizeof(void *));
                memcpy(static_cast<void *>(kOSBooleanFalse), gOSBooleanMetaClass.skin, sizeof(void *));
        }
} constants;
