/* Runs every check of checks.h, on a host or on bare metal, and says which models answered otherwise than the engine. */
#ifdef BARE
#include "bare/start.h"
#else
#include <stdint.h>
#include <stdio.h>
static void say_number(const char *what, uint32_t number) { printf("%s %u\n", what, (unsigned)number); }
#endif
#include "checks.h"

int main(void)
{
  unsigned wrong = 0U;
  for (unsigned i = 0U; i < sizeof checks / sizeof checks[0]; ++i) {
    const unsigned here = checks[i].check();
    if (here != 0U) say_number(checks[i].name, here);
    wrong += here;
  }
  say_number("checked", (uint32_t)(sizeof checks / sizeof checks[0]));
  say_number("wrong", wrong);
  return wrong == 0U ? 0 : 1;
}
