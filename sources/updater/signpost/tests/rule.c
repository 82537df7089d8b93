/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Copyright (C) the Visco authors.
 *
 * Puts tables to the rule of GRUB's module: a line is the attributes of the
 * BOOT entries in hexadecimal, the answer the index of the choice, or -1, and
 * the attributes of all afterwards.
 */
#include <stdio.h>
#include <stdlib.h>

#include "gptprio_rule.h"

#define MOST 16

int
main (void)
{
  char line[1024];

  while (fgets (line, sizeof line, stdin))
    {
      gptprio_attributes entries[MOST];
      struct gptprio_best best = { -1, 0 };
      char *at = line;
      long count = 0, i;

      while (count < MOST && *at != '\n' && *at)
	entries[count++] = strtoull (at, &at, 16);
      for (i = 0; i < count; i++)
	gptprio_consider (&best, i, entries[i], 0);
      if (best.index >= 0)
	entries[best.index] = gptprio_paid (entries[best.index]);
      printf ("%ld", best.index);
      for (i = 0; i < count; i++)
	printf (" %016llx", entries[i]);
      putchar ('\n');
    }
  return 0;
}
