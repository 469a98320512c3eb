//! `wrap.require` where the config itself cannot be used: whoever wants no agent without Leeward wants none because of a
//! mistake in the file either. Reads only this key and complains of nothing.

use super::{key::variable, load::locate, sources::Sources};
use crate::files;
use toml::de::DeTable;

const KEY: &str = "wrap.require";

/// Whether an agent is refused that cannot run behind Leeward. A value that is neither true nor false is meant as true.
pub fn requires_wrap(sources: &Sources<'_>) -> bool {
    if let Some(said) = (sources.env)(&variable(KEY)).filter(|said| !said.is_empty()) {
        return said.trim() != "false";
    }
    let Ok((paths, _)) = locate(sources) else { return false };
    says_so(&files::read_to_string(&paths.config_file).unwrap_or_default())
}

fn says_so(text: &str) -> bool {
    let (table, _) = DeTable::parse_recoverable(text);
    let wrap = table.get_ref().get("wrap").and_then(|wrap| wrap.get_ref().as_table());
    let require = wrap.and_then(|wrap| wrap.get("require"));
    require.is_some_and(|require| require.get_ref().as_bool() != Some(false))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Flags;

    #[test]
    fn the_key_is_found_in_a_file_that_is_no_config() {
        for (text, says) in [
            ("[wrap]\nrequire = true", true),
            ("wrap.require = true\nnonsense = [", true),
            ("lisen = 1\n[wrap]\nrequire = true\n", true),
            ("[wrap]\nrequire = \"yes\"", true),
            ("[wrap]\nrequire = false", false),
            ("listen = [\n", false),
            ("wrap = true", false),
            ("", false),
        ] {
            assert_eq!(says_so(text), says, "{text}");
        }
    }

    #[test]
    fn the_variable_outranks_the_file() {
        let home = tempfile::tempdir().unwrap();
        for (said, file, required) in [
            (None, "[wrap]\nrequire = true\n=", true),
            (Some("false"), "[wrap]\nrequire = true", false),
            (Some("true"), "", true),
            (Some("1"), "", true),
            (None, "", false),
        ] {
            std::fs::write(home.path().join("config.toml"), file).unwrap();
            let env = |name: &str| match name {
                "LEEWARD_HOME" => Some(home.path().display().to_string()),
                "LEEWARD_WRAP_REQUIRE" => said.map(str::to_owned),
                _ => None,
            };
            assert_eq!(requires_wrap(&Sources { env: &env, flags: Flags::default() }), required, "{said:?} {file:?}");
        }
    }
}
