/* A program built for a newer processor says so, instead of dying of an unknown instruction. */
#ifndef RT_CLI_CPU_GUARD_H
#define RT_CLI_CPU_GUARD_H

/* What this program was built to use and this processor does not have; NULL: nothing. */
const char *cpu_guard_missing(void);

#endif
