//! The text of macOS' launch agent (launchd.plist(5)), and what is read back from it. Pure.
//!
//! launchd holds the socket and starts the program at the first connection. It passes the socket as standard input
//! (`inetdCompatibility` with `Wait`): the call that fetches it by name is not for safe code. Standard output and error would be
//! the socket too, so they lead nowhere; the program has a log of its own.

use super::{
    error::Error,
    wanted::{MARK, Wanted},
};
use std::net::SocketAddr;

/// The agent's label, and its file's name.
pub(super) const LABEL: &str = "app.leeward.service";

/// The agent.
pub(super) fn agent(wanted: &Wanted) -> Result<String, Error> {
    let program = escaped(wanted.program_text()?);
    let variable = |(name, value): &(String, String)| format!("    <key>{name}</key><string>{}</string>\n", escaped(value));
    let variables: String = wanted.variables.iter().map(variable).collect();
    let (host, port) = (wanted.listen.ip(), wanted.listen.port());
    let family = if wanted.listen.is_ipv4() { "IPv4" } else { "IPv6" };
    Ok(format!(
        r#"<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<!-- {MARK} -->
<plist version="1.0">
<dict>
  <key>Label</key><string>{LABEL}</string>
  <key>ProgramArguments</key>
  <array>
    <string>{program}</string>
    <string>serve</string>
    <string>--stand-by</string>
  </array>
  <key>EnvironmentVariables</key>
  <dict>
{variables}  </dict>
  <key>Sockets</key>
  <dict>
    <key>Listener</key>
    <dict>
      <key>SockType</key><string>stream</string>
      <key>SockFamily</key><string>{family}</string>
      <key>SockNodeName</key><string>{host}</string>
      <key>SockServiceName</key><string>{port}</string>
    </dict>
  </dict>
  <key>inetdCompatibility</key>
  <dict><key>Wait</key><true/></dict>
  <key>ProcessType</key><string>Interactive</string>
  <key>ThrottleInterval</key><integer>1</integer>
  <key>ExitTimeOut</key><integer>30</integer>
  <key>Umask</key><integer>63</integer>
  <key>StandardOutPath</key><string>/dev/null</string>
  <key>StandardErrorPath</key><string>/dev/null</string>
</dict>
</plist>
"#
    ))
}

/// Where the agent's socket is.
pub(super) fn listens_at(agent: &str) -> Option<SocketAddr> {
    let text = |key: &str| {
        let after = agent.split_once(&format!("<key>{key}</key><string>"))?.1;
        Some(after.split_once("</string>")?.0)
    };
    Some(SocketAddr::new(text("SockNodeName")?.parse().ok()?, text("SockServiceName")?.parse().ok()?))
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use plist::Value;

    fn wanted(listen: &str) -> Wanted {
        let variables = vec![("LEEWARD_HOME".into(), "/Users/a & b".into())];
        Wanted { program: "/Applications/<Lee> & ward/leeward".into(), listen: listen.parse().unwrap(), variables }
    }

    #[test]
    fn the_agent_is_as_it_was() {
        assert_eq!(agent(&wanted("127.0.0.1:8787")).unwrap(), include_str!("tests/app.leeward.service.plist"));
    }

    #[test]
    fn a_parser_reads_what_is_meant() {
        for (listen, host, family) in [("127.0.0.1:8787", "127.0.0.1", "IPv4"), ("[::1]:9000", "::1", "IPv6")] {
            let text = agent(&wanted(listen)).unwrap();
            assert_eq!(listens_at(&text), Some(listen.parse().unwrap()));
            let read = Value::from_reader_xml(text.as_bytes()).unwrap();
            let of = |name: &str| read.as_dictionary().unwrap().get(name).unwrap().clone();
            let string = |value: &Value| value.as_string().unwrap().to_owned();
            let arguments: Vec<_> = of("ProgramArguments").as_array().unwrap().iter().map(string).collect();
            assert_eq!(arguments, ["/Applications/<Lee> & ward/leeward", "serve", "--stand-by"]);
            let variables = of("EnvironmentVariables");
            assert_eq!(string(variables.as_dictionary().unwrap().get("LEEWARD_HOME").unwrap()), "/Users/a & b");
            let sockets = of("Sockets");
            let listener = sockets.as_dictionary().unwrap().get("Listener").unwrap().as_dictionary().unwrap();
            let port = listen.rsplit(':').next().unwrap();
            for (key, value) in [("SockNodeName", host), ("SockServiceName", port), ("SockFamily", family)] {
                assert_eq!(string(listener.get(key).unwrap()), value);
            }
            let wait = of("inetdCompatibility").as_dictionary().unwrap().get("Wait").unwrap().as_boolean();
            assert_eq!((wait, of("Label").as_string()), (Some(true), Some(LABEL)));
        }
    }
}
