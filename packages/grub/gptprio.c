/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * gptprio - choose the partition set to boot from the bits in the GPT.
 *
 *   gptprio.next -d DEVICE_VAR -u UUID_VAR [-p PRIVATE_VAR]
 *
 * Copyright (C) the Visco authors.
 *
 * This program is free software: you can redistribute it and/or modify it
 * under the terms of the GNU General Public License as published by the Free
 * Software Foundation, either version 3 of the License, or (at your option)
 * any later version.  It comes WITHOUT ANY WARRANTY; see LICENSE-GPL-3.0.
 * It is a module of GNU GRUB and is licensed apart from the rest of the tree.
 *
 * A set is named by its BOOT partition; the rule by which one is chosen is in
 * gptprio_rule.h.  A set that is not successful pays one try, on the disk,
 * before it is named.  A successful set pays nothing, so an ordinary boot
 * writes nothing.
 *
 * Either copy of the table is enough.  A primary copy that is damaged is
 * written anew at once, because GRUB's own partition code reads no other and
 * could not open the partition chosen; a damaged backup waits for the next
 * write there is.  The copy that was believed is written last: with a whole
 * primary that means the backup first, then the primary.  In each the entries
 * go before the header.  So a power cut at any point leaves one copy valid,
 * with the old bits or with the new.
 *
 * When the firmware refuses the write that counts a try, the set is passed
 * over and a successful one is taken: a try that is not counted would let a
 * broken set be tried for ever.
 *
 * On an error no variable is touched.
 */
#include <stddef.h>
#include <grub/types.h>
#include <grub/misc.h>
#include <grub/mm.h>
#include <grub/disk.h>
#include <grub/env.h>
#include <grub/err.h>
#include <grub/dl.h>
#include <grub/extcmd.h>
#include <grub/gpt_partition.h>
#include <grub/i18n.h>

#include "gptprio_rule.h"

GRUB_MOD_LICENSE ("GPLv3+");

#define PRIMARY_LBA 1
#define PRIMARY_ENTRIES_LBA 2

/* What a table may measure.  UEFI 2.10, 5.3.2 asks for 128 entries of 128
   bytes; these leave room and bound the memory a damaged header can claim.  */
#define MAX_ENTRIES 1024
#define MAX_ENTRY_SIZE 4096
#define MAX_ARRAY_SIZE (1024 * 1024)

static const grub_gpt_part_guid_t boot_type = {
  grub_cpu_to_le32_compile_time (0x6b636168),
  grub_cpu_to_le16_compile_time (0x7420),
  grub_cpu_to_le16_compile_time (0x6568),
  {0x20, 0x70, 0x6c, 0x61, 0x6e, 0x65, 0x74, 0x21}
};

static const grub_gpt_part_guid_t private_type = {
  grub_cpu_to_le32_compile_time (0x440408bb),
  grub_cpu_to_le16_compile_time (0xeb0b),
  grub_cpu_to_le16_compile_time (0x4328),
  {0xa6, 0xe5, 0xa2, 0x90, 0x38, 0xfa, 0xd7, 0x06}
};

enum option { OPT_DEVICE, OPT_UUID, OPT_PRIVATE };

static const struct grub_arg_option options[] = {
  {"device", 'd', 0, N_("Set VAR to the device of the BOOT partition."),
   N_("VAR"), ARG_TYPE_STRING},
  {"uuid", 'u', 0, N_("Set VAR to the unique GUID of the BOOT partition."),
   N_("VAR"), ARG_TYPE_STRING},
  {"private", 'p', 0,
   N_("Set VAR to the device of the PRIVATE partition of the same disk."),
   N_("VAR"), ARG_TYPE_STRING},
  {0, 0, 0, 0, 0, 0}
};

/* One valid copy of the table, as it lies on the disk.  */
struct table
{
  struct grub_gpt_header header;
  grub_uint8_t *entries;	/* null: this copy is damaged or absent */
};

/* The disk and what is known about its two copies.  */
struct gpt
{
  grub_disk_t disk;
  struct table table;		/* the copy that is believed */
  int primary_valid;
  grub_uint64_t backup_lba;	/* 0: there is no place for a backup */
};

/* The CRC-32 of UEFI, bit by bit: 16 KiB take no time that can be seen, and a
   table would have to be built or carried.  */
static grub_uint32_t
crc32 (const void *data, grub_size_t size)
{
  const grub_uint8_t *byte = data;
  grub_uint32_t crc = 0xffffffff;

  while (size--)
    {
      int bit;

      crc ^= *byte++;
      for (bit = 0; bit < 8; bit++)
	crc = (crc >> 1) ^ (crc & 1 ? 0xedb88320 : 0);
    }
  return ~crc;
}

/* GRUB's reads and writes count 512-byte sectors on every medium.  */
static grub_disk_addr_t
sector_of (grub_disk_t disk, grub_uint64_t lba)
{
  return lba << (disk->log_sector_size - GRUB_DISK_SECTOR_BITS);
}

static grub_size_t
block_size (grub_disk_t disk)
{
  return (grub_size_t) 1 << disk->log_sector_size;
}

/* Whether COUNT blocks at LBA are on the disk, as far as the firmware says.  */
static int
on_disk (grub_disk_t disk, grub_uint64_t lba, grub_uint64_t count)
{
  grub_uint64_t total = disk->total_sectors;

  if (total == GRUB_DISK_SIZE_UNKNOWN)
    total = 1ULL << (63 - disk->log_sector_size);
  return lba <= total && count <= total - lba;
}

static grub_uint32_t
entry_count (const struct table *table)
{
  return grub_le_to_cpu32 (table->header.maxpart);
}

static grub_uint32_t
entry_size (const struct table *table)
{
  return grub_le_to_cpu32 (table->header.partentry_size);
}

static grub_size_t
array_size (const struct table *table)
{
  return (grub_size_t) entry_count (table) * entry_size (table);
}

static grub_uint64_t
array_blocks (grub_disk_t disk, const struct table *table)
{
  return (array_size (table) + block_size (disk) - 1) >> disk->log_sector_size;
}

static struct grub_gpt_partentry *
entry_at (const struct table *table, grub_uint32_t index)
{
  return (void *) (table->entries + (grub_size_t) index * entry_size (table));
}

static void
table_free (struct table *table)
{
  grub_free (table->entries);
  table->entries = 0;
}

/* The header's checksum covers itself as zero, and may cover more bytes than
   the fields known here.  SECTOR is the header's whole block.  */
static int
header_is_sound (grub_disk_t disk, const struct grub_gpt_header *header,
		 grub_uint8_t *sector, grub_uint64_t lba)
{
  grub_uint32_t size = grub_le_to_cpu32 (header->headersize);
  grub_uint32_t count = grub_le_to_cpu32 (header->maxpart);
  grub_uint32_t each = grub_le_to_cpu32 (header->partentry_size);

  if (grub_memcmp (header->magic, "EFI PART", sizeof (header->magic)) != 0
      || size < sizeof (*header) || size > block_size (disk)
      || grub_le_to_cpu64 (header->primary) != lba)
    return 0;
  grub_memset (sector + offsetof (struct grub_gpt_header, crc32), 0,
	       sizeof (header->crc32));
  if (crc32 (sector, size) != grub_le_to_cpu32 (header->crc32))
    return 0;
  return count > 0 && count <= MAX_ENTRIES
    && each >= sizeof (struct grub_gpt_partentry) && each <= MAX_ENTRY_SIZE
    && (each & (each - 1)) == 0 && count * each <= MAX_ARRAY_SIZE;
}

/* Reads and checks the copy at LBA.  Returns whether it is valid; the header
   is left in TABLE even when it is not, for the hint it may hold.  */
static int
table_read (grub_disk_t disk, grub_uint64_t lba, struct table *table)
{
  grub_uint8_t *sector;
  int valid = 0;

  grub_memset (table, 0, sizeof (*table));
  sector = grub_malloc (block_size (disk));
  if (sector && on_disk (disk, lba, 1)
      && grub_disk_read (disk, sector_of (disk, lba), 0, block_size (disk),
			 sector) == GRUB_ERR_NONE)
    {
      grub_memcpy (&table->header, sector, sizeof (table->header));
      valid = header_is_sound (disk, &table->header, sector, lba);
    }
  grub_free (sector);

  if (valid)
    {
      grub_uint64_t first = grub_le_to_cpu64 (table->header.partitions);

      table->entries = grub_malloc (array_size (table));
      valid = table->entries
	&& on_disk (disk, first, array_blocks (disk, table))
	&& grub_disk_read (disk, sector_of (disk, first), 0,
			   array_size (table), table->entries) == GRUB_ERR_NONE
	&& crc32 (table->entries, array_size (table))
	== grub_le_to_cpu32 (table->header.partentry_crc32);
    }
  if (!valid)
    table_free (table);
  grub_errno = GRUB_ERR_NONE;
  return valid;
}

/* Finds a copy to believe.  The backup is looked for where the primary's
   header says, even when that header is damaged (a copy is proved by its own
   checksums, so a wrong hint does no harm), then at the end of the disk: on a
   disk that grew these differ.  */
static grub_err_t
gpt_read (grub_disk_t disk, struct gpt *gpt)
{
  grub_uint64_t places[2];
  unsigned i;

  gpt->disk = disk;
  gpt->primary_valid = table_read (disk, PRIMARY_LBA, &gpt->table);
  places[0] = grub_le_to_cpu64 (gpt->table.header.backup);
  places[1] = disk->total_sectors - 1;

  if (gpt->primary_valid)
    {
      gpt->backup_lba = places[0];
      return GRUB_ERR_NONE;
    }
  for (i = 0; i < ARRAY_SIZE (places); i++)
    if (places[i] > PRIMARY_LBA && table_read (disk, places[i], &gpt->table))
      {
	gpt->backup_lba = places[i];
	return GRUB_ERR_NONE;
      }
  return grub_error (GRUB_ERR_BAD_PART_TABLE,
		     "neither copy of the partition table of %s is valid",
		     disk->name);
}

/* Writes the believed table as the copy whose header lies at LBA: entries,
   then header.  */
static grub_err_t
copy_write (struct gpt *gpt, grub_uint64_t lba, grub_uint64_t other_lba,
	    grub_uint64_t entries_lba)
{
  grub_disk_t disk = gpt->disk;
  struct grub_gpt_header header = gpt->table.header;
  grub_uint8_t *sector;

  sector = grub_zalloc (block_size (disk));
  if (!sector)
    return grub_errno;

  header.headersize = grub_cpu_to_le32 (sizeof (header));
  header.crc32 = 0;
  header.primary = grub_cpu_to_le64 (lba);
  header.backup = grub_cpu_to_le64 (other_lba);
  header.partitions = grub_cpu_to_le64 (entries_lba);
  header.partentry_crc32 =
    grub_cpu_to_le32 (crc32 (gpt->table.entries, array_size (&gpt->table)));
  header.crc32 = grub_cpu_to_le32 (crc32 (&header, sizeof (header)));
  grub_memcpy (sector, &header, sizeof (header));

  if (grub_disk_write (disk, sector_of (disk, entries_lba), 0,
		       array_size (&gpt->table), gpt->table.entries)
      == GRUB_ERR_NONE)
    grub_disk_write (disk, sector_of (disk, lba), 0, block_size (disk), sector);
  grub_free (sector);
  return grub_errno;
}

/* Writes the primary copy.  Where its entries belong is in its own header, or
   in no header that can be believed.  */
static grub_err_t
primary_write (struct gpt *gpt)
{
  const struct grub_gpt_header *header = &gpt->table.header;
  grub_uint64_t entries = PRIMARY_ENTRIES_LBA;

  if (gpt->primary_valid)
    entries = grub_le_to_cpu64 (header->partitions);
  else if (grub_le_to_cpu64 (header->start)
	   < entries + array_blocks (gpt->disk, &gpt->table))
    return grub_error (GRUB_ERR_BAD_PART_TABLE,
		       "no room for the entries of the primary partition table");
  return copy_write (gpt, PRIMARY_LBA, gpt->backup_lba, entries);
}

/* Writes the backup copy, if there is a place for it behind the partitions and
   the firmware can reach it.  */
static grub_err_t
backup_write (struct gpt *gpt)
{
  grub_uint64_t blocks = array_blocks (gpt->disk, &gpt->table);
  grub_uint64_t last_usable = grub_le_to_cpu64 (gpt->table.header.end);
  grub_uint64_t lba = gpt->backup_lba;

  if (lba <= blocks || lba - blocks <= last_usable || !on_disk (gpt->disk, lba, 1))
    return GRUB_ERR_NONE;
  return copy_write (gpt, lba, PRIMARY_LBA, lba - blocks);
}

/* Writes both copies, the believed one last.  The primary decides: a backup
   that cannot be written is reported and left.  */
static grub_err_t
gpt_write (struct gpt *gpt)
{
  if (gpt->primary_valid)
    {
      if (backup_write (gpt) != GRUB_ERR_NONE)
	grub_print_error ();
      return primary_write (gpt);
    }
  if (primary_write (gpt) != GRUB_ERR_NONE)
    return grub_errno;
  if (backup_write (gpt) != GRUB_ERR_NONE)
    grub_print_error ();
  return GRUB_ERR_NONE;
}

static gptprio_attributes
attributes_of (const struct grub_gpt_partentry *entry)
{
  return grub_le_to_cpu64 (entry->attrib);
}

/* The entry to boot by the rule, or null.  */
static struct grub_gpt_partentry *
choose (const struct table *table, int only_successful)
{
  struct gptprio_best best = { -1, 0 };
  grub_uint32_t i;

  for (i = 0; i < entry_count (table); i++)
    {
      struct grub_gpt_partentry *entry = entry_at (table, i);

      if (grub_memcmp (&entry->type, &boot_type, sizeof (boot_type)) == 0)
	gptprio_consider (&best, i, attributes_of (entry), only_successful);
    }
  return best.index < 0 ? 0 : entry_at (table, best.index);
}

static struct grub_gpt_partentry *
find_private (const struct table *table)
{
  grub_uint32_t i;

  for (i = 0; i < entry_count (table); i++)
    {
      struct grub_gpt_partentry *entry = entry_at (table, i);

      if (grub_memcmp (&entry->type, &private_type, sizeof (private_type)) == 0)
	return entry;
    }
  return 0;
}

/* Takes one of the tries of ENTRY, on the disk.  */
static grub_err_t
pay_try (struct gpt *gpt, struct grub_gpt_partentry *entry)
{
  entry->attrib = grub_cpu_to_le64 (gptprio_paid (attributes_of (entry)));
  return gpt_write (gpt);
}

/* Applies the rule and makes the disk agree with the choice.  */
static struct grub_gpt_partentry *
next (struct gpt *gpt)
{
  struct grub_gpt_partentry *entry = choose (&gpt->table, 0);

  if (entry && !gptprio_is_successful (attributes_of (entry)))
    {
      if (pay_try (gpt, entry) == GRUB_ERR_NONE)
	return entry;
      grub_print_error ();
      grub_printf ("gptprio: a try cannot be recorded, a proven set is wanted\n");
      entry = choose (&gpt->table, 1);
    }
  else if (entry && !gpt->primary_valid && gpt_write (gpt) != GRUB_ERR_NONE)
    grub_print_error ();

  if (!entry)
    grub_error (GRUB_ERR_UNKNOWN_DEVICE, "no partition set of %s is bootable",
		gpt->disk->name);
  return entry;
}

static char *
guid_text (const grub_gpt_part_guid_t *guid)
{
  const grub_uint8_t *rest = guid->data4;

  return grub_xasprintf ("%08x-%04x-%04x-%02x%02x-%02x%02x%02x%02x%02x%02x",
			 grub_le_to_cpu32 (guid->data1),
			 grub_le_to_cpu16 (guid->data2),
			 grub_le_to_cpu16 (guid->data3),
			 rest[0], rest[1], rest[2], rest[3], rest[4], rest[5],
			 rest[6], rest[7]);
}

static char *
device_text (const struct gpt *gpt, const struct grub_gpt_partentry *entry)
{
  grub_size_t offset = (const grub_uint8_t *) entry - gpt->table.entries;

  return grub_xasprintf ("%s,gpt%u", gpt->disk->name,
			 (unsigned) (offset / entry_size (&gpt->table)) + 1);
}

/* Sets the variables asked for, or none of them.  */
static grub_err_t
answer (const struct gpt *gpt, const struct grub_gpt_partentry *entry,
	const struct grub_arg_list *state)
{
  const struct grub_gpt_partentry *private = find_private (&gpt->table);
  char *device = device_text (gpt, entry);
  char *uuid = guid_text (&entry->guid);
  char *private_device = private ? device_text (gpt, private) : 0;

  if (device && uuid && (private_device || !private))
    {
      grub_env_set (state[OPT_DEVICE].arg, device);
      grub_env_set (state[OPT_UUID].arg, uuid);
      if (state[OPT_PRIVATE].set && private_device)
	grub_env_set (state[OPT_PRIVATE].arg, private_device);
    }
  grub_free (device);
  grub_free (uuid);
  grub_free (private_device);
  return grub_errno;
}

/* The disk GRUB itself came from: $root without its partition.  The partition
   cannot be opened yet, its table may have to be repaired first.  */
static grub_disk_t
open_own_disk (void)
{
  const char *root = grub_env_get ("root");
  const char *comma;
  grub_disk_t disk;
  char *name;

  if (!root || !*root)
    {
      grub_error (GRUB_ERR_BAD_DEVICE, "variable `root' is not set");
      return 0;
    }
  comma = grub_strchr (root, ',');
  name = comma ? grub_strndup (root, comma - root) : grub_strdup (root);
  if (!name)
    return 0;
  disk = grub_disk_open (name);
  grub_free (name);
  return disk;
}

static grub_err_t
gptprio_next (grub_extcmd_context_t context, int argc,
	      char **argv __attribute__ ((unused)))
{
  const struct grub_arg_list *state = context->state;
  struct grub_gpt_partentry *entry;
  struct gpt gpt;
  grub_disk_t disk;

  if (argc != 0 || !state[OPT_DEVICE].set || !state[OPT_UUID].set)
    return grub_error (GRUB_ERR_BAD_ARGUMENT,
		       "usage: gptprio.next -d VAR -u VAR [-p VAR]");
  disk = open_own_disk ();
  if (!disk)
    return grub_errno;

  if (gpt_read (disk, &gpt) == GRUB_ERR_NONE)
    {
      entry = next (&gpt);
      if (entry)
	answer (&gpt, entry, state);
      table_free (&gpt.table);
    }
  grub_disk_close (disk);
  return grub_errno;
}

static grub_extcmd_t command;

GRUB_MOD_INIT (gptprio)
{
  command = grub_register_extcmd ("gptprio.next", gptprio_next, 0,
				  N_("-d VAR -u VAR [-p VAR]"),
				  N_("Choose the partition set to boot."),
				  options);
}

GRUB_MOD_FINI (gptprio)
{
  grub_unregister_extcmd (command);
}
