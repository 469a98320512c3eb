//! `leeward path`, on Windows: the folder of this program on the user's PATH, for the installer, whose own language cuts long
//! values. Every other entry stays as it is, `%VARIABLES%` included.

#[cfg(windows)]
pub(crate) use registry::run;

/// The PATH with a folder at its end, unless it is there already.
fn with(path: &str, folder: &str) -> Option<String> {
    if path.split(';').any(|entry| is(entry, folder)) {
        return None;
    }
    let between = if path.is_empty() || path.ends_with(';') { "" } else { ";" };
    Some(format!("{path}{between}{folder}"))
}

/// The PATH without a folder, if it was there.
fn without(path: &str, folder: &str) -> Option<String> {
    let others: Vec<_> = path.split(';').filter(|entry| !is(entry, folder)).collect();
    let others = others.join(";");
    (others.len() != path.len()).then_some(others)
}

/// Windows compares without regard to case, takes quotes, and a backslash at the end changes nothing.
fn is(entry: &str, folder: &str) -> bool {
    let plain = |path: &str| path.trim().trim_matches('"').trim_end_matches('\\').to_lowercase();
    plain(entry) == plain(folder)
}

#[cfg(windows)]
mod registry {
    use crate::{
        args::{PathChange, SearchPath},
        exit::{Exit, Failure, Outcome},
    };
    use std::io;
    use windows_registry::{CURRENT_USER, Type};

    const KEY: &str = "Environment";
    const NAME: &str = "Path";

    /// Adds or removes it. Programs that are started from now on see it once the installer has notified all windows.
    pub(crate) fn run(args: &SearchPath) -> Outcome {
        let program = std::env::current_exe().map_err(|why| fail(&why))?;
        let folder =
            program.parent().and_then(|folder| folder.to_str()).ok_or_else(|| fail(&"its folder is not valid Unicode"))?;
        change(folder, args.change).map_err(|why| fail(&why))?;
        Ok(Exit::Ok as i32)
    }

    fn fail(why: &dyn std::fmt::Display) -> Failure {
        let sentence = format!("the PATH (HKEY_CURRENT_USER\\{KEY}, value {NAME}) was not changed: {why}");
        Failure::new(Exit::CannotWrite, sentence)
    }

    fn change(folder: &str, change: PathChange) -> io::Result<()> {
        let key = CURRENT_USER.create(KEY).map_err(io::Error::other)?;
        // A user without a PATH of their own has none; anything else that cannot be read must not be written over.
        let absent = key.values().map_err(io::Error::other)?.all(|(name, _)| !name.eq_ignore_ascii_case(NAME));
        let (kind, path) = if absent {
            (Type::ExpandString, String::new())
        } else {
            (key.get_type(NAME).map_err(io::Error::other)?, key.get_string(NAME).map_err(io::Error::other)?)
        };
        let changed = match change {
            PathChange::Add => super::with(&path, folder),
            PathChange::Remove => super::without(&path, folder),
        };
        let Some(changed) = changed else { return Ok(()) };
        match kind {
            _ if changed.is_empty() => key.remove_value(NAME),
            Type::String => key.set_string(NAME, changed),
            _ => key.set_expand_string(NAME, changed),
        }
        .map_err(io::Error::other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_folder_itself_comes_and_goes() {
        let folder = r"C:\Users\Jörg B\AppData\Local\Leeward";
        let rows = [
            ("", folder.to_owned()),
            (r"%USERPROFILE%\bin", format!(r"%USERPROFILE%\bin;{folder}")),
            (r"C:\a;;C:\b;", format!(r"C:\a;;C:\b;{folder}")),
        ];
        for (path, expected) in rows {
            assert_eq!(with(path, folder).unwrap(), expected);
            assert_eq!(with(&expected, folder), None, "once is enough");
            assert_eq!(without(&expected, folder).unwrap().trim_end_matches(';'), path.trim_end_matches(';'));
            assert_eq!(without(path, folder), None);
        }
        let other_case = format!("\"{}\\\";C:\\x", folder.to_uppercase());
        assert_eq!(with(&other_case, folder), None);
        assert_eq!(without(&other_case, folder).unwrap(), r"C:\x");
    }
}
