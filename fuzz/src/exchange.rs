//! A session whose peer is honest, damaged or foreign, as the input says.

use std::time::Duration;

use bytes::Bytes;
use p2panda_core::Replica;
use p2panda_sync::{Fault, Input, MAX_FRAME, Output, Role, Session, Sketches, SyncError};
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng as _};

use crate::bed::Bed;

/// One side of an exchange.
struct Side {
    session: Session,
    replica: Replica,
    sketches: Sketches,
    over: bool,
}

impl Side {
    fn new(role: Role, replica: Replica, seed: u64) -> Self {
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        let session = Session::new(role, Duration::ZERO, &mut rng);
        Self { session, replica, sketches: Sketches::new(&mut rng), over: false }
    }

    fn take(&mut self, input: Input) {
        if !self.over {
            let (replica, sketches) = (&mut self.replica, &mut self.sketches);
            let result = self.session.handle(Duration::ZERO, input, replica, sketches);
            self.check(result.map(|()| None));
        }
    }

    /// The next frame that this side sends.
    fn next(&mut self) -> Option<Bytes> {
        while !self.over {
            let (replica, sketches) = (&mut self.replica, &mut self.sketches);
            let result = self.session.poll(Duration::ZERO, replica, sketches);
            match self.check(result)? {
                Output::Send(frame) => {
                    assert!(frame.len() <= MAX_FRAME);
                    return Some(frame);
                }
                Output::Event(_) => {}
                Output::Finished => self.over = true,
            }
        }
        None
    }

    /// Whatever a peer sends is never this device's fault.
    fn check(&mut self, result: Result<Option<Output>, SyncError>) -> Option<Output> {
        assert_eq!(self.replica.caught(), 0, "the last net caught something");
        result.unwrap_or_else(|error| {
            assert_ne!(error.fault(), Fault::Own, "{error}");
            self.over = true;
            None
        })
    }
}

impl Bed {
    /// The first byte gives the roles. Each step is an operation and what it needs: `0` hands the
    /// peer's next frame over, `1` does so with a byte of it changed (place in two bytes, value in
    /// one), `2` hands over a frame of the input (length in two bytes), `3` closes.
    pub fn exchange(&self, data: &[u8]) {
        let Some((roles, mut data)) = data.split_first() else { return };
        let (here, there) = match roles % 3 {
            0 => (Role::Accept, Role::Sync),
            1 => (Role::Accept, Role::Link),
            _ => (Role::Sync, Role::Accept),
        };
        let mut victim = Side::new(here, self.empty_handed(), 1);
        let mut peer = Side::new(there, self.laptop(), 2);
        while let Some((operation, rest)) = data.split_first() {
            data = rest;
            while let Some(frame) = victim.next() {
                peer.take(Input::Frame(frame));
            }
            if victim.over {
                return;
            }
            match operation % 4 {
                0 => {
                    let Some(frame) = peer.next() else { continue };
                    victim.take(Input::Frame(frame));
                }
                1 => {
                    let Some((&[high, low, value], rest)) = data.split_first_chunk() else {
                        return;
                    };
                    data = rest;
                    let Some(frame) = peer.next() else { continue };
                    let mut frame = frame.to_vec();
                    let place = usize::from(u16::from_be_bytes([high, low])) % frame.len();
                    frame[place] ^= value;
                    victim.take(Input::Frame(frame.into()));
                }
                2 => {
                    let Some((length, rest)) = data.split_first_chunk() else { return };
                    let length = usize::from(u16::from_be_bytes(*length)).min(rest.len());
                    let (frame, rest) = rest.split_at(length);
                    data = rest;
                    victim.take(Input::Frame(Bytes::copy_from_slice(frame)));
                }
                _ => victim.take(Input::Closed),
            }
        }
    }
}
