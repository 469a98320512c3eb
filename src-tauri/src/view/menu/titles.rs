//! Titles of the menu: what is too long ends at one of its parts. Pure.

/// Desktops cut longer titles, each in its own way.
pub(super) const TITLE: usize = 40;

/// What a menu shows of a text that may be longer: up to where a part of it ends.
pub(super) fn short(text: &str) -> String {
    let Some((most, _)) = text.char_indices().nth(TITLE) else { return text.to_owned() };
    let head = text.get(..most).unwrap_or(text);
    let part = ["; ", ", ", ": ", " ("].iter().filter_map(|end| head.rfind(end)).max();
    let at = part.or_else(|| head.rfind(' ')).unwrap_or(most);
    // The mark takes the place of a letter.
    head.chars().take(head.get(..at).unwrap_or(head).chars().count().min(TITLE - 1)).chain(['…']).collect()
}

/// The end of a path, which says more than its beginning.
pub(super) fn end_of(path: &str, most: usize) -> String {
    let count = path.chars().count();
    if count <= most {
        return path.to_owned();
    }
    std::iter::once('…').chain(path.chars().skip(count - most + 1)).collect()
}

/// Agents that `wrap` has started hold the port, and start a Leeward in the background where the one that serves is gone.
pub(super) fn quit(agents: usize) -> String {
    match agents {
        0 => "Quit".into(),
        1 => "Quit; 1 agent keeps Leeward running".into(),
        many => format!("Quit; {many} agents keep Leeward running"),
    }
}
