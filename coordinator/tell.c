/* What happens, in words: for /api/events. */
#include <stdarg.h>
#include <stdio.h>

#include "coordinator/http/pictures.h"
#include "coordinator/shell.h"

void tell(coordinator *co, event_kind kind, const char *who, const char *fmt, ...)
{
    char text[2 * EVENT_TEXT_SIZE];
    va_list args;
    if (co->pictures == NULL) return;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    pictures_event(co->pictures, kind, who, text);
}
