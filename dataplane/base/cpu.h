/*
 * Everything is compiled for x86-64-v3, but for main() of each program and cpu_check(): these are for any x86-64, so
 * that they live to say what the machine lacks, instead of dying of SIGILL somewhere.
 *
 *     CPU_ANY int main(int argc, char **argv)
 *     {
 *             cpu_check("sluice-control");
 *             return run(argc, argv);
 *     }
 */
#ifndef BASE_CPU_H
#define BASE_CPU_H

#define CPU_ANY __attribute__((target("arch=x86-64")))

/* First of all in main(): ends the program with a message when this CPU is not one that it is compiled for. */
void cpu_check(const char *program);

#endif
