//! A log against a plain model of a disk with a cache.
#![allow(clippy::unwrap_used, reason = "tests may panic")]

use proptest::prelude::*;
use std::io::{Read, Write};
use write_log::{Log, Loss, Replay, SECTOR};

const SECTORS: u64 = 32;
const SECTOR_LEN: usize = 512;
const BYTES: usize = 32 * SECTOR_LEN;

/// A request: first sector, number of sectors, what is written; or a flush, or a discard.
#[derive(Clone, Debug)]
enum Request {
    Write(u64, u64, u8),
    Forced(u64, u64, u8),
    Discard(u64, u64),
    Flush,
}

fn request() -> impl Strategy<Value = Request> {
    let place = || (0..SECTORS).prop_flat_map(|first| (Just(first), 1..=(SECTORS - first).min(6)));
    prop_oneof![
        6 => (place(), any::<u8>()).prop_map(|((first, count), byte)| Request::Write(first, count, byte)),
        1 => (place(), any::<u8>()).prop_map(|((first, count), byte)| Request::Forced(first, count, byte)),
        1 => place().prop_map(|(first, count)| Request::Discard(first, count)),
        2 => Just(Request::Flush),
    ]
}

/// The log that QEMU would write.
fn log(requests: &[Request]) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    let mut block = [0; SECTOR_LEN];
    block[..8].copy_from_slice(&0x006a_7366_7773_6872_u64.to_le_bytes());
    block[8] = 1;
    block[16..24].copy_from_slice(&(requests.len() as u64).to_le_bytes());
    block[24..28].copy_from_slice(&512_u32.to_le_bytes());
    file.write_all(&block).unwrap();
    for request in requests {
        let (first, count, flags, byte) = match *request {
            Request::Write(first, count, byte) => (first, count, 0, Some(byte)),
            Request::Forced(first, count, byte) => (first, count, 2, Some(byte)),
            Request::Discard(first, count) => (first, count, 4, None),
            Request::Flush => (0, 0, 1_u64, None),
        };
        let mut block = [0; SECTOR_LEN];
        for (place, value) in [(0, first), (8, count), (16, flags)] {
            block[place..place + 8].copy_from_slice(&value.to_le_bytes());
        }
        file.write_all(&block).unwrap();
        if let Some(byte) = byte {
            file.write_all(&vec![byte; usize::try_from(count * SECTOR).unwrap()]).unwrap();
        }
    }
    file
}

/// What a sector may hold after a cut: what lasts, and what was written since.
fn possible(requests: &[Request], base: u8) -> Vec<Vec<u8>> {
    let mut sectors = vec![vec![base]; usize::try_from(SECTORS).unwrap()];
    for request in requests {
        let (first, count, byte, lasts) = match *request {
            Request::Write(first, count, byte) => (first, count, byte, false),
            Request::Forced(first, count, byte) => (first, count, byte, true),
            Request::Discard(first, count) => (first, count, 0, false),
            Request::Flush => {
                for sector in &mut sectors {
                    *sector = vec![*sector.last().unwrap()];
                }
                continue;
            }
        };
        for sector in &mut sectors[usize::try_from(first).unwrap()..usize::try_from(first + count).unwrap()] {
            if lasts {
                sector[0] = byte;
            } else {
                sector.push(byte);
            }
        }
    }
    sectors
}

proptest! {
    #[test]
    fn a_cut_leaves_what_a_disk_with_a_cache_could_leave(
        requests in prop::collection::vec(request(), 1..24),
        places in prop::collection::vec(any::<prop::sample::Index>(), 1..4),
        seed in any::<u64>(),
    ) {
        // A forced write is its own flush of itself; the model would have to know what it goes over.
        let requests: Vec<Request> = requests
            .into_iter()
            .flat_map(|request| match request {
                Request::Forced(..) => vec![Request::Flush, request, Request::Flush],
                request => vec![request],
            })
            .collect();
        let mut base = tempfile::NamedTempFile::new().unwrap();
        base.write_all(&[0xee; BYTES]).unwrap();
        let file = log(&requests);
        let log = Log::open(file.path()).unwrap();
        prop_assert_eq!(log.entries().len(), requests.len());
        let region = 0..BYTES as u64;
        let mut replay = Replay::new(&log, base.as_file(), vec![region.clone()]).unwrap();
        let mut places: Vec<_> = places.iter().map(|place| place.index(requests.len() + 1)).collect();
        places.sort_unstable();
        let mut seen: Vec<(write_log::Fingerprint, Vec<u8>)> = Vec::new();
        for place in places {
            replay.advance_to(place).unwrap();
            let possible = possible(&requests[..place], 0xee);
            for loss in [Loss::All, Loss::Nothing, Loss::Some(seed), Loss::Torn(seed)] {
                let mut state = replay.after_cut(loss).unwrap();
                let mut bytes = Vec::new();
                state.read_to_end(&mut bytes).unwrap();
                prop_assert_eq!(&bytes, &state.region(&region).unwrap());
                for (sector, possible) in bytes.chunks(SECTOR_LEN).zip(&possible) {
                    prop_assert!(sector.iter().all(|byte| *byte == sector[0]));
                    let allowed = match loss {
                        Loss::All => &possible[..1],
                        Loss::Nothing => &possible[possible.len() - 1..],
                        Loss::Some(_) | Loss::Torn(_) => &possible[..],
                    };
                    prop_assert!(allowed.contains(&sector[0]), "{sector:?} of {possible:?} after {loss:?}");
                }
                let fingerprint = state.fingerprint(&region);
                for (other, content) in &seen {
                    prop_assert!(*other != fingerprint || *content == bytes, "one fingerprint, two contents");
                }
                seen.push((fingerprint, bytes));
            }
        }
    }
}
