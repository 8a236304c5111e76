/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What clients of drivers take from this header: codes taken apart (err_get_system and the others), the USB family's codes, which
 * drivers of USB devices pass on, and USB's byte order. Constants. There is no USB family here: no device classes, no plug-in
 * interfaces. Contract: real-code 1.11.
 */
#include <IOKit/IOReturn.h>
#include <IOKit/IOTypes.h>
#include <libkern/OSByteOrder.h>

#define iokit_usb_err(code) ((IOReturn)(sys_iokit | sub_iokit_usb | (code)))
#define kIOUSBUnknownPipeErr iokit_usb_err(0x61)
#define kIOUSBTooManyPipesErr iokit_usb_err(0x60)
#define kIOUSBNoAsyncPortErr iokit_usb_err(0x5f)
#define kIOUSBNotEnoughPipesErr iokit_usb_err(0x5e)
#define kIOUSBNotEnoughPowerErr iokit_usb_err(0x5d)
#define kIOUSBEndpointNotFound iokit_usb_err(0x57)
#define kIOUSBConfigNotFound iokit_usb_err(0x56)
#define kIOUSBTransactionTimeout iokit_usb_err(0x51)
#define kIOUSBTransactionReturned iokit_usb_err(0x50)
#define kIOUSBPipeStalled iokit_usb_err(0x4f)
#define kIOUSBInterfaceNotFound iokit_usb_err(0x4e)

#define USBToHostWord(number) OSSwapLittleToHostInt16(number)
#define HostToUSBWord(number) OSSwapHostToLittleInt16(number)
#define USBToHostLong(number) OSSwapLittleToHostInt32(number)
#define HostToUSBLong(number) OSSwapHostToLittleInt32(number)
#define USBToHost64(number) OSSwapLittleToHostInt64(number)
#define HostToUSB64(number) OSSwapHostToLittleInt64(number)
