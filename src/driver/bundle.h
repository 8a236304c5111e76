/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Driver bundles: NAME.dext/Info.plist and the shared object that its CFBundleExecutable names.
 *
 * The shared object is copied into a sealed memfd and loaded from there, so that nobody can change the code of a running driver by
 * writing into its file. A bundle stays loaded as long as the process. Any thread; one lock.
 */
#include <DriverKit/OSObject.h>

/* kIOReturnNotFound, kIOReturnUnsupported, kIOReturnNoMemory: then *ret_message (malloc, or NULL) is a sentence for people. */
kern_return_t amb_bundle_load(const char *path, char **ret_message);

/* The program itself, with the libraries it was linked with, counts as a bundle. */
void amb_bundle_add_program(void);

/*
 * The class `name` of a loaded bundle: the symbol gNAMEMetaClass. NULL: then *ret_message says which symbol is missing in
 * which file, and what to write there.
 */
const OSMetaClass *amb_bundle_class(const char *name, char **ret_message);

/*
 * Does anything that is loaded call a function with this in its name that it does not define itself? Also true when that cannot be
 * known, because the runtime is part of the program. A look at symbol tables, again only after something has been loaded.
 */
bool amb_bundle_imports(const char *name);
