/* The least that a Cortex-M needs before main() and after it, without a C library: a vector table, data and bss, the FPU if
   the compiler uses it, and semihosting (Arm's convention for a debugger or QEMU) to print and to end. */
#include "start.h"

#include <stdint.h>
#include <string.h>

void reset(void);
extern uint32_t data_load[], data_begin[], data_end[], bss_begin[], bss_end[], stack_top[];

void *memcpy(void *to, const void *from, size_t bytes)
{
  unsigned char *into = (unsigned char *)to;
  const unsigned char *of = (const unsigned char *)from;
  for (size_t i = 0; i < bytes; ++i) into[i] = of[i];
  return to;
}

void *memset(void *to, int byte, size_t bytes)
{
  unsigned char *into = (unsigned char *)to;
  for (size_t i = 0; i < bytes; ++i) into[i] = (unsigned char)byte;
  return to;
}

int memcmp(const void *a, const void *b, size_t bytes)
{
  const unsigned char *left = (const unsigned char *)a;
  const unsigned char *right = (const unsigned char *)b;
  for (size_t i = 0; i < bytes; ++i) {
    if (left[i] != right[i]) return left[i] < right[i] ? -1 : 1;
  }
  return 0;
}

static void host(uint32_t call, const void *argument)
{
  register uint32_t r0 __asm__("r0") = call;
  register const void *r1 __asm__("r1") = argument;
  __asm__ volatile("bkpt 0xAB" : "+r"(r0) : "r"(r1) : "memory");
}

void say(const char *text) { host(0x04, text); }

void say_number(const char *what, uint32_t number)
{
  char digits[12];
  unsigned at = sizeof digits - 1U;
  digits[at] = '\0';
  digits[--at] = '\n';
  do {
    digits[--at] = (char)('0' + (char)(number % 10U));
    number /= 10U;
  } while (number != 0U);
  say(what);
  say(" ");
  say(digits + at);
}

static void end(uint32_t code)
{
  const uint32_t exit[2] = {0x20026U, code};
  for (;;) host(0x20, exit);
}

static void fault(void)
{
  say("fault\n");
  end(3);
}

void reset(void)
{
#ifdef __ARM_FP
  *(volatile uint32_t *)0xE000ED88U |= 0xFU << 20; /* CPACR: the FPU is on */
  __asm__ volatile("dsb\nisb");
#endif
  for (uint32_t *to = data_begin, *from = data_load; to < data_end;) *to++ = *from++;
  for (uint32_t *to = bss_begin; to < bss_end;) *to++ = 0U;
  end((uint32_t)main());
}

__attribute__((section(".vectors"), used)) static const struct {
  const uint32_t *stack;
  void (*handlers[15])(void);
} vectors = {stack_top,
             {reset, fault, fault, fault, fault, fault, fault, fault, fault, fault, fault, fault, fault, fault, fault}};
