#include "base/cpu.h"

#include <unistd.h>

/* No call into libc but write(): nothing here may be inlined that was compiled for more. */
CPU_ANY static void say(const char *text)
{
	unsigned long n = 0;

	while (text[n])
		n++;
	if (write(STDERR_FILENO, text, n) < 0)
		_exit(1);
}

CPU_ANY __attribute__((noinline)) void cpu_check(const char *program)
{
	__builtin_cpu_init();
	if (__builtin_cpu_supports("x86-64-v3"))
		return;
	say(program);
	say(": this CPU lacks AVX2, BMI or FMA: x86-64-v3 is needed (Intel Haswell, AMD Zen or later)\n");
	_exit(1);
}
