//! A disk never panics the reader of partition tables. One that is read is healed: both copies are whole then, and say
//! the same as before; and what any command of the boot choice writes is read back as it was meant.
#![no_main]

use libfuzzer_sys::fuzz_target;
use partitions::{Disk, Health, read};
use signpost::{Command, Layout, SetName};
use std::io;

/// Disks of at most 96 sectors: room for both copies with the usual 128 entries.
const MOST: usize = 96 * 512;

struct Memory(Vec<u8>);

impl Disk for Memory {
    fn len_bytes(&mut self) -> io::Result<u64> {
        Ok(self.0.len() as u64)
    }

    fn read_at(&mut self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let start = usize::try_from(offset).map_err(io::Error::other)?;
        let found = start.checked_add(buffer.len()).and_then(|end| self.0.get(start..end));
        buffer.copy_from_slice(found.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let start = usize::try_from(offset).map_err(io::Error::other)?;
        let place = start.checked_add(bytes.len()).and_then(|end| self.0.get_mut(start..end));
        place.ok_or(io::ErrorKind::UnexpectedEof)?.copy_from_slice(bytes);
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Makes the checksums of the header at a sector right, without which nothing behind them would ever be reached.
fn seal(disk: &mut [u8], sector: usize) {
    let at = sector * 512;
    let Some(header) = disk.get(at..at + 512).map(<[u8]>::to_vec) else { return };
    let number = |at: usize| u32::from_le_bytes(header[at..at + 4].try_into().expect("four bytes")) as usize;
    let start = number(72).saturating_mul(512);
    let end = start.saturating_add(number(80).saturating_mul(128));
    if let Some(entries) = disk.get(start..end) {
        let sum = crc32fast::hash(entries);
        disk[at + 88..at + 92].copy_from_slice(&sum.to_le_bytes());
    }
    disk[at + 16..at + 20].fill(0);
    let len = number(12).min(512);
    let sum = crc32fast::hash(&disk[at..at + len]);
    disk[at + 16..at + 20].copy_from_slice(&sum.to_le_bytes());
}

fuzz_target!(|input: &[u8]| {
    let Some((how, disk)) = input.split_first() else { return };
    let mut disk = Memory(disk[..disk.len().min(MOST)].to_vec());
    let sectors = disk.0.len() / 512;
    if how & 1 != 0 {
        seal(&mut disk.0, 1);
    }
    if how & 2 != 0 && sectors > 0 {
        seal(&mut disk.0, sectors - 1);
    }
    let Ok(first) = read(&mut disk) else { return };
    let heal = first.heal();
    heal.execute(&mut disk).expect("what was read has room to be written");
    let healed = read(&mut disk).expect("what was healed can be read");
    assert_eq!((&healed.primary, &healed.backup), (&Health::Good, &Health::Good), "{heal}");
    assert!(first.table.partitions().eq(healed.table.partitions()));
    assert!(healed.heal().is_empty());

    let Ok(layout) = Layout::of(&healed.table) else { return };
    let active = if layout.b.is_some() && how & 4 != 0 { SetName::B } else { SetName::A };
    let state = layout.state(&healed.table, active);
    for command in Command::ALL {
        let Ok(after) = state.apply(command) else { continue };
        let mut table = healed.table.clone();
        layout.write(&mut table, &after).expect("the layout is the table's");
        healed.plan(&table).execute(&mut disk).expect("what was read has room to be written");
        let seen = read(&mut disk).expect("what was written can be read");
        assert_eq!(layout.state(&seen.table, active), after, "{command}");
        seen.plan(&healed.table).execute(&mut disk).expect("what was read has room to be written");
    }
});
