//! Durations ("250ms", "5m"), sizes ("64KiB") and shares as people write them. No defaults here.

use super::{key::Type, section::KeyType};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::time::Duration;

/// A duration in the file: a string with a unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd)]
pub(super) struct Time(Duration);

impl KeyType for Time {
    type Value = Duration;
    const TYPE: Type = Type::Duration;

    fn value(self) -> Duration {
        self.0
    }
    fn of(value: Duration) -> Self {
        Self(value)
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = String::deserialize(d)?;
        humantime::parse_duration(text.trim()).map(Self).map_err(|_| {
            de::Error::custom(format!(
                "`{text}` is not a duration; write a number with a unit, such as \"250ms\", \"30s\" or \"5m\""
            ))
        })
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(&humantime::format_duration(self.0))
    }
}

/// A size in the file: a number of bytes, or a string with a unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd)]
pub(super) struct Bytes<N>(N);

impl<N> KeyType for Bytes<N>
where
    N: Copy + PartialOrd + TryFrom<u64> + TryInto<u64>,
{
    type Value = N;
    const TYPE: Type = Type::Size;

    fn value(self) -> N {
        self.0
    }
    fn of(value: N) -> Self {
        Self(value)
    }
}

impl<'de, N: TryFrom<u64>> Deserialize<'de> for Bytes<N> {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = u64;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a number of bytes or a size such as \"64KiB\" or \"32MiB\"")
            }
            fn visit_i64<E: de::Error>(self, v: i64) -> Result<u64, E> {
                u64::try_from(v).map_err(|_| E::custom(format!("a size cannot be negative, and this is {v}")))
            }
            fn visit_u64<E: de::Error>(self, v: u64) -> Result<u64, E> {
                Ok(v)
            }
            fn visit_str<E: de::Error>(self, v: &str) -> Result<u64, E> {
                parse_size(v).ok_or_else(|| {
                    E::custom(format!("`{v}` is not a size; write bytes, or a number with KiB, MiB or GiB, such as \"32MiB\""))
                })
            }
        }
        let bytes = d.deserialize_any(Visitor)?;
        N::try_from(bytes)
            .map(Self)
            .map_err(|_| de::Error::custom(format!("{bytes} bytes are more than this machine can address")))
    }
}

impl<N: Copy + TryInto<u64>> Serialize for Bytes<N> {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(&format_size(self.0.try_into().unwrap_or(u64::MAX)))
    }
}

/// A share in the file: a number between 0 and 1.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd, Deserialize)]
pub(super) struct Share(f32);

impl KeyType for Share {
    type Value = f32;
    const TYPE: Type = Type::Number;

    fn value(self) -> f32 {
        self.0
    }
    fn of(value: f32) -> Self {
        Self(value)
    }
}

impl Serialize for Share {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        // Through its text: 0.2 as f32 is not 0.2 as f64.
        s.serialize_f64(self.0.to_string().parse().unwrap_or_default())
    }
}

const UNITS: [(&str, u64); 8] = [
    ("gib", 1 << 30),
    ("mib", 1 << 20),
    ("kib", 1 << 10),
    ("gb", 1_000_000_000),
    ("mb", 1_000_000),
    ("kb", 1_000),
    ("b", 1),
    ("", 1),
];

/// Parses "64KiB", "1MB", "512" into bytes; `None` when it is no size or does not fit.
pub fn parse_size(text: &str) -> Option<u64> {
    let lower = text.trim().to_ascii_lowercase();
    let (number, factor) = UNITS.iter().find_map(|(unit, factor)| lower.strip_suffix(unit).map(|n| (n, *factor)))?;
    number.trim().parse::<u64>().ok()?.checked_mul(factor)
}

/// The largest binary unit that divides the size: 32 MiB is "32MiB", 1000 is "1000B".
pub fn format_size(bytes: u64) -> String {
    match bytes {
        0 => "0B".into(),
        b if b.is_multiple_of(1 << 30) => format!("{}GiB", b >> 30),
        b if b.is_multiple_of(1 << 20) => format!("{}MiB", b >> 20),
        b if b.is_multiple_of(1 << 10) => format!("{}KiB", b >> 10),
        b => format!("{b}B"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_and_written() {
        for (text, bytes) in [("64KiB", 65_536), (" 32 MiB ", 33_554_432), ("1GB", 1_000_000_000), ("7", 7), ("7b", 7), ("0", 0)]
        {
            assert_eq!(parse_size(text), Some(bytes), "{text}");
        }
        for bad in ["", "MiB", "-1", "1.5MiB", "99999999999GiB", "1 TiBx"] {
            assert_eq!(parse_size(bad), None, "{bad}");
        }
        for bytes in [0, 1, 1023, 1024, 1 << 20, 3 << 30, (1 << 20) + 1] {
            assert_eq!(parse_size(&format_size(bytes)), Some(bytes));
        }
    }
}
