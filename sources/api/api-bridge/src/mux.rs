//! Many streams over one stream of bytes, as a state machine without input and output of its own; pure.
//!
//! What there is to send follows from the state ([`Mux::transmit`] derives it), so there is no queue that could
//! grow: what is held is bounded by the windows of the streams and their number.

use crate::frame::{Body, Damaged, Decoder, END, Frame, MAX_PAYLOAD};
use std::collections::{BTreeMap, VecDeque};

/// How many bytes of one stream an end holds in each direction: a few frames, so that a stream flows while its
/// credits travel.
pub const WINDOW: usize = 64 << 10;
/// How many streams are open at once; as many connections as a person and a few programs of theirs have.
pub const MAX_STREAMS: usize = 64;

/// Version of the protocol. Both ends come from one build; a difference is a mistake that should be told.
const VERSION: u8 = 1;
/// How much is collected for one write.
const TRANSMIT_AT_ONCE: usize = 16 << 10;
/// How many used bytes of a window are worth a frame that gives them back.
const CREDIT_AT_ONCE: usize = WINDOW / 4;

/// Which end this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// It opens streams.
    Opener,
    /// It accepts them.
    Acceptor,
}

/// Names a stream. The other end may use its numbers again in another life; here they are told apart by how often
/// all streams were dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamId {
    number: u32,
    epoch: u64,
}

/// What reading from a stream gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Read {
    /// Bytes.
    Data(Vec<u8>),
    /// Nothing yet.
    Wait,
    /// The other end has finished.
    End,
    /// The stream is gone.
    Gone,
}

/// Our direction of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outgoing {
    Open,
    FinishOwed,
    Finished,
}

#[derive(Debug)]
struct Flow {
    open_owed: bool,
    outgoing: Outgoing,
    outbox: VecDeque<u8>,
    /// How many bytes the other end can take.
    credit: usize,
    inbox: VecDeque<u8>,
    incoming_ended: bool,
    /// How many bytes we have not given back yet.
    used: usize,
    /// Nobody here uses it any more; it goes once what it holds is sent.
    released: bool,
}

impl Flow {
    fn new(open_owed: bool) -> Self {
        Self {
            open_owed,
            outgoing: Outgoing::Open,
            outbox: VecDeque::new(),
            credit: WINDOW,
            inbox: VecDeque::new(),
            incoming_ended: false,
            used: 0,
            released: false,
        }
    }

    /// How many bytes the other end may still send.
    fn room(&self) -> usize {
        WINDOW - self.used - self.inbox.len()
    }

    /// The next thing to say about this stream.
    fn next(&mut self, id: u32) -> Option<Body> {
        if std::mem::take(&mut self.open_owed) {
            return Some(Body::Open(id));
        }
        if self.used >= CREDIT_AT_ONCE && !self.incoming_ended {
            return Some(Body::Credit(id, u32::try_from(std::mem::take(&mut self.used)).unwrap_or(u32::MAX)));
        }
        let count = self.outbox.len().min(self.credit).min(MAX_PAYLOAD);
        if count > 0 {
            self.credit -= count;
            return Some(Body::Data(id, self.outbox.drain(..count).collect()));
        }
        if self.outgoing == Outgoing::FinishOwed && self.outbox.is_empty() {
            self.outgoing = Outgoing::Finished;
            return Some(Body::Finish(id));
        }
        None
    }

    /// Whether nothing will ever happen to it again.
    fn is_done(&self) -> bool {
        self.released && self.outgoing == Outgoing::Finished && self.incoming_ended
    }
}

/// One end of the link.
#[derive(Debug)]
pub struct Mux {
    role: Role,
    /// This life.
    own: u32,
    /// The other end's life, once it is known.
    peer: Option<u32>,
    /// The other end has not heard yet that we live, or not that we know it.
    hello_owed: bool,
    /// End whatever an earlier life left behind.
    end_owed: bool,
    decoder: Decoder,
    flows: BTreeMap<u32, Flow>,
    /// How often all streams were dropped.
    epoch: u64,
    /// Streams that the other end opened and nobody here has taken yet.
    opened: VecDeque<u32>,
    /// Streams whose end is to be told.
    resets: VecDeque<u32>,
    next_id: u32,
    /// The stream that was served last; the next one begins after it.
    served: u32,
}

impl Mux {
    /// An end in its life `own`: a random number, other than 0.
    pub fn new(role: Role, own: u32) -> Self {
        Self {
            role,
            own: own.max(1),
            peer: None,
            hello_owed: true,
            end_owed: true,
            decoder: Decoder::default(),
            flows: BTreeMap::new(),
            epoch: 0,
            opened: VecDeque::new(),
            resets: VecDeque::new(),
            next_id: 1,
            served: 0,
        }
    }

    /// Whether the other end is known.
    pub fn is_up(&self) -> bool {
        self.peer.is_some()
    }

    /// The other end is gone, or cannot be understood: drops all streams and begins a new life, so that whoever is
    /// there drops them too.
    pub fn forget_peer(&mut self) {
        self.drop_streams();
        self.peer = None;
        // An odd step passes every number before it comes to one again (Weyl).
        self.own = self.own.wrapping_add(0x9e37_79b9).max(1);
        self.greet();
    }

    /// Greets again, for an end that waits; does nothing once the other end is known.
    pub fn greet(&mut self) {
        self.hello_owed |= self.peer.is_none();
    }

    /// Takes what came through the port.
    pub fn receive(&mut self, bytes: &[u8]) {
        for frame in self.decoder.feed(bytes) {
            match frame {
                Ok(frame) => self.take(frame),
                // A frame that is lost would be a hole in some stream. Where nobody is known, it is what an earlier
                // life left behind.
                Err(Damaged) if self.is_up() => self.forget_peer(),
                Err(Damaged) => {}
            }
        }
    }

    /// Appends what is to be sent now, some frames at a time; nothing where there is nothing to send.
    pub fn transmit(&mut self, out: &mut Vec<u8>) {
        if std::mem::take(&mut self.end_owed) {
            out.push(END);
        }
        if std::mem::take(&mut self.hello_owed) {
            let to = self.peer.unwrap_or(0);
            Frame { from: self.own, to, body: Body::Hello(VERSION) }.encode(out);
        }
        let Some(to) = self.peer else { return };
        while out.len() < TRANSMIT_AT_ONCE
            && let Some(body) = self.next_body()
        {
            Frame { from: self.own, to, body }.encode(out);
        }
    }

    /// Opens a stream; `None` while there are too many, or the other end is not known.
    pub fn open(&mut self) -> Option<StreamId> {
        if self.role != Role::Opener || !self.is_up() || self.is_full() {
            return None;
        }
        let number = self.next_id;
        self.next_id = self.next_id.wrapping_add(1);
        self.flows.insert(number, Flow::new(true));
        Some(StreamId { number, epoch: self.epoch })
    }

    /// Whether there are as many streams as there may be.
    pub fn is_full(&self) -> bool {
        self.flows.len() >= MAX_STREAMS
    }

    /// Takes a stream that the other end opened.
    pub fn accept(&mut self) -> Option<StreamId> {
        self.opened.pop_front().map(|number| StreamId { number, epoch: self.epoch })
    }

    /// Takes at most `most` bytes that came for a stream.
    pub fn read(&mut self, stream: StreamId, most: usize) -> Read {
        let Some(flow) = self.flow(stream) else { return Read::Gone };
        let count = flow.inbox.len().min(most);
        if count > 0 {
            flow.used += count;
            return Read::Data(flow.inbox.drain(..count).collect());
        }
        if flow.incoming_ended { Read::End } else { Read::Wait }
    }

    /// How many bytes a stream takes now; `None` if it is gone.
    pub fn writable(&self, stream: StreamId) -> Option<usize> {
        let flow = self.flows.get(&stream.number).filter(|_| stream.epoch == self.epoch)?;
        (flow.outgoing == Outgoing::Open).then(|| WINDOW - flow.outbox.len())
    }

    /// Gives a stream bytes to send, at most as many as [`Mux::writable`] tells; what is beyond is left out. Gives
    /// how many were taken.
    pub fn write(&mut self, stream: StreamId, bytes: &[u8]) -> usize {
        let count = self.writable(stream).unwrap_or(0).min(bytes.len());
        if let Some(flow) = self.flow(stream) {
            flow.outbox.extend(&bytes[..count]);
        }
        count
    }

    /// Nothing more will be written to a stream.
    pub fn finish(&mut self, stream: StreamId) {
        if let Some(flow) = self.flow(stream)
            && flow.outgoing == Outgoing::Open
        {
            flow.outgoing = Outgoing::FinishOwed;
        }
    }

    /// Nobody here uses a stream any more. One that is finished in both directions still sends what it holds; any
    /// other is reset.
    pub fn release(&mut self, stream: StreamId) {
        let Some(flow) = self.flow(stream) else { return };
        flow.released = true;
        let ends_well = flow.incoming_ended && flow.inbox.is_empty() && flow.outgoing != Outgoing::Open;
        if !ends_well {
            self.reset(stream.number);
        } else if flow.is_done() {
            self.flows.remove(&stream.number);
        }
    }

    /// Bytes held for all streams.
    pub fn held(&self) -> usize {
        self.flows.values().map(|flow| flow.inbox.len() + flow.outbox.len()).sum()
    }

    fn flow(&mut self, stream: StreamId) -> Option<&mut Flow> {
        if stream.epoch == self.epoch { self.flows.get_mut(&stream.number) } else { None }
    }

    fn take(&mut self, frame: Frame) {
        if let Body::Hello(version) = frame.body {
            return self.meet(frame.from, frame.to, version);
        }
        // What an earlier life sent, or what is for one.
        if frame.to != self.own || self.peer != Some(frame.from) {
            return;
        }
        match frame.body {
            Body::Hello(_) => {}
            Body::Open(id) => self.take_open(id),
            Body::Data(id, data) => {
                let Some(flow) = self.flows.get_mut(&id) else { return };
                if flow.incoming_ended || data.len() > flow.room() {
                    // An end that does not keep to its window would be a way to fill our memory.
                    return self.reset(id);
                }
                flow.inbox.extend(data);
            }
            Body::Credit(id, bytes) => {
                if let Some(flow) = self.flows.get_mut(&id) {
                    flow.credit = flow.credit.saturating_add(bytes as usize).min(WINDOW);
                }
            }
            Body::Finish(id) => {
                let Some(flow) = self.flows.get_mut(&id) else { return };
                flow.incoming_ended = true;
                if flow.is_done() {
                    self.flows.remove(&id);
                }
            }
            Body::Reset(id) => drop(self.flows.remove(&id)),
        }
    }

    fn meet(&mut self, from: u32, to: u32, version: u8) {
        if version != VERSION || from == self.own || (to != 0 && to != self.own) {
            return;
        }
        if self.peer != Some(from) {
            self.drop_streams();
            self.peer = Some(from);
        }
        // It is answered until it says that it knows us; what says so needs no answer.
        self.hello_owed = to != self.own;
    }

    fn take_open(&mut self, id: u32) {
        if self.role != Role::Acceptor || self.flows.contains_key(&id) {
            return;
        }
        if self.is_full() {
            return self.owe_reset(id);
        }
        self.flows.insert(id, Flow::new(false));
        self.opened.push_back(id);
    }

    fn reset(&mut self, id: u32) {
        // A stream of which the other end has not heard needs no end there.
        if self.flows.remove(&id).is_some_and(|flow| !flow.open_owed) {
            self.owe_reset(id);
        }
    }

    /// The other end opens no more streams than there may be before it hears of the end of one; more ends than
    /// that nobody waits for.
    fn owe_reset(&mut self, id: u32) {
        if self.resets.len() < 2 * MAX_STREAMS {
            self.resets.push_back(id);
        }
    }

    fn drop_streams(&mut self) {
        self.epoch += 1;
        self.flows.clear();
        self.opened.clear();
        self.resets.clear();
    }

    /// What to say next: streams take turns.
    fn next_body(&mut self) -> Option<Body> {
        if let Some(id) = self.resets.pop_front() {
            return Some(Body::Reset(id));
        }
        let after = self.flows.range_mut(self.served.saturating_add(1)..).find_map(|(id, f)| said(*id, f));
        let (id, body) =
            after.or_else(|| self.flows.range_mut(..=self.served).find_map(|(id, flow)| said(*id, flow)))?;
        self.served = id;
        if self.flows.get(&id).is_some_and(Flow::is_done) {
            self.flows.remove(&id);
        }
        Some(body)
    }
}

fn said(id: u32, flow: &mut Flow) -> Option<(u32, Body)> {
    flow.next(id).map(|body| (id, body))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Sends everything both ways until nobody has anything to say.
    fn settle(a: &mut Mux, b: &mut Mux) {
        for _ in 0..10_000 {
            let (mut from_a, mut from_b) = (Vec::new(), Vec::new());
            a.transmit(&mut from_a);
            b.transmit(&mut from_b);
            if from_a.is_empty() && from_b.is_empty() {
                return;
            }
            b.receive(&from_a);
            a.receive(&from_b);
        }
        panic!("they never stop talking");
    }

    fn pair() -> (Mux, Mux) {
        let (mut a, mut b) = (Mux::new(Role::Opener, 7), Mux::new(Role::Acceptor, 9));
        settle(&mut a, &mut b);
        assert!(a.is_up() && b.is_up());
        (a, b)
    }

    fn stream(a: &mut Mux, b: &mut Mux) -> (StreamId, StreamId) {
        let here = a.open().unwrap();
        settle(a, b);
        (here, b.accept().unwrap())
    }

    #[test]
    fn bytes_go_both_ways_and_each_way_ends_by_itself() {
        let (mut a, mut b) = pair();
        let (here, there) = stream(&mut a, &mut b);
        assert_eq!(a.write(here, b"ask"), 3);
        a.finish(here);
        settle(&mut a, &mut b);
        assert_eq!(b.read(there, 2), Read::Data(b"as".to_vec()));
        assert_eq!(b.read(there, 2), Read::Data(b"k".to_vec()));
        assert_eq!(b.read(there, 2), Read::End);
        assert_eq!(a.read(here, 9), Read::Wait);
        assert_eq!(b.write(there, b"answer"), 6);
        b.finish(there);
        b.release(there);
        settle(&mut a, &mut b);
        assert_eq!(a.read(here, 9), Read::Data(b"answer".to_vec()));
        assert_eq!(a.read(here, 9), Read::End);
        a.release(here);
        settle(&mut a, &mut b);
        assert!(a.flows.is_empty() && b.flows.is_empty(), "{a:?} {b:?}");
    }

    #[test]
    fn a_stream_that_nobody_reads_holds_two_windows_and_stops_no_other() {
        let (mut a, mut b) = pair();
        let (stuck, stuck_there) = stream(&mut a, &mut b);
        let (alive, alive_there) = stream(&mut a, &mut b);
        for _ in 0..50 {
            a.write(stuck, &vec![1; WINDOW]);
            settle(&mut a, &mut b);
        }
        assert_eq!((a.held(), b.held()), (WINDOW, WINDOW));
        assert_eq!(a.writable(stuck), Some(0));
        let mut arrived = 0;
        for _ in 0..20 {
            a.write(alive, &vec![2; WINDOW]);
            settle(&mut a, &mut b);
            while let Read::Data(data) = b.read(alive_there, 4096) {
                arrived += data.len();
            }
            settle(&mut a, &mut b);
        }
        assert!(arrived >= 19 * WINDOW, "{arrived}");
        assert!(matches!(b.read(stuck_there, WINDOW), Read::Data(data) if data.len() == WINDOW));
        settle(&mut a, &mut b);
        assert!(a.writable(stuck) > Some(0));
    }

    #[test]
    fn there_are_no_more_streams_than_there_may_be() {
        let (mut a, mut b) = pair();
        let ids: Vec<StreamId> = std::iter::from_fn(|| a.open()).collect();
        assert_eq!(ids.len(), MAX_STREAMS);
        settle(&mut a, &mut b);
        assert_eq!(std::iter::from_fn(|| b.accept()).count(), MAX_STREAMS);
        a.release(ids[3]);
        assert!(a.open().is_some());
        settle(&mut a, &mut b);
        assert_eq!(std::iter::from_fn(|| b.accept()).count(), 1);
        assert!(!b.flows.contains_key(&ids[3].number));
    }

    #[test]
    fn an_end_that_sends_more_than_the_window_loses_the_stream() {
        let (mut a, mut b) = pair();
        let (here, there) = stream(&mut a, &mut b);
        a.flows.get_mut(&here.number).unwrap().credit = usize::MAX;
        for _ in 0..3 {
            a.write(here, &vec![0; WINDOW]);
            settle(&mut a, &mut b);
        }
        assert_eq!(b.read(there, 1), Read::Gone);
        assert_eq!(a.writable(here), None);
    }

    #[test]
    fn an_end_of_another_version_is_never_met() {
        let mut a = Mux::new(Role::Opener, 7);
        let mut bytes = Vec::new();
        Frame { from: 9, to: 0, body: Body::Hello(VERSION + 1) }.encode(&mut bytes);
        a.receive(&bytes);
        assert!(!a.is_up());
    }

    #[test]
    fn a_peer_that_is_forgotten_is_met_again() {
        let (mut a, mut b) = pair();
        let (here, there) = stream(&mut a, &mut b);
        a.forget_peer();
        assert_eq!(a.read(here, 1), Read::Gone);
        assert!(a.open().is_none());
        settle(&mut a, &mut b);
        assert!(a.is_up());
        let (here, again) = stream(&mut a, &mut b);
        assert_ne!(there, again);
        a.write(here, b"x");
        settle(&mut a, &mut b);
        assert_eq!(b.read(again, 1), Read::Data(b"x".to_vec()));
    }

    /// One move of a random game between two ends.
    #[derive(Clone, Debug)]
    enum Move {
        Open,
        /// Stream (by its place), end, how many bytes.
        Write(usize, bool, usize),
        Read(usize, bool, usize),
        Finish(usize, bool),
        /// Of what an end has to say, and how much of it arrives now.
        Carry(bool, usize),
        /// An end starts again; of what is on its way, this much gets lost.
        Restart(bool, usize),
        Garbage(bool, Vec<u8>),
    }

    fn moves() -> impl Strategy<Value = Vec<Move>> {
        let one = prop_oneof![
            2 => Just(Move::Open),
            6 => (0usize..8, any::<bool>(), 0usize..100_000).prop_map(|(s, e, n)| Move::Write(s, e, n)),
            6 => (0usize..8, any::<bool>(), 0usize..100_000).prop_map(|(s, e, n)| Move::Read(s, e, n)),
            1 => (0usize..8, any::<bool>()).prop_map(|(s, e)| Move::Finish(s, e)),
            9 => (any::<bool>(), 0usize..40_000).prop_map(|(e, n)| Move::Carry(e, n)),
            1 => (any::<bool>(), 0usize..20_000).prop_map(|(e, n)| Move::Restart(e, n)),
        ];
        let garbage = (any::<bool>(), prop::collection::vec(any::<u8>(), 0..100));
        let one = prop_oneof![40 => one, 1 => garbage.prop_map(|(e, g)| Move::Garbage(e, g))];
        prop::collection::vec(one, 1..120)
    }

    /// A stream of the game: its name at each end, and how much was written and read there.
    #[derive(Default)]
    struct Tracked {
        number: u32,
        ids: [Option<StreamId>; 2],
        written: [u64; 2],
        read: [u64; 2],
    }

    /// Two ends and the wires between them. Every stream carries bytes that count up from its number, which no other
    /// stream of the game has.
    struct Game {
        ends: [Mux; 2],
        wires: [VecDeque<u8>; 2],
        streams: Vec<Tracked>,
        lives: u32,
    }

    fn byte(number: u32, place: u64) -> u8 {
        u8::try_from((u64::from(number) * 7 + place) % 251).unwrap()
    }

    impl Game {
        fn carry(&mut self, end: usize, most: usize) {
            let mut out = Vec::new();
            self.ends[end].transmit(&mut out);
            self.wires[end].extend(out);
            let count = self.wires[end].len().min(most);
            let bytes: Vec<u8> = self.wires[end].drain(..count).collect();
            self.ends[1 - end].receive(&bytes);
            while let Some(id) = self.ends[1].accept() {
                let tracked = self.streams.iter_mut().find(|tracked| tracked.number == id.number);
                tracked.unwrap().ids[1] = Some(id);
            }
        }

        fn play(&mut self, step: Move) -> Result<(), TestCaseError> {
            match step {
                Move::Open => {
                    let opened = self.ends[0].open();
                    let tracked = |id: StreamId| Tracked {
                        number: id.number,
                        ids: [Some(id), None],
                        ..Tracked::default()
                    };
                    self.streams.extend(opened.map(tracked));
                }
                Move::Write(at, end, count) => {
                    let end = usize::from(end);
                    let Some(Tracked { number, ids, written, .. }) = self.streams.iter_mut().rev().nth(at)
                    else {
                        return Ok(());
                    };
                    let Some(id) = ids[end] else { return Ok(()) };
                    let bytes: Vec<u8> = (0..count as u64).map(|n| byte(*number, written[end] + n)).collect();
                    written[end] += self.ends[end].write(id, &bytes) as u64;
                }
                Move::Read(at, end, most) => {
                    let end = usize::from(end);
                    let Some(Tracked { number, ids, written, read }) = self.streams.iter_mut().rev().nth(at)
                    else {
                        return Ok(());
                    };
                    let Some(id) = ids[end] else { return Ok(()) };
                    if let Read::Data(data) = self.ends[end].read(id, most) {
                        let expected: Vec<u8> =
                            (0..data.len() as u64).map(|n| byte(*number, read[end] + n)).collect();
                        prop_assert_eq!(&data, &expected, "stream {} at {}", number, end);
                        read[end] += data.len() as u64;
                        prop_assert!(read[end] <= written[1 - end]);
                    }
                }
                Move::Finish(at, end) => {
                    let end = usize::from(end);
                    if let Some(id) = self.streams.iter().rev().nth(at).and_then(|tracked| tracked.ids[end]) {
                        self.ends[end].finish(id);
                    }
                }
                Move::Carry(end, most) => self.carry(usize::from(end), most),
                Move::Restart(end, lost) => {
                    let end = usize::from(end);
                    self.restart(end);
                    let kept = self.wires[end].len().saturating_sub(lost);
                    self.wires[end].truncate(kept);
                }
                Move::Garbage(end, bytes) => self.wires[usize::from(end)].extend(bytes),
            }
            for end in &self.ends {
                prop_assert!(end.held() <= MAX_STREAMS * 2 * WINDOW);
            }
            Ok(())
        }

        fn restart(&mut self, end: usize) {
            self.lives += 1;
            let role = if end == 0 { Role::Opener } else { Role::Acceptor };
            self.ends[end] = Mux::new(role, 100 + self.lives);
            self.ends[end].next_id = 1000 * self.lives;
            for tracked in &mut self.streams {
                tracked.ids[end] = None;
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]
        #[test]
        fn bytes_stay_in_order_and_the_link_comes_up_whatever_happens(moves in moves()) {
            let ends = [Mux::new(Role::Opener, 1), Mux::new(Role::Acceptor, 2)];
            let mut game = Game { ends, wires: Default::default(), streams: Vec::new(), lives: 0 };
            for step in moves {
                game.play(step)?;
            }
            // Garbage without an end would cost the stream below, and rightly so.
            game.wires.iter_mut().for_each(|wire| wire.push_back(END));
            for _ in 0..200 {
                game.ends.iter_mut().for_each(Mux::greet);
                game.carry(0, usize::MAX);
                game.carry(1, usize::MAX);
            }
            prop_assert!(game.ends.iter().all(Mux::is_up));
            // After all that, a new stream still carries.
            let before = game.streams.len();
            game.play(Move::Open)?;
            if game.streams.len() > before {
                game.play(Move::Write(0, false, 5))?;
                for _ in 0..3 {
                    game.carry(0, usize::MAX);
                    game.carry(1, usize::MAX);
                }
                game.play(Move::Read(0, true, 9))?;
                prop_assert_eq!(game.streams[before].read[1], 5);
            }
        }
    }
}
