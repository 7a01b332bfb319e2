//! A user whose key is in hostile hands: payloads of any content, rightly signed, meet the gate.

use p2panda_core::{
    AcceptError, DocumentDescriptor, Festival, FestivalId, Identity, LocalId, LogId, Replica,
    Segment, Stopped, Ticket, Tip, VerifiedSegment,
    schema::{Event, FestivalInfo, Instant, PolicySpec, Request, Resource, Span, Terms},
    store::{MemoryStore, NoResume},
};
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng as _};

#[cfg(fuzzing)]
use crate::payloads::{adopt, hash};
use crate::payloads::{join, repair, split};

const NOW: Instant = Instant::from_millis(1_700_000_000_000);

/// One user with two logs: `phone`, which every replica holds, and `laptop`, which depends on it.
pub struct Bed {
    user: Identity,
    festival: Festival,
    descriptor: DocumentDescriptor,
    phone: Segment,
    phone_tip: Tip,
    laptop: Vec<Vec<u8>>,
    laptop_log: LogId,
}

impl Default for Bed {
    fn default() -> Self {
        Self::new()
    }
}

impl Bed {
    /// The same logs at every call.
    #[must_use]
    pub fn new() -> Self {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let user = Identity::from_secret(&[7; 32]);
        let mut phone = replica(&user);
        let info = FestivalInfo { title: "Lake".into(), ..FestivalInfo::default() };
        let festival = phone.create_festival(&info, NOW, &mut rng).unwrap();
        write(&mut phone, &festival, "concert", &mut rng);
        let (phone_log, phone_tip) = phone.logs(festival.id()).unwrap()[0];
        let descriptor = phone.descriptor(&phone_log.document).unwrap().unwrap();
        let segment = phone.segment(&phone_log, 0).unwrap().unwrap().into_segment();

        let mut laptop = replica(&user);
        laptop.join(&festival).unwrap();
        laptop.accept(&descriptor, segment.clone()).unwrap();
        laptop.flush().unwrap();
        write(&mut laptop, &festival, "concert", &mut rng);
        write(&mut laptop, &festival, "reading", &mut rng);
        let logs = laptop.logs(festival.id()).unwrap();
        let (laptop_log, _) = *logs.iter().find(|(log, _)| *log != phone_log).unwrap();
        let payloads = laptop.segment(&laptop_log, 0).unwrap().unwrap().into_segment().payloads;
        Self { user, festival, descriptor, phone: segment, phone_tip, laptop: payloads, laptop_log }
    }

    /// Inputs that every replica accepts, to start from.
    #[must_use]
    pub fn seeds(&self) -> Vec<Vec<u8>> {
        let with_log = |log: u8, payloads: &[Vec<u8>]| [vec![log], join(payloads)].concat();
        let mut seeds: Vec<_> =
            (1..=self.laptop.len()).map(|end| with_log(0, &self.laptop[..end])).collect();
        seeds.push(with_log(2, &self.laptop));
        seeds.push(with_log(1, &self.phone.payloads[1..]));
        seeds
    }

    /// A ticket to the festival.
    #[must_use]
    pub fn ticket(&self) -> String {
        Ticket { festival: self.festival.clone() }.to_string()
    }

    /// What the ticket holds.
    #[must_use]
    pub fn festival_bytes(&self) -> Vec<u8> {
        self.festival.to_bytes()
    }

    /// The first byte says which log goes on (bit 0) and that nothing is repaired (bit 1).
    pub fn run(&self, data: &[u8]) {
        let Some((mode, data)) = data.split_first() else { return };
        let (log, tip) = match mode & 1 {
            0 => (self.laptop_log, Tip::start(&self.laptop_log)),
            _ => (self.phone.log, self.phone_tip),
        };
        let mut payloads = split(data);
        let mut previous = None;
        for payload in payloads.iter_mut().filter(|_| mode & 2 == 0) {
            previous = repair(payload, previous);
        }
        let Ok(segment) = VerifiedSegment::sign(&self.user, log, &tip, payloads) else { return };

        let mut whole = self.reader(&Identity::from_secret(&[8; 32]));
        self.accept(&mut whole, segment.clone().into_segment());

        let mut pieces = self.reader(&Identity::from_secret(&[9; 32]));
        let mut tip = tip;
        for payload in segment.payloads() {
            let piece = VerifiedSegment::sign(&self.user, log, &tip, vec![payload.clone()]);
            let piece = piece.expect("a part of a segment is a segment");
            tip = *piece.end();
            self.accept(&mut pieces, piece.into_segment());
        }
        self.assert_equal(&whole, &pieces);

        // The user's honest device reads all of it and still can write, and is read.
        let mut honest = self.reader(&self.user);
        self.accept(&mut honest, segment.into_segment());
        self.assert_equal(&whole, &honest);
        let mut rng = ChaCha20Rng::seed_from_u64(2);
        write(&mut honest, &self.festival, "concert", &mut rng);
        for (log, _) in honest.logs(self.festival.id()).unwrap() {
            let held = whole.held(&log).unwrap().map_or(0, |tip| tip.length);
            if let Some(segment) = honest.segment(&log, held).unwrap() {
                self.accept(&mut whole, segment.into_segment());
            }
        }
        self.assert_equal(&whole, &honest);
    }

    /// The festival.
    pub(crate) fn festival_id(&self) -> FestivalId {
        self.festival.id()
    }

    /// Good payloads, each after those before it.
    #[must_use]
    pub fn payloads(&self) -> &[Vec<u8>] {
        &self.laptop
    }

    /// Somebody who follows nothing.
    pub(crate) fn stranger(&self) -> Replica {
        replica(&Identity::from_secret(&[8; 32]))
    }

    /// The gate of the user's document, with both logs in it.
    #[cfg(fuzzing)]
    #[must_use]
    pub fn gate(&self) -> p2panda_core::fuzzing::Gate {
        let entries = |log: &LogId, payloads: &[Vec<u8>]| {
            let incarnation = log.incarnation;
            payloads.iter().map(|payload| (incarnation, payload.clone())).collect::<Vec<_>>()
        };
        let phone = entries(&self.phone.log, &self.phone.payloads);
        // The last entry is left out: it is what the inputs start from.
        let laptop = entries(&self.laptop_log, &self.laptop[..self.laptop.len() - 1]);
        p2panda_core::fuzzing::Gate::new(self.user.user(), [phone, laptop].concat())
    }

    /// Offers the gate a payload, its length, checksum, author and first dependency repaired. The
    /// first byte says whose next it is (bit 0), and that nothing is repaired (bit 1).
    #[cfg(fuzzing)]
    pub fn offer(&self, gate: &mut p2panda_core::fuzzing::Gate, data: &[u8]) {
        let Some((mode, data)) = data.split_first() else { return };
        let before = self.laptop.len() - 2;
        let (log, last) = match mode & 1 {
            0 => (&self.laptop_log, &self.laptop[before]),
            _ => (&self.phone.log, &self.phone.payloads[self.phone.payloads.len() - 1]),
        };
        let mut payload = data.to_vec();
        if mode & 2 == 0 {
            adopt(&mut payload, &self.user.user(), &log.incarnation);
            repair(&mut payload, hash(last));
        }
        gate.offer(log.incarnation, &payload);
    }

    /// Payloads to start from: the last of each log, the phone's being one that was.
    #[must_use]
    pub fn payload_seeds(&self) -> Vec<Vec<u8>> {
        let last = |payloads: &[Vec<u8>]| payloads.last().cloned().unwrap_or_default();
        let earlier = self.laptop.iter().map(|payload| [&[2], &payload[..]].concat());
        let mut seeds: Vec<_> = earlier.collect();
        seeds.push([&[0], &last(&self.laptop)[..]].concat());
        seeds.push([&[1], &last(&self.phone.payloads)[..]].concat());
        seeds
    }

    /// A stranger who follows the festival and holds nothing of it.
    pub(crate) fn empty_handed(&self) -> Replica {
        let mut reader = replica(&Identity::from_secret(&[8; 32]));
        reader.join(&self.festival).unwrap();
        reader
    }

    /// A peer that holds both logs.
    pub(crate) fn laptop(&self) -> Replica {
        let mut laptop = self.reader(&Identity::from_secret(&[9; 32]));
        let start = Tip::start(&self.laptop_log);
        let segment =
            VerifiedSegment::sign(&self.user, self.laptop_log, &start, self.laptop.clone());
        self.accept(&mut laptop, segment.expect("it was one before").into_segment());
        laptop
    }

    /// A replica that holds the first log.
    fn reader(&self, identity: &Identity) -> Replica {
        let mut reader = replica(identity);
        reader.join(&self.festival).unwrap();
        self.accept(&mut reader, self.phone.clone());
        reader
    }

    fn accept(&self, replica: &mut Replica, segment: Segment) {
        match replica.accept(&self.descriptor, segment) {
            Ok(_) => replica.flush().unwrap(),
            Err(AcceptError::Store(error)) => panic!("a store in memory failed: {error}"),
            Err(error) => panic!("a well-signed segment was not stored: {error}"),
        }
    }

    fn assert_equal(&self, left: &Replica, right: &Replica) {
        let festival = self.festival.id();
        assert_eq!((left.caught(), right.caught()), (0, 0), "the last net caught something");
        let stopped = left.stopped_logs(festival).unwrap();
        assert!(stopped.iter().all(|(_, why)| *why != Stopped::Failed), "a judged change failed");
        assert_eq!(stopped, right.stopped_logs(festival).unwrap());
        assert_eq!(left.fingerprint_logs().unwrap(), right.fingerprint_logs().unwrap());
        assert_eq!(left.fingerprint_view().unwrap(), right.fingerprint_view().unwrap());
        let view = left.view(festival);
        assert_eq!(view.schedule(None).unwrap(), right.view(festival).schedule(None).unwrap());
        view.list::<Resource>().unwrap();
    }
}

fn replica(identity: &Identity) -> Replica {
    Replica::open(Box::new(MemoryStore::new()), identity.clone(), Box::new(NoResume)).unwrap()
}

/// Edits of every kind: entities made, changed field by field and deleted, and a record.
fn write(replica: &mut Replica, festival: &Festival, name: &str, rng: &mut ChaCha20Rng) {
    let span = Span { starts: Instant::from_millis(1_000), ends: Instant::from_millis(2_000) };
    let mut event = Event {
        title: name.into(),
        starts: Some(span.starts),
        ends: Some(span.ends),
        tags: ["music".to_owned(), "outdoors".to_owned()].into(),
        ..Event::default()
    };
    let stage = Resource {
        title: "Stage".into(),
        policy: PolicySpec::new("first-come"),
        ..Resource::default()
    };
    let local: LocalId = name.parse().unwrap();
    let mut edit = |change: &mut dyn FnMut(&mut p2panda_core::Edit<'_>) -> EditResult| {
        replica.edit(festival.id(), NOW, rng, |edit| change(edit)).unwrap()
    };
    edit(&mut |edit| edit.put(&local, &event).map(drop));
    event.title.push('!');
    event.tags.remove("outdoors");
    edit(&mut |edit| edit.put(&local, &event).map(drop));
    edit(&mut |edit| {
        let event = edit.put(&local, &event)?;
        let resource = edit.create(&stage)?;
        let terms = Terms { event, resource, span, units: 1 };
        edit.request(Request { terms, claimed: NOW, note: String::new() })?;
        let scrap = edit.create(&event_of("scrap"))?;
        edit.set(&scrap, &["nested", "deep"], true.into())
    });
    edit(&mut |edit| {
        let scrap = edit.create(&event_of("gone"))?;
        edit.delete(&scrap, &["title"])
    });
}

type EditResult = Result<(), p2panda_core::EditError>;

fn event_of(title: &str) -> Event {
    Event { title: title.into(), ..Event::default() }
}
