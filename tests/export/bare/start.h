#pragma once
// What start.c gives to a program on bare metal, and what it expects of it.

#include <stdint.h>

int main(void);
void say(const char* text);
void say_number(const char* what, uint32_t number); /* "what 12" and a new line */
