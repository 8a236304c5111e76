/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The control protocol: every name and signature on the registry socket and on a host's socketpair, spelled here only.
 *
 * Codes ("i") are IOReturn values that are carried as data: the method call itself succeeds. D-Bus errors are for malformed
 * messages and for calls that the peer may not make. Entries are 64-bit registry ids. Dictionaries are a{sv}, see value.h.
 */

#define AMB_REGISTRY_PATH "/org/ambidext/registry"
#define AMB_REGISTRY_INTERFACE "org.ambidext.Registry1"
#define AMB_HOST_PATH "/org/ambidext/host"
#define AMB_HOST_INTERFACE "org.ambidext.Host1"

/*
 * --- Registry1: app -> daemon ---
 * FindServices     a{sv} matching                     -> i code, at entries      matched, active services; registry order
 * GetEntry         t entry                            -> i code, s class, s name, u state, u busy, at parents, at children,
 *                                                        t host_pid, a{sv} properties (run-time ones merged, they win), as classes
 *                                                     code MACH_SEND_INVALID_DEST: no such entry. entry 0 is the root.
 * OpenService      t entry, u type                    -> i code, t connection, b the driver may name memory of the app by itself,
 *                                                        a{sh} "channel" memfd, "side" socket, "host" pidfd (empty on failure)
 * Subscribe        u subscription, s notification, a{sv} matching -> i code, at entries already there
 *                                                     per bus connection; notification: IOServicePublish, ...FirstPublish,
 *                                                     ...Matched, ...FirstMatch, ...Terminate, ...WillTerminate
 * SubscribeInterest u subscription, t entry, s interest -> i code       "IOGeneralInterest", "IOBusyInterest"
 * Unsubscribe      u subscription                     ->
 * WaitQuiet        t entry, t nanoseconds (~0: for ever) -> i code
 * LoadBundle       s absolute path                    -> i code, s message, s bundle id
 * UnloadBundle     s bundle id                        -> i code, s message
 * Dump             -> aa{sv} every entry: "id" t, "parent" t, "class" s, "name" s, "state" u, "busy" u, "pid" t, "properties" a{sv}
 *
 * Signals to the subscribed bus connection:
 * Notified         u subscription, t entry            a service came or went
 * Interest         u subscription, t entry, u message type, t argument
 *
 * --- Registry1: host -> daemon (on the socketpair it was born with, or after Adopt) ---
 * CheckIn          s server name, t tag, s token, s bundle id                   -> i code
 * Embed            s absolute path of a bundle        -> i code, s message      a program that hosts the driver itself: answered
 * when
 *                                                     the registry wants the host, which this connection then is
 * CreateService    t parent, a{sv} properties         -> i code, t entry        IOService::Create of a non-user-client
 * RegisterService  t entry                            -> i code
 * SetProperties    t entry, a{sv} changes, as removed -> i code
 * SetName          t entry, s name                    -> i code
 * Terminate        t entry, t options                 -> i code
 * DidStop          t entry                            ->                        the driver has called the base Stop
 * ConnectionClosed t connection                       ->                        app closed or died; Stop has been delivered
 * Adopt            s server name, t tag, s token, s bundle id, aa{sv} entries   -> i code
 *                                                     to a daemon that did not launch us. Entries, parents first: "id", "parent",
 *                                                     "name", "class", "state", "started" b, "properties", "runtime" a{sv},
 *                                                     for user clients also "connection" t.
 *
 * --- Host1: daemon -> host ---
 * LoadModule       s path of the bundle               -> i code, s message
 * Start            t entry, t provider, s provider class, s provider name, a{sv} provider properties,
 *                  s user class, a{sv} properties, as classes -> i code
 * NewUserClient    t service, t connection (= the user client's entry), u type, s creator, a{sv} entitlements,
 *                  h channel, h side, h app pidfd     -> i code, s user class, a{sv} properties
 *                                                     code 0: the user client exists and its Start returned 0
 * Stop             t entry, b wait                    -> i code                 a service's or user client's Stop
 * Exit             s reason                           ->
 */
#define AMB_SIGNATURE_ENTRY_ROW "a{sv}"

/* Environment of a launched host: the socketpair's fd number, and what CheckIn must present. */
#define AMB_HOST_FD_VARIABLE "AMBIDEXT_HOST_FD"
#define AMB_HOST_WORDS_VARIABLE "AMBIDEXT_HOST_WORDS_FD"        /* a sanitizer's last line goes there; only with --sanitized */
#define AMB_HOST_TAG_VARIABLE "AMBIDEXT_HOST_TAG"
#define AMB_HOST_TOKEN_VARIABLE "AMBIDEXT_HOST_TOKEN"
#define AMB_HOST_NAME_VARIABLE "AMBIDEXT_HOST_NAME"            /* the server name and the bundle id that it checks in with */
#define AMB_HOST_BUNDLE_ID_VARIABLE "AMBIDEXT_HOST_BUNDLE_ID"
#define AMB_HOST_HID_VARIABLE "AMBIDEXT_HOST_HID"              /* there: its HID devices may be devices of Linux */
#define AMB_HID_RECORDER_VARIABLE "AMBIDEXT_HID_RECORDER"       /* developer mode: who listens there takes the kernel's place */
#define AMB_HOST_BUNDLE_VARIABLE "AMBIDEXT_HOST_BUNDLE"        /* the bundle's directory, which its sandbox lets it read */
#define AMB_REGISTRY_VARIABLE "AMBIDEXT_REGISTRY"
#define AMB_DEXT_PATH_VARIABLE "AMBIDEXT_DEXT_PATH"
