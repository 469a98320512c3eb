//! Two texts as a unified diff, with three lines around each change. Decides nothing; shows no secret of the lines around.

use std::ops::Range;

const AROUND: usize = 3;
/// Beyond that many pairs of lines, what differs is shown as one piece.
const PAIRS: usize = 4_000_000;

/// What is the same, and what is not, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Piece {
    old: Range<usize>,
    new: Range<usize>,
    same: bool,
}

/// The diff; empty where the texts are the same. `hide` takes secrets out of a line; its second argument says whether the line stays.
pub(super) fn unified(name: &str, old: Option<&str>, new: Option<&str>, hide: &dyn Fn(&str, bool) -> String) -> String {
    if old == new {
        return String::new();
    }
    let [old_lines, new_lines] = [old, new].map(|text| lines(text.unwrap_or_default()));
    let head = |text: Option<&str>| text.map_or("/dev/null".to_owned(), |_| name.to_owned());
    let mut out = format!("--- {}\n+++ {}\n", head(old), head(new));
    for hunk in hunks(&pieces(&old_lines, &new_lines)) {
        let (first, last) = (&hunk[0], &hunk[hunk.len() - 1]);
        let [old, new] = [first.old.start..last.old.end, first.new.start..last.new.end];
        let at = |range: &Range<usize>| if range.is_empty() { range.start } else { range.start + 1 };
        out += &format!("@@ -{},{} +{},{} @@\n", at(&old), old.len(), at(&new), new.len());
        for piece in &hunk {
            let rows = |sign: char, lines: &[&str], range: &Range<usize>| -> String {
                lines[range.clone()].iter().map(|line| row(sign, line, hide)).collect()
            };
            if piece.same {
                out += &rows(' ', &old_lines, &piece.old);
            } else {
                out += &(rows('-', &old_lines, &piece.old) + &rows('+', &new_lines, &piece.new));
            }
        }
    }
    out
}

fn row(sign: char, line: &str, hide: &dyn Fn(&str, bool) -> String) -> String {
    let text = hide(line.trim_end_matches(['\n', '\r']), sign == ' ');
    let end = if line.ends_with('\n') { "" } else { "\n\\ No newline at end of file" };
    format!("{sign}{text}{end}\n")
}

fn lines(text: &str) -> Vec<&str> {
    text.split_inclusive('\n').collect()
}

/// The pieces by the longest common subsequence of lines between a common start and end.
fn pieces(old: &[&str], new: &[&str]) -> Vec<Piece> {
    let start = old.iter().zip(new).take_while(|(a, b)| a == b).count();
    let (old_rest, new_rest) = (&old[start..], &new[start..]);
    let end = old_rest.iter().rev().zip(new_rest.iter().rev()).take_while(|(a, b)| a == b).count();
    let (a, b) = (&old_rest[..old_rest.len() - end], &new_rest[..new_rest.len() - end]);
    let mut pairs: Vec<(usize, usize)> = (0..start).map(|n| (n, n)).collect();
    if a.len() * b.len() <= PAIRS {
        pairs.extend(common(a, b).into_iter().map(|(x, y)| (start + x, start + y)));
    }
    pairs.extend((0..end).map(|n| (old.len() - end + n, new.len() - end + n)));
    let mut pieces: Vec<Piece> = Vec::new();
    let (mut x, mut y) = (0, 0);
    for (to_x, to_y) in pairs.into_iter().chain([(old.len(), new.len())]) {
        if to_x > x || to_y > y {
            pieces.push(Piece { old: x..to_x, new: y..to_y, same: false });
        }
        if to_x == old.len() && to_y == new.len() {
            break;
        }
        match pieces.last_mut() {
            Some(last) if last.same && last.old.end == to_x => (last.old.end, last.new.end) = (to_x + 1, to_y + 1),
            _ => pieces.push(Piece { old: to_x..to_x + 1, new: to_y..to_y + 1, same: true }),
        }
        (x, y) = (to_x + 1, to_y + 1);
    }
    pieces
}

fn common(a: &[&str], b: &[&str]) -> Vec<(usize, usize)> {
    let mut lengths = vec![vec![0_u32; b.len() + 1]; a.len() + 1];
    for x in (0..a.len()).rev() {
        for y in (0..b.len()).rev() {
            lengths[x][y] = if a[x] == b[y] { lengths[x + 1][y + 1] + 1 } else { lengths[x + 1][y].max(lengths[x][y + 1]) };
        }
    }
    let (mut x, mut y, mut pairs) = (0, 0, Vec::new());
    while x < a.len() && y < b.len() {
        if a[x] == b[y] {
            pairs.push((x, y));
            (x, y) = (x + 1, y + 1);
        } else if lengths[x + 1][y] >= lengths[x][y + 1] {
            x += 1;
        } else {
            y += 1;
        }
    }
    pairs
}

/// Changes with what is around them; those that are near each other stand together.
fn hunks(pieces: &[Piece]) -> Vec<Vec<Piece>> {
    let cut = |piece: &Piece, head: usize, tail: usize| {
        let keep = piece.old.len();
        let (head, tail) = (head.min(keep), tail.min(keep));
        let first =
            Piece { old: piece.old.start..piece.old.start + head, new: piece.new.start..piece.new.start + head, same: true };
        let last = Piece { old: piece.old.end - tail..piece.old.end, new: piece.new.end - tail..piece.new.end, same: true };
        (first, last)
    };
    let mut hunks: Vec<Vec<Piece>> = Vec::new();
    let mut open: Vec<Piece> = Vec::new();
    for (at, piece) in pieces.iter().enumerate() {
        if !piece.same {
            open.push(piece.clone());
            continue;
        }
        let is_last = at + 1 == pieces.len();
        if !open.is_empty() && !is_last && piece.old.len() <= 2 * AROUND {
            open.push(piece.clone());
            continue;
        }
        let (head, tail) = cut(piece, AROUND, AROUND);
        if !open.is_empty() {
            open.push(head);
            hunks.push(std::mem::take(&mut open));
        }
        if !is_last {
            open.push(tail);
        }
    }
    if !open.is_empty() {
        hunks.push(open);
    }
    hunks
}

#[cfg(test)]
mod tests {
    use super::*;

    fn diff(old: Option<&str>, new: Option<&str>) -> String {
        unified("f", old, new, &|line, _| line.replace("hush", "[redacted]"))
    }

    #[test]
    fn a_change_is_shown_with_what_is_around_it() {
        assert_eq!(diff(Some("a\n"), Some("a\n")), "");
        assert_eq!(diff(None, Some("a\nb")), "--- /dev/null\n+++ f\n@@ -0,0 +1,2 @@\n+a\n+b\n\\ No newline at end of file\n");
        assert_eq!(diff(Some("a\n"), None), "--- f\n+++ /dev/null\n@@ -1,1 +0,0 @@\n-a\n");
        let old: String = (1..=20).map(|n| format!("{n}\n")).collect();
        let new = old.replace("2\n3\n", "2\nhush\n3\n").replace("18\n", "");
        assert_eq!(
            diff(Some(&old), Some(&new)),
            "--- f\n+++ f\n@@ -1,5 +1,6 @@\n 1\n 2\n+[redacted]\n 3\n 4\n 5\n@@ -15,6 +16,5 @@\n 15\n 16\n 17\n-18\n 19\n 20\n"
        );
    }

    /// `patch` is the judge, where there is one.
    #[cfg(unix)]
    #[test]
    fn patch_understands_it() {
        let folder = tempfile::tempdir().unwrap();
        let mut random = fastrand::Rng::with_seed(22);
        for round in 0..60 {
            let mut text = |seed: usize| -> String {
                (0..random.usize(1..30)).map(|n| format!("{}\n", (n * seed + random.usize(0..3)) % 11)).collect()
            };
            let (old, new) = (text(1), text(2));
            let file = folder.path().join("f");
            std::fs::write(&file, &old).unwrap();
            std::fs::write(folder.path().join("d"), diff(Some(&old), Some(&new))).unwrap();
            if old == new {
                continue;
            }
            let patch = std::process::Command::new("patch").args(["-s", "f", "d"]).current_dir(folder.path()).output();
            let Ok(patch) = patch else { return };
            assert!(patch.status.success(), "{round}: {}", String::from_utf8_lossy(&patch.stdout));
            assert_eq!(std::fs::read_to_string(&file).unwrap(), new, "{round}");
        }
    }
}
