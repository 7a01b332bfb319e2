//! Finding out which logs of a festival differ.
//!
//! ```text
//! opener                        accepting side
//!        <- HELLO, RESALT       syndromes
//! NEED   ->                     they did not tell; with an estimator the first time
//!        <- MORE                syndromes or cells, by the estimate
//!        <- VECTOR              or the whole map, where a fifth of it differs or nothing helps
//! VECTOR ->                     where the opener holds much less, instead of NEED
//! ```

use super::{
    Context, budget,
    common::{Common, State},
    exchange::Exchange,
    greeting::read_syndromes,
    scope::sketch_of,
};
use crate::{
    error::{PeerFault, SyncError},
    sketch::{
        Cell, Cells, Difference, Estimator, MAX_CELLS, MAX_SYNDROMES, PeelError, Plan, Salt,
        Syndromes, pack, unpack,
    },
    wire::{MAX_CONTROL, Message, More, Need, Resalt, Stand, Stands, Vector},
};

/// How often more may be asked for before the whole map is told.
const MAX_ROUNDS: u32 = 4;

/// The most cells of one `MORE`: 16 bytes each fit.
const CELLS: usize = MAX_CONTROL / 16 - 24;

/// What is told in several messages, made as the transport takes them.
pub(super) enum Telling {
    /// Syndromes or cells up to an end.
    Sums { place: u64, cells: bool, end: usize },
    /// The logs from a key on.
    Vector { place: u64, next: u64 },
}

impl Telling {
    const fn place(&self) -> u64 {
        let (Self::Sums { place, .. } | Self::Vector { place, .. }) = self;
        *place
    }
}

impl Exchange {
    /// Compares with syndromes that are all there are so far. `size` is the number of bits of the
    /// number of logs that the peer holds.
    pub(super) fn compare(
        &mut self,
        place: u64,
        theirs: Syndromes,
        size: Option<u64>,
        cx: &mut Context<'_>,
    ) -> Result<(), SyncError> {
        let common = self.commons.get_mut(&place).ok_or(PeerFault::Unexpected("RESALT"))?;
        let sketch = common.sketch(cx)?;
        if sketch.collided() {
            common.state = State::Resalting;
            self.queue.push_back(Message::Resalt(Resalt { place, sketch: None }));
            return Ok(());
        }
        let ours = sketch.len() as u64;
        if let Some(differences) = self.decode_syndromes(place, &theirs, cx)? {
            self.compared(place, &differences, cx)?;
            return self.act_on(place, differences, cx);
        }
        let common = self.commons.get_mut(&place).ok_or(PeerFault::Unexpected("RESALT"))?;
        // So much less than the peer that telling all of it is the shortest way.
        let bits = size.and_then(|bits| u32::try_from(bits.checked_sub(1)?).ok());
        let theirs_at_least = bits.map_or(0, |bits| 1_u64.checked_shl(bits).unwrap_or(u64::MAX));
        if ours.saturating_mul(5) < theirs_at_least.saturating_mul(4) || ours == 0 {
            self.telling.push_back(Telling::Vector { place, next: 0 });
            return Ok(());
        }
        common.state = State::Decoding { syndromes: theirs.sums().to_vec(), cells: Vec::new() };
        let estimator = common.estimator(&self.refusals, cx)?;
        let estimator = estimator.to_bytes().into();
        self.queue.push_back(Message::Need(Need { place, estimator }));
        Ok(())
    }

    /// The peer refuses more than it did when this was compared, or told.
    pub(super) fn compare_without(
        &mut self,
        place: u64,
        cx: &mut Context<'_>,
    ) -> Result<(), SyncError> {
        let Some(common) = self.commons.get_mut(&place) else { return Ok(()) };
        common.told.version = None;
        let State::Decoding { syndromes, cells } = &common.state else { return Ok(()) };
        let is_asked =
            |message: &Message| matches!(message, Message::Need(need) if need.place == place);
        if !cells.is_empty() || !self.queue.iter().any(is_asked) {
            return Ok(());
        }
        // It was about to be asked for more, which may not be necessary.
        self.queue.retain(|message| !is_asked(message));
        let theirs = Syndromes::from_sums(syndromes.clone()).unwrap_or_default();
        common.state = State::Over;
        self.compare(place, theirs, None, cx)
    }

    /// Accepting: the peer needs more.
    pub(super) fn need(&mut self, need: &Need, cx: &mut Context<'_>) -> Result<(), SyncError> {
        let unexpected = PeerFault::Unexpected("NEED");
        let common = self.commons.get_mut(&need.place).filter(|_| !self.opener);
        let common = common.ok_or_else(|| unexpected.clone())?;
        if self.telling.iter().any(|telling| telling.place() == need.place) {
            return Err(unexpected.into());
        }
        common.told.rounds += 1;
        let plan = match common.told.plan {
            None => {
                let estimator = Estimator::from_bytes(&need.estimator);
                let theirs = estimator.ok_or(PeerFault::Message("NEED"))?;
                let estimate = common.estimator(&self.refusals, cx)?.distance(&theirs);
                common.told.estimate = estimate;
                cx.sketches.expect(estimate.min(MAX_SYNDROMES as u64));
                let sketch = common.sketch(cx)?;
                Plan::new(estimate, sketch.len() as u64)
            }
            Some(Plan::Vector) => return Err(PeerFault::TooMany("questions").into()),
            Some(_) if common.told.rounds > MAX_ROUNDS => Plan::Vector,
            // What follows syndromes is bounded by what those could tell.
            Some(plan) => plan.more().within(common.told.estimate.max(MAX_SYNDROMES as u64 / 2)),
        };
        common.told.plan = Some(plan);
        let place = need.place;
        self.telling.push_back(match plan {
            Plan::Syndromes(end) => Telling::Sums { place, cells: false, end },
            Plan::Cells(end) => Telling::Sums { place, cells: true, end },
            Plan::Vector => Telling::Vector { place, next: 0 },
        });
        Ok(())
    }

    /// The next part of what is being told.
    pub(super) fn tell(&mut self, cx: &mut Context<'_>) -> Result<Option<Message>, SyncError> {
        let Some(telling) = self.telling.pop_front() else { return Ok(None) };
        let Some(common) = self.commons.get_mut(&telling.place()) else { return Ok(None) };
        let left_out = self.refusals.left_out(&common.keys);
        let Common { scope, told, festival, salt, .. } = common;
        let sketch = sketch_of(scope, *festival, *salt, cx)?;
        match telling {
            Telling::Sums { place, cells, end } => {
                let version = Some(sketch.version());
                if told.version != version {
                    // Logs have grown: what was told does not fit what follows.
                    (told.version, told.syndromes, told.cells) = (version, 0, 0);
                }
                let (sums, start, to) = if cells {
                    let (start, to) = (told.cells, end.min(told.cells + CELLS));
                    let mut all = sketch.cells(to);
                    all.leave_out(sketch.values(left_out));
                    told.cells = to;
                    let parts = all.cells()[start.min(to)..].iter();
                    (pack(parts.flat_map(|cell| [cell.values, cell.products])), start, to)
                } else {
                    let (start, to) = (told.syndromes, end);
                    let mut all = sketch.syndromes(to);
                    all.leave_out(sketch.values(left_out));
                    told.syndromes = to;
                    (pack(all.sums()[start.min(to)..].iter().copied()), start, to)
                };
                let last = to >= end;
                if !last {
                    self.telling.push_front(Telling::Sums { place, cells, end });
                }
                let (start, sums) = (start as u64, sums.into());
                Ok(Some(Message::More(More { place, cells, start, sums, last })))
            }
            Telling::Vector { place, next } => {
                let mut logs = sketch
                    .from_key(Stand::long(next))
                    .filter(|(key, ..)| !left_out.contains(key))
                    .filter_map(|(key, _, value)| {
                        let hint = sketch.keys().read(key, value)?;
                        Some(Stand { key: Stand::short(key), hint })
                    });
                let mut stands: Vec<Stand> = logs.by_ref().take(Stands::MAX).collect();
                let rest = logs.next();
                if let Some(rest) = rest {
                    // Those of one short key stay together.
                    stands.retain(|stand| stand.key != rest.key);
                    self.telling.push_front(Telling::Vector { place, next: rest.key });
                }
                let stands = Stands(stands).to_bytes().into();
                Ok(Some(Message::Vector(Vector { place, stands, last: rest.is_none() })))
            }
        }
    }

    /// Opening: more of the peer's sketches has come.
    pub(super) fn more(&mut self, more: &More, cx: &mut Context<'_>) -> Result<(), SyncError> {
        let malformed = PeerFault::Message("MORE");
        cx.report.answered();
        let sums = unpack(&more.sums).ok_or_else(|| malformed.clone())?;
        let start = usize::try_from(more.start).map_err(|_| malformed.clone())?;
        let common = self.commons.get_mut(&more.place);
        match common.map(|common| &mut common.state) {
            // A prefix was enough.
            Some(State::Over) => return Ok(()),
            Some(State::Decoding { syndromes, cells }) => {
                if more.cells {
                    let new = sums.chunks_exact(2);
                    if start > cells.len() || !new.remainder().is_empty() {
                        return Err(malformed.into());
                    }
                    cells.truncate(start);
                    cells.extend(new.map(|sum| Cell { values: sum[0], products: sum[1] }));
                } else {
                    if start > syndromes.len() {
                        return Err(malformed.into());
                    }
                    syndromes.truncate(start);
                    syndromes.extend(sums);
                }
                if syndromes.len() > MAX_SYNDROMES || cells.len() > MAX_CELLS {
                    return Err(PeerFault::TooMany("sums").into());
                }
            }
            _ => return Err(PeerFault::Unexpected("MORE").into()),
        }
        let found = self.decode(more, cx)?;
        let Some(common) = self.commons.get_mut(&more.place) else { return Ok(()) };
        match found {
            Some(differences) => {
                common.state = State::Over;
                self.compared(more.place, &differences, cx)?;
                self.act_on(more.place, differences, cx)
            }
            None if more.last => {
                let place = more.place;
                self.queue.push_back(Message::Need(Need { place, estimator: Vec::new().into() }));
                Ok(())
            }
            None => Ok(()),
        }
    }

    fn decode(
        &mut self,
        more: &More,
        cx: &mut Context<'_>,
    ) -> Result<Option<Vec<Difference>>, SyncError> {
        let Some(common) = self.commons.get(&more.place) else { return Ok(None) };
        let State::Decoding { syndromes, cells } = &common.state else { return Ok(None) };
        if !more.cells {
            let theirs = Syndromes::from_sums(syndromes.clone()).unwrap_or_default();
            return self.decode_syndromes(more.place, &theirs, cx);
        }
        let theirs = Cells::from_cells(cells.clone()).unwrap_or_default();
        let left_out = self.refusals.left_out(&common.keys);
        self.charge(budget::cells(theirs.cells().len()), cx)?;
        let Some(common) = self.commons.get_mut(&more.place) else { return Ok(None) };
        let sketch = common.sketch(cx)?;
        match sketch.compare_cells_without(&left_out, &theirs) {
            Ok(differences) => Ok(Some(differences)),
            Err(PeelError::TooFew | PeelError::Contradiction) => Ok(None),
        }
    }

    /// What the peer refuses, it does not hold: compared is as if we did not, either.
    fn decode_syndromes(
        &mut self,
        place: u64,
        theirs: &Syndromes,
        cx: &mut Context<'_>,
    ) -> Result<Option<Vec<Difference>>, SyncError> {
        let Some(common) = self.commons.get(&place) else { return Ok(None) };
        let left_out = self.refusals.left_out(&common.keys);
        self.charge(budget::syndromes(theirs.sums().len()), cx)?;
        let Some(common) = self.commons.get_mut(&place) else { return Ok(None) };
        let seed = &mut self.seed;
        let sketch = common.sketch(cx)?;
        Ok(sketch.compare_syndromes_without(&left_out, theirs, &mut || {
            // Any sequence will do that the author of a log cannot foresee.
            *seed = seed.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
            *seed ^ seed.rotate_right(29)
        }))
    }

    /// The comparison begins again, or the peer asks for that.
    pub(super) fn resalted(
        &mut self,
        resalt: Resalt,
        cx: &mut Context<'_>,
    ) -> Result<(), SyncError> {
        let place = resalt.place;
        let Some((salt, sums)) = resalt.sketch.filter(|_| self.opener) else {
            if self.opener {
                return Err(PeerFault::Message("RESALT").into());
            }
            self.charge(budget::salt(0), cx)?;
            // On a live link every other one would pay for it.
            let common = self.commons.get_mut(&place).ok_or(PeerFault::Unexpected("RESALT"))?;
            let fresh = !self.caught_up || common.sketch(cx)?.collided();
            return self.resalt(place, fresh, cx);
        };
        cx.report.answered();
        let common = self.commons.get_mut(&place).ok_or(PeerFault::Unexpected("RESALT"))?;
        if common.is_narrowing() {
            return Err(PeerFault::Unexpected("RESALT").into());
        }
        if cx.replica.festival(common.festival)?.is_none() {
            self.end();
            return Ok(());
        }
        let salt = Salt(salt.0);
        let logs = common.sketch(cx)?.len();
        let (same, idly) = (salt == common.salt, common.is_over());
        self.charge(budget::salt(if same { 0 } else { logs }), cx)?;
        self.restart(place, salt);
        self.compares_idly(idly, &cx.sketches.links);
        self.telling.retain(|telling| telling.place() != place);
        let theirs = read_syndromes(&sums, "RESALT")?;
        self.compare(place, theirs, None, cx)
    }

    /// Compares with the peer's vector.
    pub(super) fn hear(&mut self, vector: &Vector, cx: &mut Context<'_>) -> Result<(), SyncError> {
        let place = vector.place;
        let common = self.commons.get_mut(&place).ok_or(PeerFault::Unexpected("VECTOR"))?;
        if self.opener {
            cx.report.answered();
        }
        let (mut heard, mut next) = match common.state {
            State::Hearing { heard, next } => (heard, next),
            State::Decoding { .. } => (0, 0),
            // Only a peer that holds less than we do begins with it.
            State::Over if !self.opener && common.told.plan.is_none() => (0, 0),
            _ => return Err(PeerFault::Unexpected("VECTOR").into()),
        };
        let malformed = PeerFault::Message("VECTOR");
        let stands = Stands::from_bytes(&vector.stands).ok_or_else(|| malformed.clone())?.0;
        if stands.first().is_some_and(|first| first.key < next)
            || (stands.is_empty() && !vector.last)
        {
            return Err(malformed.into());
        }
        heard += stands.len();
        if heard > crate::sketches::MAX_LOGS {
            return Err(PeerFault::TooMany("logs").into());
        }
        let sketch = common.sketch(cx)?;
        let end = match stands.last() {
            Some(_) if vector.last => u64::MAX,
            Some(last) => last.key + 1,
            None => u64::MAX,
        };
        let mut ours = sketch.from_key(Stand::long(next)).peekable();
        let mut differences = Vec::new();
        let mut theirs = stands.into_iter().peekable();
        loop {
            let our_key = ours.peek().map(|(key, ..)| Stand::short(*key)).filter(|key| *key < end);
            let their_key = theirs.peek().map(|stand| stand.key);
            let lowest = match (our_key, their_key) {
                (None, None) => break,
                (Some(key), None) | (None, Some(key)) => key,
                (Some(ours), Some(theirs)) => ours.min(theirs),
            };
            let here = if our_key == Some(lowest) { ours.next() } else { None };
            let there = if their_key == Some(lowest) { theirs.next() } else { None };
            let key = here.map_or_else(|| Stand::long(lowest), |(key, ..)| key);
            let hint = here.and_then(|(key, _, value)| sketch.keys().read(key, value));
            let there = there.map(|stand| stand.hint);
            if hint.is_none() || hint != there {
                let ours = here.map(|(_, log, _)| log);
                differences.push(Difference { key, ours, theirs: there });
            }
        }
        drop(ours);
        next = end;
        common.state = if vector.last { State::Over } else { State::Hearing { heard, next } };
        self.act_on(place, differences, cx)
    }

    /// Compares everything again: too much has changed to follow it.
    pub(super) fn compare_again(&mut self, cx: &mut Context<'_>) -> Result<(), SyncError> {
        if self.opener {
            self.ask_to_compare_again();
            return Ok(());
        }
        for place in self.commons.keys().copied().collect::<Vec<_>>() {
            self.resalt(place, false, cx)?;
        }
        Ok(())
    }

    /// Opening: asks for other sketches of everything.
    pub(super) fn ask_to_compare_again(&mut self) {
        for (place, common) in &mut self.commons {
            common.state = State::Resalting;
            self.queue.push_back(Message::Resalt(Resalt { place: *place, sketch: None }));
        }
    }
}
