//! What befalls one request: drawn from the seed, client and number alone, so that a seed gives the same plan again; and
//! what may become of it then. Touches no socket.

use crate::ask::{Answers, Kind, OVERSIZE, What};
use scripted::{Fault, Mark, Moment, coding::CODINGS};
use std::{
    collections::{HashMap, VecDeque},
    sync::{Mutex, PoisonError},
    time::Duration,
};

/// Leeward holds bodies up to this for replay; the soak's are well below or well above.
const HELD: usize = 32 << 20;
/// Largest body of a question that is held and understood.
const LARGE: usize = 30 << 20;
const OVER: std::ops::Range<usize> = (33 << 20)..(40 << 20);

/// One request of an agent's.
#[derive(Clone, Debug)]
pub struct Step {
    pub id: String,
    /// Which of the upstreams is asked.
    pub upstream: usize,
    pub what: What,
    /// Bytes of padding in the body.
    pub padding: usize,
    /// The body is sent in chunks, its length not announced.
    pub chunked: bool,
    /// The agent says that it is retrying by itself.
    pub retries: bool,
    /// The agent leaves that long after it has asked, or after the response's head, whichever is `true`.
    pub leaves: Option<(Duration, bool)>,
    /// What its stream is compressed in.
    pub coding: Option<&'static str>,
    /// What strikes the attempts, in order.
    pub faults: VecDeque<Fault>,
}

/// What a round's plan is drawn with.
#[derive(Clone, Copy, Debug)]
pub struct Weather {
    pub seed: u64,
    /// Requests in 100 that meet faults.
    pub percent: u8,
    /// Most faults that one request meets.
    pub most: usize,
}

impl Step {
    /// Draws the nth request of a client.
    pub fn draw(weather: Weather, client: u64, nth: u64, upstreams: usize, answers: &Answers) -> Self {
        let mix = weather.seed ^ client.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ nth.wrapping_mul(0xC2B2_AE3D_27D4_EB4F);
        let mut dice = fastrand::Rng::with_seed(mix);
        dice.u64(..); // similar seeds give similar first numbers
        let mut what = What::draw(&mut dice);
        let padding = if what.method() == reqwest::Method::POST { padding(&mut dice) } else { 0 };
        if padding > LARGE && what.kind() == Kind::Inference {
            what = OVERSIZE;
        }
        let mut step = Self {
            id: format!("{:x}-{client}-{nth}", weather.seed),
            upstream: dice.usize(0..upstreams),
            what,
            padding,
            chunked: dice.u8(0..4) == 0,
            retries: dice.u8(0..10) == 0,
            leaves: (dice.u8(0..12) == 0).then(|| (Duration::from_millis(dice.u64(0..60)), dice.bool())),
            coding: None,
            faults: VecDeque::new(),
        };
        if step.what.is_stream() && dice.u8(0..3) == 0 {
            step.coding = Some(CODINGS[dice.usize(0..CODINGS.len())].0);
        }
        if dice.u8(0..100) < weather.percent {
            for _ in 0..dice.usize(1..=weather.most) {
                step.faults.push_back(step.fault(&mut dice, answers));
            }
        }
        step
    }

    /// Whether Leeward can send it again.
    fn is_held(&self) -> bool {
        self.padding < HELD
    }

    /// Deadline that the agent states, where its own patience is what ends the request.
    pub fn patience(&self) -> Option<&'static str> {
        self.faults.contains(&Fault::StallBeforeHeaders).then_some("2")
    }

    fn fault(&self, dice: &mut fastrand::Rng, answers: &Answers) -> Fault {
        let right = answers.get(&self.what).cloned().unwrap_or_default();
        let (length, events) = (right.body.len() as u64, right.events.len() as u64);
        let mark = |dice: &mut fastrand::Rng| match dice.u8(0..9) {
            8 => Mark::End,
            which => match which / 2 {
                0 if events > 0 => Mark::Events(dice.u64(0..=events)),
                1 if events > 0 => Mark::Events(dice.u64(0..=(self.what.preamble() as u64 + 2).min(events))),
                2 => Mark::Bytes(0),
                // Compressed, bytes say nothing of events.
                _ if self.coding.is_some() => Mark::Events(dice.u64(0..=events)),
                _ => Mark::Bytes(dice.u64(0..=length.max(200))),
            },
        };
        let small = length < 4_000 && !self.what.is_stream();
        let bodiless = self.what == What::Hello;
        if self.leaves.is_some() && !bodiless && dice.bool() {
            return match dice.u8(0..5) {
                3 => Fault::StallInHead(dice.usize(1..40)),
                0 => Fault::StallBeforeHeaders,
                // Behind a whole response it would swallow the next request on its connection, which nobody can repair (U13).
                1 if length > 0 => Fault::HeadersThenSilence,
                2 if length > 0 => Fault::StallAfter(Mark::Bytes(dice.u64(0..length))),
                _ => Fault::NeverEnds,
            };
        }
        let upload = (self.padding as u64).min(1 << 20);
        match dice.u8(0..100) {
            0..8 => Fault::ResetOnReuse,
            8..13 => Fault::CloseOnReuse,
            13..21 => Fault::ResetBeforeHeaders,
            21..26 => Fault::CloseBeforeHeaders,
            26..32 => Fault::ResetMidRequest(dice.u64(0..=upload)),
            32..36 => Fault::CloseMidRequest(dice.u64(0..=upload)),
            36..42 => Fault::CloseIdle(Duration::from_millis(dice.u64(0..20))),
            42..45 if small => Fault::ResetIdle(Duration::from_millis(dice.u64(0..20))),
            45..48 => Fault::CloseOnNextByte,
            48..50 if small => Fault::ResetOnNextByte,
            50..54 => {
                Fault::Status([429, 500, 502, 503, 529, 413, 520][dice.usize(0..7)], vec![("retry-after".into(), "2".into())])
            }
            54..55 => Fault::GarbageStatusLine,
            55..56 => Fault::HugeHead(1 << 20),
            56..58 => Fault::Interim(dice.usize(1..4)),
            58..62 => Fault::ResetInHead(dice.usize(1..40)),
            62..64 => Fault::CloseInHead(dice.usize(1..40)),
            64..75 if !bodiless => Fault::TruncateAfter(mark(dice)),
            75..84 if !bodiless => Fault::ResetAfter(mark(dice)),
            84..89 if !bodiless => Fault::BadChunk(mark(dice)),
            89..92 if !bodiless => Fault::LyingContentLength(dice.u64(1..50)),
            92..93 => Fault::StallBeforeHeaders,
            93..97 if length < 10_000 => Fault::Slice(dice.usize(7..200)),
            97..100 if small => Fault::Drip(dice.usize(100..400), Duration::from_millis(dice.u64(1..10))),
            _ => Fault::None,
        }
    }
}

/// Mostly small, and now and then anything up to 40 MiB.
fn padding(dice: &mut fastrand::Rng) -> usize {
    match dice.u16(0..1000) {
        0..30 => 0,
        30..850 => dice.usize(1..4_000),
        850..980 => dice.usize(4_000..200_000),
        980..996 => dice.usize(200_000..4 << 20),
        996..998 => dice.usize((4 << 20)..LARGE),
        _ => dice.usize(OVER),
    }
}

/// What one attempt's fault means for the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outlook {
    /// The right answer.
    Right,
    /// The upstream's own refusal.
    Status(u16),
    /// It cannot have run: it is sent again.
    Unsent,
    /// It is sent again, and counts as a replay.
    Replay,
    /// The client is told so by Leeward.
    Told,
    /// The client's answer breaks off.
    Cut,
    /// One of these two, depending on what had arrived; both are true.
    Either(&'static Outlook, &'static Outlook),
}

use Outlook::{Cut, Either, Replay, Right, Status, Told, Unsent};

impl Outlook {
    /// Whether it may be that.
    pub fn may_be(self, other: Self) -> bool {
        match self {
            Either(a, b) => a.may_be(other) || b.may_be(other),
            one => one == other,
        }
    }

    /// Whether sending it again is allowed.
    pub fn may_go_on(self) -> bool {
        self.may_be(Unsent) || self.may_be(Replay)
    }
}

/// A fault that has struck a request, seen from the promises U1 to U14. `first`: it was its connection's first request.
/// `holds`: responses are buffered whole.
pub fn outlook(fault: &Fault, step: &Step, first: bool, holds: bool, answers: &Answers) -> Outlook {
    let kind = step.what.kind();
    let held = step.is_held();
    let again = held && kind != Kind::Once;
    // U7: an agent that retries by itself is told.
    let unknown = match kind {
        Kind::Inference if step.retries && first => Told,
        _ if again => Replay,
        _ => Told,
    };
    // A compressed stream is never buffered whole.
    let holds = holds && step.coding.is_none();
    let right = answers.get(&step.what).cloned().unwrap_or_default();
    let length = right.body.len() as u64;
    let download = matches!(step.what, What::Download(_));
    // What becomes of a response that breaks off, having shown content or not.
    let cut = |content: bool| match kind {
        _ if !again => Cut,
        Kind::Inference if holds => Replay,
        _ if step.what.is_stream() && content => Cut,
        _ if download && length > 64 << 10 => Cut,
        _ => Replay,
    };
    match fault {
        Fault::None | Fault::Slice(_) | Fault::Drip(..) | Fault::Interim(_) => Right,
        // They strike the request behind it, of which the upstream knows nothing then.
        Fault::CloseIdle(_) | Fault::ResetIdle(_) | Fault::CloseOnNextByte | Fault::ResetOnNextByte => Right,
        Fault::Status(status, _) => Status(*status),
        Fault::GarbageStatusLine if again => Replay,
        Fault::GarbageStatusLine | Fault::HugeHead(_) | Fault::StallBeforeHeaders => Told,
        Fault::ResetOnReuse | Fault::CloseOnReuse => unknown,
        Fault::ResetBeforeHeaders | Fault::CloseBeforeHeaders => unknown,
        // Whether all of it was out when it broke off is a matter of buffers.
        Fault::ResetMidRequest(_) | Fault::CloseMidRequest(_) => match (held, again) {
            (false, _) => Told,
            (true, true) if unknown == Told => Either(&Unsent, &Told),
            (true, true) => Either(&Unsent, &Replay),
            (true, false) => Either(&Unsent, &Told),
        },
        // How much of the head arrives before the reset: nothing at all is another row.
        Fault::ResetInHead(_) | Fault::CloseInHead(_) if again && unknown == Told => Either(&Replay, &Told),
        Fault::ResetInHead(_) | Fault::CloseInHead(_) => {
            if again {
                Replay
            } else {
                Told
            }
        }
        Fault::BadChunk(mark) if step.what.is_stream() => match reached(*mark, step, &right.events, length) {
            Reached::End => Right,
            Reached::Unclear => Either(&Right, &Either(&Cut, &Replay)),
            Reached::Content => cut(true),
            Reached::Nothing => cut(false),
        },
        // In chunks nothing is whole before the last one.
        Fault::BadChunk(mark) => match mark {
            Mark::Bytes(_) if matches!(step.what, What::Echo) => Either(&Right, &Cut),
            Mark::Bytes(_) if matches!(step.what, What::CountTokens) && again => Either(&Right, &Replay),
            Mark::Bytes(bytes) if *bytes > length => Right,
            _ if download => Cut, // of unknown length and no JSON: passed on as it comes
            _ => cut(true),
        },
        // Its last event is there, and the length is not; that has been said already, unless the response is buffered.
        Fault::LyingContentLength(_) if step.what.is_stream() => {
            if holds && again {
                Right
            } else {
                Cut
            }
        }
        Fault::LyingContentLength(_) => cut(true),
        Fault::TruncateAfter(mark) => match reached(*mark, step, &right.events, length) {
            Reached::End => Right,
            Reached::Unclear if again => Either(&Right, &Either(&Cut, &Replay)),
            Reached::Unclear => Either(&Right, &Cut),
            Reached::Content => cut(true),
            Reached::Nothing => cut(false),
        },
        // A reset throws away what has not arrived yet: what was said last may never have been heard.
        Fault::ResetAfter(mark) => match (reached(*mark, step, &right.events, length), cut(true), cut(false)) {
            (Reached::Nothing, _, Replay) if unknown != Told => Replay,
            (Reached::End | Reached::Unclear, ..) => Either(&Right, &Either(&Cut, &Either(&Replay, &Told))),
            _ => Either(&Cut, &Either(&Replay, &Told)),
        },
        // Only agents that leave meet these.
        Fault::HeadersThenSilence | Fault::StallAfter(_) | Fault::StallInHead(_) | Fault::NeverEnds => Cut,
        // Never drawn for a request: what strikes connections, what is another answer, and what takes its time.
        Fault::ResetAtAccept
        | Fault::Overflow
        | Fault::ResetInTls
        | Fault::CloseInTls
        | Fault::StallInTls
        | Fault::ResetHelloOver(_)
        | Fault::ResetInServerHello(_)
        | Fault::StallInServerHello(_)
        | Fault::StallMidRequest(_) => Unsent,
        Fault::ErrorEvent(_) | Fault::ShortContentLength(_) => Cut,
    }
}

/// How far a response had come.
enum Reached {
    Nothing,
    Content,
    /// Within the last event's final line breaks.
    Unclear,
    End,
}

fn reached(mark: Mark, step: &Step, events: &[usize], length: u64) -> Reached {
    if !step.what.is_stream() {
        // One piece, or pieces of 64 KiB. What is echoed has a length of its own.
        return match mark {
            Mark::Bytes(_) if matches!(step.what, What::Echo | What::CountTokens) => Reached::Unclear,
            Mark::Bytes(bytes) if bytes < length => Reached::Content,
            Mark::Events(0) if length > 0 => Reached::Nothing,
            _ => Reached::End,
        };
    }
    let complete = match mark {
        Mark::End => return Reached::End,
        Mark::Events(count) => count as usize,
        Mark::Bytes(bytes) if bytes < length && bytes + 4 >= length => return Reached::Unclear,
        Mark::Bytes(bytes) => events.iter().filter(|end| **end as u64 <= bytes).count(),
    };
    match complete {
        n if n >= events.len() => Reached::End,
        n if n > step.what.preamble() => Reached::Content,
        _ => Reached::Nothing,
    }
}

/// The scripts of all requests under way, by id; what the upstreams ask.
#[derive(Debug, Default)]
pub struct Stage(Mutex<HashMap<String, VecDeque<Fault>>>);

impl Stage {
    pub fn announce(&self, step: &Step) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.insert(step.id.clone(), step.faults.clone());
    }

    pub fn leave(&self, step: &Step) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&step.id);
    }

    /// The fault for this attempt. One that cannot strike it is spent all the same.
    pub fn next(&self, moment: &Moment<'_>) -> Fault {
        let Moment::Request { head, .. } = moment else { return Fault::None };
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let script = head.header("x-soak-id").and_then(|id| all.get_mut(id));
        script.and_then(VecDeque::pop_front).filter(|fault| moment.fits(fault)).unwrap_or_default()
    }
}
