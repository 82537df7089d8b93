/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * gptprio_rule - the decision of gptprio, apart from GRUB.
 *
 * Copyright (C) the Visco authors.
 *
 * This program is free software: you can redistribute it and/or modify it
 * under the terms of the GNU General Public License as published by the Free
 * Software Foundation, either version 3 of the License, or (at your option)
 * any later version.  It comes WITHOUT ANY WARRANTY; see LICENSE-GPL-3.0.
 *
 * A set is named by its BOOT partition.  Attribute bits of its GPT entry:
 *
 *   48..51  priority     0 never boots
 *   52..55  tries left   how often a set that has not proved itself may start
 *   56      successful   some boot of this set came up healthy
 *
 * The rule: among the BOOT entries with a priority that are successful or have
 * tries left, the highest priority wins; of equals, the first in the table.
 * A set that is not successful pays one try.
 *
 * Nothing is included: the host's signpost is held to the same rule by a test
 * that compiles this file with the system's compiler.
 */
#ifndef GPTPRIO_RULE_H
#define GPTPRIO_RULE_H

typedef unsigned long long gptprio_attributes;

#define GPTPRIO_PRIORITY_SHIFT 48
#define GPTPRIO_TRIES_SHIFT 52
#define GPTPRIO_SUCCESSFUL_SHIFT 56
#define GPTPRIO_NIBBLE 0xfULL

/* The entry that wins so far.  Starts with index -1 and priority 0.  */
struct gptprio_best
{
  long index;
  unsigned priority;
};

static inline unsigned
gptprio_priority (gptprio_attributes attributes)
{
  return (attributes >> GPTPRIO_PRIORITY_SHIFT) & GPTPRIO_NIBBLE;
}

static inline unsigned
gptprio_tries (gptprio_attributes attributes)
{
  return (attributes >> GPTPRIO_TRIES_SHIFT) & GPTPRIO_NIBBLE;
}

static inline int
gptprio_is_successful (gptprio_attributes attributes)
{
  return (attributes >> GPTPRIO_SUCCESSFUL_SHIFT) & 1;
}

/* Considers the BOOT entry at INDEX; entries come in the order of the table.
   With ONLY_SUCCESSFUL a set that would pay a try is passed over.  */
static inline void
gptprio_consider (struct gptprio_best *best, long index,
		  gptprio_attributes attributes, int only_successful)
{
  unsigned priority = gptprio_priority (attributes);

  if (priority > best->priority
      && (gptprio_is_successful (attributes)
	  || (!only_successful && gptprio_tries (attributes))))
    {
      best->index = index;
      best->priority = priority;
    }
}

/* The attributes of the winner once it has paid what it owes.  */
static inline gptprio_attributes
gptprio_paid (gptprio_attributes attributes)
{
  if (gptprio_is_successful (attributes))
    return attributes;
  return attributes - (1ULL << GPTPRIO_TRIES_SHIFT);
}

#endif
