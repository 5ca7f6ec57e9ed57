/* What one prediction takes: instructions, by a SysTick that QEMU's -icount drives, and stack, by how much of a painted
   stretch of it was overwritten. Compiled with the model's source (MODEL_SOURCE) and the rows to predict (rows.h). */
#include "start.h"

#include MODEL_SOURCE
#include "rows.h"

#define JOINED(a, b) a##b
#define NAMED(a, b) JOINED(a, b)
#define OUTPUTS NAMED(MODEL, _outputs_count)
#define ANSWERS_COUNT NAMED(MODEL, _answers_count)
#define FEATURES NAMED(MODEL, _features_count)

#define PAINTED 8192U
#define PAINT 0xA5U

static volatile uint32_t *const systick = (volatile uint32_t *)0xE000E010U;

static uint32_t ticks(void) { return systick[2]; } /* 24 bits, downwards */
static uint32_t since(uint32_t begin) { return (begin - ticks()) & 0xFFFFFFU; }

static MARGIN margins[OUTPUTS];
#ifdef HAS_ANSWERS
static MARGIN answers[ANSWERS_COUNT];
#endif

__attribute__((noinline)) static void nothing(const float *row)
{
  __asm__ volatile("" : : "r"(row) : "memory");
}
__attribute__((noinline)) static void take_margins(const float *row) { NAMED(MODEL, _margins)(row, margins); }
__attribute__((noinline)) static void take_answers(const float *row)
{
  (void)row;
#ifdef HAS_ANSWERS
  NAMED(MODEL, _answers)(margins, answers);
#endif
}

static uint32_t timed(void (*call)(const float *))
{
  const uint32_t begin = ticks();
  for (unsigned i = 0U; i < ROWS; ++i) call(rows + i * FEATURES);
  return since(begin);
}

__attribute__((noinline)) static uint32_t depth_of(void (*call)(const float *))
{
  uint8_t *here;
  unsigned clean = 0U;
  __asm__ volatile("mov %0, sp" : "=r"(here));
  here -= PAINTED;
  for (unsigned i = 0U; i < PAINTED - 16U; ++i) ((volatile uint8_t *)here)[i] = PAINT;
  for (unsigned i = 0U; i < ROWS; ++i) call(rows + i * FEATURES);
  while (clean < PAINTED && ((volatile uint8_t *)here)[clean] == PAINT) ++clean;
  return PAINTED - clean;
}

int main(void)
{
  uint32_t begin;
  uint32_t empty;
  systick[1] = 0xFFFFFFU;
  systick[2] = 0U;
  systick[0] = 5U; /* on, by the processor's clock, no interrupt */
  begin = ticks();
  __asm__ volatile(".rept 40000\nnop\n.endr");
  say_number("ticks_of_40000", since(begin));
  empty = timed(nothing);
  say_number("rows", ROWS);
  say_number("margins_ticks", timed(take_margins) - empty);
  say_number("answers_ticks", timed(take_answers) - empty);
  say_number("margins_stack", depth_of(take_margins));
  say_number("answers_stack", depth_of(take_answers));
  return 0;
}
