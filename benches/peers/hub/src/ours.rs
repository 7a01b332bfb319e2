//! Our sessions over a store of many logs. The peer holds the same: one replica plays both sides,
//! each with sketches of its own.

use std::{path::Path, time::Duration};

use p2panda_core::{
    ChannelBinding, DocumentDescriptor, Festival, Identity, Incarnation, LogId, Replica, Tip, VerifiedSegment,
    store::{NoResume, RedbStore},
};
use p2panda_sync::{Input, Output, Role, Session, Sketches};
use rand_chacha::{
    ChaCha20Rng,
    rand_core::{Rng as _, SeedableRng as _},
};

use crate::{Failure, HELLO, KNOWN_SALT, NEW_SALT, REST, counted};

const NOW: Duration = Duration::ZERO;

fn identity() -> Identity {
    Identity::from_secret(&[7; 32])
}

/// Writes a store with so many logs, each by an author of its own.
pub(crate) fn prepare(path: &Path, logs: usize) -> Result<(), Failure> {
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let store = Box::new(RedbStore::open(path)?);
    let mut replica = Replica::open(store, identity(), Box::new(NoResume))?;
    let festival = Festival::found(&identity(), &mut rng);
    replica.join(&festival)?;
    for _ in 0..logs {
        let author = Identity::generate(&mut rng);
        let (user, label) = (author.user(), String::new());
        let descriptor = DocumentDescriptor { festival: festival.id(), user, label };
        let log = LogId { document: descriptor.id(), incarnation: Incarnation::random(&mut rng) };
        let mut payload = vec![0; 120];
        rng.fill_bytes(&mut payload);
        let segment = VerifiedSegment::sign(&author, log, &Tip::start(&log), vec![payload])?;
        replica.accept(&descriptor, segment.into_segment())?;
    }
    Ok(replica.flush()?)
}

/// Counts what serving one more peer takes, and what connecting takes.
pub(crate) fn count(path: &Path) -> Result<(), Failure> {
    let mut rng = ChaCha20Rng::seed_from_u64(2);
    let store = Box::new(RedbStore::open(path)?);
    let mut replica = Replica::open(store, identity(), Box::new(NoResume))?;
    let [mut hub, mut other, mut peer, mut stranger] = [(); 4].map(|()| Sketches::new(&mut rng));
    // Both hubs have served somebody today, and the peer has met the first.
    meet(&mut replica, &mut rng, &mut peer, &mut hub, [None; 3])?;
    meet(&mut replica, &mut rng, &mut stranger, &mut other, [None; 3])?;
    let steps = [Some(HELLO), Some(KNOWN_SALT), Some(REST)];
    meet(&mut replica, &mut rng, &mut peer, &mut hub, steps)?;
    meet(&mut replica, &mut rng, &mut peer, &mut other, [None, Some(NEW_SALT), None])
}

/// One session. The hub's first turn, the peer's after that and the hub's later ones are counted
/// where they have a name.
fn meet(
    replica: &mut Replica,
    rng: &mut ChaCha20Rng,
    peer: &mut Sketches,
    hub: &mut Sketches,
    [hello, answer, rest]: [Option<&'static str>; 3],
) -> Result<(), Failure> {
    // As over a link that is encrypted, like all that are not for tests.
    let link = ChannelBinding::from_bytes([7; 32]);
    let mut sessions =
        [Role::Sync, Role::Accept].map(|role| Session::new(role, NOW, rng).bound(link));
    let (mut frames, mut done) = (Vec::new(), [false; 2]);
    for turn in 0.. {
        let side = turn % 2;
        let sketches = if side == 0 { &mut *peer } else { &mut *hub };
        let session = &mut sessions[side];
        let mut step = || {
            let mut said = Vec::new();
            for frame in frames.drain(..) {
                session.handle(NOW, Input::Frame(frame), replica, sketches)?;
            }
            while !done[side] {
                match session.poll(NOW, replica, sketches)? {
                    Some(Output::Send(frame)) => said.push(frame),
                    Some(Output::Event(_)) => {}
                    Some(Output::Finished) => done[side] = true,
                    None => break,
                }
            }
            Ok::<_, Failure>(said)
        };
        let name = match turn {
            1 => hello,
            2 => answer,
            3.. if side == 1 => rest,
            _ => None,
        };
        frames = match name {
            Some(name) => counted(name, step)?,
            None => step()?,
        };
        // Who is done closes the connection; what was said until then still arrives.
        if done.contains(&true) && frames.is_empty() {
            return Ok(());
        }
        if turn > 20 {
            return Err("the session does not end".into());
        }
    }
    Ok(())
}
