//! Frames in Noise messages and out of them.
//!
//! A Noise message has at most 65,535 bytes and a frame may have more, so a frame travels in
//! pieces. Each is followed, under the encryption, by a byte that says whether it is the last; all
//! but the last are as long as they can be. So a peer cannot send pieces of nothing for ever.

use bytes::{BufMut as _, Bytes, BytesMut};
use snow::TransportState;

use crate::MAX_FRAME;

/// The longest Noise message.
pub(crate) const MAX_MESSAGE: usize = 65_535;
const TAG: usize = 16;
/// The most of a frame that one message carries.
const PIECE: usize = MAX_MESSAGE - TAG - 1;
const LAST: u8 = 0;
const MORE: u8 = 1;
/// Messages of one direction under one key: whoever takes a device and its memory cannot read what
/// was recorded of its link before.
const MESSAGES_A_KEY: u64 = 1_024;

/// Why a message was refused, or a frame not sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum SealError {
    #[error("a message does not decrypt: it was changed, repeated, left out or is not the peer's")]
    Forged,
    #[error("a frame comes in pieces that are not as they should be")]
    Pieces,
    #[error("a frame of more than {MAX_FRAME} bytes")]
    TooLarge,
    #[error("the link has carried as many messages as it can")]
    Exhausted,
}

/// The keys of a link's two directions, and the frame that is arriving.
pub(super) struct Sealing {
    keys: TransportState,
    arriving: BytesMut,
}

impl Sealing {
    pub(super) fn new(keys: TransportState) -> Self {
        Self { keys, arriving: BytesMut::new() }
    }

    /// Whether a part of a frame has arrived and the rest not.
    pub(super) fn is_within_a_frame(&self) -> bool {
        !self.arriving.is_empty()
    }

    /// The messages that carry a frame.
    pub(super) fn seal(
        &mut self,
        frame: &[u8],
        mut send: impl FnMut(Bytes),
    ) -> Result<(), SealError> {
        if frame.len() > MAX_FRAME {
            return Err(SealError::TooLarge);
        }
        let mut rest = frame;
        loop {
            let (piece, after) = rest.split_at(rest.len().min(PIECE));
            let mut plain = Vec::with_capacity(piece.len() + 1);
            plain.put_slice(piece);
            plain.put_u8(if after.is_empty() { LAST } else { MORE });
            let mut message = vec![0; plain.len() + TAG];
            let written = self.keys.write_message(&plain, &mut message);
            message.truncate(written.map_err(|_| SealError::Exhausted)?);
            if self.keys.sending_nonce().is_multiple_of(MESSAGES_A_KEY) {
                self.keys.rekey_outgoing();
            }
            send(message.into());
            if after.is_empty() {
                return Ok(());
            }
            rest = after;
        }
    }

    /// Takes a message in; the frame that it completes, if it does.
    pub(super) fn open(&mut self, message: &[u8]) -> Result<Option<Bytes>, SealError> {
        let plain = message.len().checked_sub(TAG).ok_or(SealError::Forged)?;
        let from = self.arriving.len();
        if plain > PIECE + 1 || from + plain > MAX_FRAME + 1 {
            return Err(SealError::TooLarge);
        }
        self.arriving.resize(from + plain, 0);
        let read = self.keys.read_message(message, &mut self.arriving[from..]);
        if read != Ok(plain) {
            return Err(SealError::Forged);
        }
        if self.keys.receiving_nonce().is_multiple_of(MESSAGES_A_KEY) {
            self.keys.rekey_incoming();
        }
        let more = self.arriving.last().copied();
        self.arriving.truncate((from + plain).saturating_sub(1));
        match more {
            Some(LAST) => Ok(Some(self.arriving.split().freeze())),
            Some(MORE) if plain == PIECE + 1 => Ok(None),
            _ => Err(SealError::Pieces),
        }
    }
}
