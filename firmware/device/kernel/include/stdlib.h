/* The kernel includes <stdlib.h> and uses nothing of it; the image has no C library. */
#ifndef ESPB_STDLIB_H
#define ESPB_STDLIB_H

#include <stddef.h>

#endif
