//! Archives whose bytes depend on what is in them alone: entries in order, one time for all, no owner.

use crate::release::parts::Entry;
use anyhow::{Result, ensure};
use flate2::{Compression, Crc, GzBuilder, write::DeflateEncoder};
use std::io::Write;

const BLOCK: usize = 512;
/// What a tar's size field holds.
const LARGEST: u64 = 0o77_777_777_777;
/// MS-DOS, version 2.0, and UNIX, version 3.0: the second one has modes.
const MADE_BY: u16 = 3 << 8 | 30;
const DEFLATED: u16 = 8;
/// Names are UTF-8.
const FLAGS: u16 = 1 << 11;

fn mode(entry: &Entry) -> u32 {
    if entry.program { 0o755 } else { 0o644 }
}

fn sorted(entries: &[Entry]) -> Vec<&Entry> {
    let mut sorted: Vec<_> = entries.iter().collect();
    sorted.sort_by(|a, b| a.path.cmp(&b.path));
    sorted
}

/// A `.tar.gz`. `time` is in seconds since 1970.
pub(crate) fn tar_gz(entries: &[Entry], time: u64) -> Result<Vec<u8>> {
    let mut gzip = GzBuilder::new().write(Vec::new(), Compression::default());
    gzip.write_all(&tar(entries, time)?)?;
    Ok(gzip.finish()?)
}

fn tar(entries: &[Entry], time: u64) -> Result<Vec<u8>> {
    let mut tar = Vec::new();
    for entry in sorted(entries) {
        tar.extend(head(entry, time)?);
        tar.extend(&entry.bytes);
        tar.resize(tar.len().next_multiple_of(BLOCK), 0);
    }
    tar.resize(tar.len() + 2 * BLOCK, 0);
    Ok(tar)
}

/// In the form of POSIX's ustar.
fn head(entry: &Entry, time: u64) -> Result<[u8; BLOCK]> {
    let mut head = [0; BLOCK];
    let mut put = |at: usize, bytes: &[u8]| head[at..at + bytes.len()].copy_from_slice(bytes);
    let (prefix, name) = match entry.path.len() {
        ..=100 => ("", entry.path.as_str()),
        _ => entry.path.rsplit_once('/').unwrap_or_default(),
    };
    ensure!(!name.is_empty() && name.len() <= 100 && prefix.len() <= 155, "{}: too long a name for a tar", entry.path);
    let size = entry.bytes.len() as u64;
    ensure!(size <= LARGEST, "{}: too large for a tar", entry.path);
    put(0, name.as_bytes());
    put(100, format!("{:07o}\0{:07o}\0{:07o}\0", mode(entry), 0, 0).as_bytes());
    put(124, format!("{size:011o}\0{time:011o}\0").as_bytes());
    put(148, b"        0");
    put(257, b"ustar\x0000");
    put(345, prefix.as_bytes());
    let sum: u32 = head.iter().map(|byte| u32::from(*byte)).sum();
    head[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    Ok(head)
}

/// A `.zip` (a wheel is one, too).
pub(crate) fn zip(entries: &[Entry], time: u64) -> Result<Vec<u8>> {
    let (mut zip, mut directory) = (Vec::new(), Vec::new());
    let (clock, date) = dos(time);
    let list = sorted(entries);
    for entry in &list {
        let mut deflate = DeflateEncoder::new(Vec::new(), Compression::default());
        deflate.write_all(&entry.bytes)?;
        let packed = deflate.finish()?;
        let mut crc = Crc::new();
        crc.update(&entry.bytes);
        let mut common = Vec::new();
        for word in [20, FLAGS, DEFLATED, clock, date] {
            common.extend(word.to_le_bytes());
        }
        for long in [crc.sum(), u32::try_from(packed.len())?, u32::try_from(entry.bytes.len())?] {
            common.extend(long.to_le_bytes());
        }
        common.extend(u16::try_from(entry.path.len())?.to_le_bytes());
        common.extend(0u16.to_le_bytes());
        directory.extend(b"PK\x01\x02");
        directory.extend(MADE_BY.to_le_bytes());
        directory.extend(&common);
        // No comment, first disk, binary.
        directory.extend([0; 6]);
        directory.extend(((0o100_000 | mode(entry)) << 16).to_le_bytes());
        directory.extend(u32::try_from(zip.len())?.to_le_bytes());
        directory.extend(entry.path.as_bytes());
        zip.extend(b"PK\x03\x04");
        zip.extend(common);
        zip.extend(entry.path.as_bytes());
        zip.extend(packed);
    }
    let (at, count) = (u32::try_from(zip.len())?, u16::try_from(list.len())?);
    zip.extend(&directory);
    zip.extend(b"PK\x05\x06\0\0\0\0");
    zip.extend(count.to_le_bytes());
    zip.extend(count.to_le_bytes());
    zip.extend(u32::try_from(directory.len())?.to_le_bytes());
    zip.extend(at.to_le_bytes());
    zip.extend([0; 2]);
    Ok(zip)
}

/// Time and date as a zip says them. It knows no year before 1980.
fn dos(time: u64) -> (u16, u16) {
    let (year, month, day) = date(time);
    if year < 1980 {
        return (0, 1 << 5 | 1);
    }
    let of_day = time % 86_400;
    let clock = ((of_day / 3600) << 11) | ((of_day / 60 % 60) << 5) | (of_day % 60 / 2);
    let date = (year - 1980) << 9 | month << 5 | day;
    (u16::try_from(clock).unwrap_or(0), u16::try_from(date).unwrap_or(1 << 5 | 1))
}

/// Year, month and day of a time in seconds since 1970 (Howard Hinnant's civil_from_days).
pub(crate) fn date(time: u64) -> (u64, u64, u64) {
    let days = time / 86_400 + 719_468;
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let shifted = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (year + era * 400 + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_right() {
        assert_eq!(date(0), (1970, 1, 1));
        assert_eq!(date(951_782_400), (2000, 2, 29));
        assert_eq!(date(1_796_083_199), (2026, 11, 30));
        assert_eq!(dos(0), (0, 33));
        assert_eq!(dos(951_782_400 + 3661), (1 << 11 | 1 << 5, 20 << 9 | 2 << 5 | 29));
    }

    #[test]
    fn the_order_of_entries_changes_no_byte() {
        let (a, b) = (Entry::text("a", "1"), Entry { path: "b/c".into(), bytes: vec![7; 600], program: true });
        let (one, other) = ([a.clone(), b.clone()], [b, a]);
        assert_eq!(tar_gz(&one, 5).unwrap(), tar_gz(&other, 5).unwrap());
        assert_eq!(zip(&one, 5).unwrap(), zip(&other, 5).unwrap());
        assert_ne!(tar_gz(&one, 5).unwrap(), tar_gz(&one, 6).unwrap());
    }

    #[test]
    fn a_name_that_is_too_long_is_refused() {
        let long = |length: usize| tar(&[Entry::text("x".repeat(length), "")], 0);
        assert!(long(100).is_ok() && long(101).is_err());
        assert!(tar(&[Entry::text(format!("{}/{}", "d".repeat(150), "f".repeat(99)), "")], 0).is_ok());
    }
}
