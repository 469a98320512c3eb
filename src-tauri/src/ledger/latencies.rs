//! Histograms as bytes: pairs of varints, the distance to the last value and its count. Small, and mergeable exactly.

use hdrhistogram::Histogram;

/// What `read` takes back.
pub(super) fn write(histogram: &Histogram<u32>) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut last = 0;
    for step in histogram.iter_recorded() {
        put(&mut bytes, step.value_iterated_to() - last);
        put(&mut bytes, step.count_at_value().into());
        last = step.value_iterated_to();
    }
    bytes
}

/// Adds what was written to a histogram; stops at what makes no sense.
pub(super) fn read(bytes: &[u8], into: &mut Histogram<u32>) {
    let mut rest = bytes;
    let mut value = 0u64;
    while let (Some(distance), Some(count)) = (take(&mut rest), take(&mut rest)) {
        value = value.saturating_add(distance);
        into.saturating_record_n(value.max(1), u32::try_from(count).unwrap_or(u32::MAX));
    }
}

/// LEB128: seven bits a byte, the lowest first.
fn put(bytes: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        bytes.push(value.to_le_bytes()[0] | 0x80);
        value >>= 7;
    }
    bytes.push(value.to_le_bytes()[0]);
}

fn take(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::histogram;

    #[test]
    fn what_is_written_is_read_and_merged() {
        let (mut one, mut other) = (histogram(), histogram());
        for value in [1, 127, 128, 300, 70_000, 3_599_999_999] {
            one.record_n(value, 3).unwrap();
            other.record(value * 2 % 3_600_000_000 + 1).unwrap();
        }
        let mut merged = histogram();
        read(&write(&one), &mut merged);
        assert_eq!(merged, one);
        read(&write(&other), &mut merged);
        one.add(&other).unwrap();
        assert_eq!(merged, one);
        assert!(write(&one).len() < 100, "{} bytes", write(&one).len());
    }

    #[test]
    fn bytes_without_sense_do_no_harm() {
        for bytes in [&[][..], &[0xff; 30], &[1], &[0x80], &[5, 0xff, 0xff, 0xff, 0xff, 0x7f], &[0, 1]] {
            let mut histogram = histogram();
            read(bytes, &mut histogram);
            histogram.value_at_quantile(0.5);
        }
    }
}
