//! What kind of program sends a CONNECT, by the names of its header fields in their order. Pure.
//!
//! Agents and the children that trust our certificate send `Host` and neither `User-Agent` nor `Accept`. Tools that have a store
//! of their own (curl, git, Go, Python) do not look so.

/// Fields of a head; the guard has counted them before.
const MOST_FIELDS: usize = 256;

/// The names, as they were sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shape(String);

impl Shape {
    /// Of a head; `None` where no parser reads it.
    pub fn of(head: &[u8]) -> Option<Self> {
        let mut fields = [httparse::EMPTY_HEADER; MOST_FIELDS];
        let mut request = httparse::Request::new(&mut fields);
        request.parse(head).ok().filter(httparse::Status::is_complete)?;
        Some(Self(request.headers.iter().map(|field| field.name).collect::<Vec<_>>().join(",")))
    }

    /// Whether it is an agent's.
    pub fn is_agents(&self) -> bool {
        let has = |name: &str| self.0.split(',').any(|given| given.eq_ignore_ascii_case(name));
        has("host") && !has("user-agent") && !has("accept")
    }

    /// As it is remembered.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agents_are_told_from_the_tools_that_they_start() {
        for (names, is_agents) in [
            ("Host, Proxy-Connection, Proxy-Authorization", true),
            ("Proxy-Authorization, Host, Proxy-Connection", true),
            ("Host, Proxy-Authorization", true),
            ("host, connection, proxy-authorization", true),
            ("host, connection, proxy-authorization, proxy-connection", true),
            ("Host, Proxy-Authorization, User-Agent, Proxy-Connection", false),
            ("Host, User-Agent, Proxy-Connection", false),
            ("Proxy-Authorization", false),
            ("Host, Accept, Proxy-Authorization", false),
            ("Host, Accept, Accept-Encoding, User-Agent, Proxy-Authorization", false),
            ("Host, User-Agent, Proxy-Authorization", false),
            ("", false),
        ] {
            let fields: String = names.split(", ").filter(|name| !name.is_empty()).map(|name| format!("{name}: x\r\n")).collect();
            let shape = Shape::of(format!("CONNECT a:443 HTTP/1.1\r\n{fields}\r\n").as_bytes()).unwrap();
            assert_eq!(shape.is_agents(), is_agents, "{names}");
            assert_eq!(shape.as_str(), names.replace(", ", ","));
        }
        assert_eq!(Shape::of(b"CONNECT a:443 HTTP/1.1\r\nHost"), None);
    }
}
