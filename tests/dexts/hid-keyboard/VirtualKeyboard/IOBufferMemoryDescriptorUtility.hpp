/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <DriverKit/DriverKit.h>
#include <DriverKit/IOBufferMemoryDescriptor.h>
#include <DriverKit/OSCollections.h>

namespace IOBufferMemoryDescriptorUtility {

/* A buffer with these bytes. */
inline kern_return_t createWithBytes(const void* bytes, size_t length, IOMemoryDescriptor** memory) {
  if (!bytes || length == 0) {
    return kIOReturnBadArgument;
  }

  IOBufferMemoryDescriptor* buffer = nullptr;
  uint64_t address;
  uint64_t mapped;

  auto kr = IOBufferMemoryDescriptor::Create(kIOMemoryDirectionOut, length, 0, &buffer);
  if (kr == kIOReturnSuccess) {
    kr = buffer->Map(0, 0, 0, 0, &address, &mapped);
  }
  if (kr == kIOReturnSuccess && mapped != length) {
    kr = kIOReturnNoMemory;
  }
  if (kr != kIOReturnSuccess) {
    OSSafeReleaseNULL(buffer);
    return kr;
  }
  memcpy(reinterpret_cast<void*>(address), bytes, length);
  *memory = buffer;
  return kIOReturnSuccess;
}

} // namespace IOBufferMemoryDescriptorUtility
