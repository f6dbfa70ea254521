/* The functions of <string.h> that the kernel calls; compiler_builtins or the mask ROM provides them. */
#ifndef ESPB_STRING_H
#define ESPB_STRING_H

#include <stddef.h>

void * memcpy( void * destination, const void * source, size_t length );
void * memset( void * destination, int value, size_t length );
int memcmp( const void * left, const void * right, size_t length );
size_t strlen( const char * string );

#endif
