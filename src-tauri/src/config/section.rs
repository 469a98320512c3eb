//! Makes the two structs of a section from its rows in `definition.rs`: the file's, where every key may be missing, and the
//! engine's, which is complete and in range. No key is named here.

use super::key::{Group, Refusal, Type};
use serde::{Serialize, de::DeserializeOwned};
use std::path::PathBuf;

/// A section of the config.
pub(super) trait Section: Sized {
    /// As it stands in the file.
    type Raw;
    /// Its keys and what it is about.
    const GROUP: Group;

    /// Defaults where nothing stands; what stands there is checked against its range.
    ///
    /// # Errors
    /// The key and a sentence for the user.
    fn complete(raw: Self::Raw) -> Result<Self, Refusal>;

    /// What a file says that leads to these values.
    fn written(self) -> Self::Raw;

    /// This section and those in it, in the order of the definition.
    fn groups() -> Vec<Group>;
}

/// The type of a key: `Self` is how it stands in the file.
pub(super) trait KeyType: DeserializeOwned + Serialize + PartialOrd {
    /// What the engine gets.
    type Value;
    /// What users read.
    const TYPE: Type;

    /// For the engine.
    fn value(self) -> Self::Value;
    /// For the file.
    fn of(value: Self::Value) -> Self;
}

/// Types that are the same in the file and in the engine.
macro_rules! plain {
    ($($kind:ty: $shown:expr,)+) => {
        $(impl $crate::config::section::KeyType for $kind {
            type Value = Self;
            const TYPE: $crate::config::key::Type = $shown;

            fn value(self) -> Self {
                self
            }
            fn of(value: Self) -> Self {
                value
            }
        })+
    };
}

plain! {
    bool: Type::Boolean,
    u32: Type::Integer,
    usize: Type::Integer,
    String: Type::Text,
    PathBuf: Type::Text,
    Vec<String>: Type::List,
}

/// The engine's type of a key: one without a default may be missing.
macro_rules! engine_type {
    ($kind:ty, none) => { Option<<$kind as $crate::config::section::KeyType>::Value> };
    ($kind:ty, $default:tt) => { <$kind as $crate::config::section::KeyType>::Value };
}

/// From the file to the engine.
macro_rules! or_default {
    ($kind:ty, none, $raw:expr) => {
        $raw.map(<$kind>::value)
    };
    ($kind:ty, $default:tt, $raw:expr) => {
        $raw.unwrap_or_else(|| constant::<$kind>(stringify!($default))).value()
    };
}

/// From the engine to the file.
macro_rules! in_file {
    ($kind:ty, none, $value:expr) => {
        $value.map(<$kind>::of)
    };
    ($kind:ty, $default:tt, $value:expr) => {
        Some(<$kind>::of($value))
    };
}

/// The default as it would stand in the file.
macro_rules! default_text {
    (none) => {
        None
    };
    ($default:tt) => {
        Some(stringify!($default))
    };
}

/// A section; `definition.rs` says how a row reads.
macro_rules! section {
    (
        $(#[doc = $about:literal])+
        $vis:vis struct $name:ident: $section:literal {
            $(
                $(#[doc = $help:literal])+
                $key:ident: $kind:ty = $default:tt $(($otherwise:literal))?
                    $(, from $min:literal $(($why_min:literal))? to $max:literal $(($why_max:literal))?
                        $(or $off:literal)? $(in $unit:literal)?)?
                    $(, secret $secrecy:ident)?;
            )+
        }
        $(sections { $($sub:ident: $sub_type:ident,)+ })?
    ) => {
        $(#[doc = $about])+
        #[derive(Clone, Debug, PartialEq)]
        #[allow(private_interfaces, reason = "a field is a plain `Duration` or `u64`; only the way to say so is private")]
        $vis struct $name {
            $($(#[doc = $help])+ $vis $key: engine_type!($kind, $default),)+
            $($(#[doc = concat!("`[", stringify!($sub), "]`")] $vis $sub: $sub_type,)+)?
        }

        // No range admits a number that does not equal itself.
        impl Eq for $name {}

        const _: () = {
            #[allow(unused_imports, reason = "a section may be without any default")]
            use $crate::config::{
                key::{Group, Key, Refusal, constant, only},
                section::{KeyType, Section},
            };

            #[derive(Clone, Debug, Default, PartialEq, serde::Deserialize, serde::Serialize)]
            #[serde(deny_unknown_fields)]
            pub(super) struct Raw {
                $(#[serde(skip_serializing_if = "Option::is_none")] $key: Option<$kind>,)+
                $($(#[serde(default)] $sub: <$sub_type as Section>::Raw,)+)?
            }

            impl Section for $name {
                type Raw = Raw;

                const GROUP: Group = Group {
                    section: $section,
                    about: concat!($($about),+),
                    keys: &[$(Key {
                        section: $section,
                        leaf: stringify!($key),
                        kind: <$kind as KeyType>::TYPE,
                        help: concat!($($help),+),
                        default: default_text!($default),
                        otherwise: only(&[$($otherwise)?]),
                        range: only(&[$($crate::config::key::Range {
                            min: $crate::config::key::Limit { text: stringify!($min), why: only(&[$($why_min)?]) },
                            max: $crate::config::key::Limit { text: stringify!($max), why: only(&[$($why_max)?]) },
                            off: only(&[$(stringify!($off))?]),
                            unit: only(&[$($unit)?]),
                        })?]),
                        secrecy: only(&[$($crate::config::key::Secrecy::$secrecy)?]),
                    },)+],
                };

                fn complete(raw: Raw) -> Result<Self, Refusal> {
                    $(Self::GROUP.admit(stringify!($key), raw.$key.as_ref())?;)+
                    Ok(Self {
                        $($key: or_default!($kind, $default, raw.$key),)+
                        $($($sub: Section::complete(raw.$sub)?,)+)?
                    })
                }

                fn written(self) -> Raw {
                    Raw {
                        $($key: in_file!($kind, $default, self.$key),)+
                        $($($sub: self.$sub.written(),)+)?
                    }
                }

                fn groups() -> Vec<Group> {
                    [vec![Self::GROUP], $($(<$sub_type>::groups(),)+)?].concat()
                }
            }
        };
    };
}

/// A type of key that has names for its values; the first one is its default.
macro_rules! choice {
    ($(#[doc = $about:literal])+ $name:ident { $($(#[doc = $help:literal])+ $variant:ident = $text:literal,)+ }) => {
        $(#[doc = $about])+
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, serde::Deserialize, serde::Serialize)]
        pub enum $name {
            $($(#[doc = $help])+ #[serde(rename = $text)] $variant,)+
        }

        impl Default for $name {
            fn default() -> Self {
                [$(Self::$variant),+][0]
            }
        }

        impl $name {
            /// Every value with its name in the file and what it means.
            pub const CHOICES: &'static [(Self, &'static str, &'static str)] =
                &[$((Self::$variant, $text, concat!($($help),+))),+];

            /// Its name in the file.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)+
                }
            }
        }

        plain! {
            $name: $crate::config::key::Type::Choice(&[$(($text, concat!($($help),+))),+]),
        }
    };
}
