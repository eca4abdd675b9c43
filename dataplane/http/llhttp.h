/*
 * llhttp, whose method constants have the names of ours: those are called otherwise while its header is read.
 */
#ifndef HTTP_LLHTTP_H
#define HTTP_LLHTTP_H

#define HTTP_GET     LLHTTP_GET
#define HTTP_HEAD    LLHTTP_HEAD
#define HTTP_POST    LLHTTP_POST
#define HTTP_PUT     LLHTTP_PUT
#define HTTP_DELETE  LLHTTP_DELETE
#define HTTP_CONNECT LLHTTP_CONNECT
#define HTTP_OPTIONS LLHTTP_OPTIONS
#define HTTP_TRACE   LLHTTP_TRACE
#define HTTP_PATCH   LLHTTP_PATCH
#include <llhttp.h>
#undef HTTP_GET
#undef HTTP_HEAD
#undef HTTP_POST
#undef HTTP_PUT
#undef HTTP_DELETE
#undef HTTP_CONNECT
#undef HTTP_OPTIONS
#undef HTTP_TRACE
#undef HTTP_PATCH

#endif
