//! Packed weights kept on disk.

use super::{folder, message, stable};
use layerwise::weights::PackCache;
use std::fs;

/// The key that the seeds depend on.
const OF: [&str; 2] = ["a model", "f32"];

/// Bytes before the checksum of a head, and before the list of parts.
const START: usize = 24;
const FIXED: usize = 96;

/// A file of packed weights, as it is and with corrected checksums: an accepted one is written back as it was read.
pub fn packs(bytes: &[u8]) {
    for bytes in [bytes.to_vec(), with_sums(bytes)] {
        let folder = folder(&[]);
        let cache = PackCache::new(folder.path(), stable());
        let path = cache.keep(&OF, &[]).unwrap();
        fs::write(&path, &bytes).unwrap();
        match cache.open(&OF) {
            Err(error) => drop(message(error)),
            Ok(packs) => {
                let packs = packs.expect("there is a file");
                let parts = packs.parts().iter();
                let parts: Vec<&[u8]> = parts.map(|own| &packs.as_ref()[own.clone()]).collect();
                cache.keep(&OF, &parts).unwrap();
                assert_eq!(fs::read(&path).unwrap(), bytes);
            }
        }
    }
}

/// A file with corrected checksums, as far as it has parts.
fn with_sums(bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    let number = |bytes: &[u8], at: usize| {
        let own = bytes.get(at..at + 8)?;
        usize::try_from(u64::from_le_bytes(own.try_into().ok()?)).ok()
    };
    let head = |count: usize| {
        Some(
            count
                .checked_mul(16)?
                .checked_add(FIXED)?
                .next_multiple_of(4096),
        )
    };
    let Some((count, mut first)) =
        number(&bytes, FIXED - 8).and_then(|count| Some((count, head(count)?)))
    else {
        return bytes;
    };
    let length = first;
    if length > bytes.len() {
        return bytes;
    }
    for part in 0..count {
        let entry = FIXED + 16 * part;
        let last = number(&bytes, entry).and_then(|own| own.checked_add(first));
        let Some(own) = last.and_then(|last| bytes.get(first..last)) else {
            break;
        };
        first += own.len();
        let sum = u64::from(crc32(own)).to_le_bytes();
        bytes[entry + 8..entry + 16].copy_from_slice(&sum);
    }
    let sum = u64::from(crc32(&bytes[START..length])).to_le_bytes();
    bytes[START - 8..START].copy_from_slice(&sum);
    bytes
}

fn crc32(bytes: &[u8]) -> u32 {
    let mut sum = u32::MAX;
    for byte in bytes {
        sum ^= u32::from(*byte);
        for _ in 0..8 {
            sum = (sum >> 1) ^ (0xedb8_8320 & (sum & 1).wrapping_neg());
        }
    }
    !sum
}

pub(super) fn packs_seeds() -> Vec<Vec<u8>> {
    let folder = folder(&[]);
    let cache = PackCache::new(folder.path(), stable());
    let seed = |parts: &[&[u8]]| fs::read(cache.keep(&OF, parts).unwrap()).unwrap();
    vec![
        seed(&[]),
        seed(&[&[1; 128]]),
        seed(&[&[1; 256], &[], &[2; 128]]),
    ]
}
