//! Finds options among an agent's arguments. Pure; knows no agent's options.

use std::ffi::OsString;

/// True when an argument is the option `name` with or without `=value`.
fn is_option(arg: &OsString, name: &str) -> bool {
    arg.to_str().is_some_and(|a| a == name || a.strip_prefix(name).is_some_and(|rest| rest.starts_with('=')))
}

/// The value of the last `--name value` or `--name=value` before a `--`, under any of the option's names.
pub(super) fn option_value<'a>(args: &'a [OsString], names: &[&str]) -> Option<&'a str> {
    let end = args.iter().position(|a| a == "--").unwrap_or(args.len());
    args[..end].iter().enumerate().rev().find_map(|(at, arg)| {
        let name = names.iter().find(|name| is_option(arg, name))?;
        match arg.to_str()?.strip_prefix(name)?.strip_prefix('=') {
            Some(value) => Some(value),
            None => args[..end].get(at + 1)?.to_str(),
        }
    })
}

/// The values of an option that takes several: what follows it up to the next option, or stands behind its `=`.
pub(super) fn option_values<'a>(args: &'a [OsString], name: &'static str) -> impl Iterator<Item = &'a str> {
    let end = args.iter().position(|a| a == "--").unwrap_or(args.len());
    let mut is_value = false;
    args[..end].iter().filter_map(move |arg| {
        let arg = arg.to_str()?;
        if let Some(value) = arg.strip_prefix(name).and_then(|rest| rest.strip_prefix('=')) {
            return Some(value);
        }
        if arg.starts_with('-') {
            is_value = arg == name;
            return None;
        }
        is_value.then_some(arg)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_found_before_the_double_dash_only() {
        let args: Vec<OsString> =
            ["-p", "x", "--settings=a", "--settings", "b", "--", "--settings", "c"].map(OsString::from).to_vec();
        assert_eq!(option_value(&args, &["--settings"]), Some("b"));
        assert_eq!(option_value(&args[..3], &["--settings"]), Some("a"));
        assert_eq!(option_value(&args, &["--other", "-p"]), Some("x"));
        assert_eq!(option_value(&args[5..], &["--settings"]), None);
    }
}
