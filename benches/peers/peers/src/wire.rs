//! What travels between two peers.

/// One of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The one that is behind.
    Here,
    /// The one that has more.
    There,
}

/// Travels with a message: the length of the longest chain of messages that led to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp(u32);

/// What a stream needs to tell a message from the next, counted for every system alike.
const LENGTH: u64 = 4;

/// Counts bytes and messages, and how long peers wait for each other: a message is one step later
/// than the latest one that its sender had received. Two such steps are a round trip.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wire {
    bytes: u64,
    messages: u64,
    received: [u32; 2],
    steps: u32,
}

impl Wire {
    /// A message leaves.
    pub fn sent(&mut self, from: Side, bytes: usize) -> Stamp {
        self.bytes += LENGTH + bytes as u64;
        self.messages += 1;
        let stamp = self.received[from as usize] + 1;
        self.steps = self.steps.max(stamp);
        Stamp(stamp)
    }

    /// A message arrives.
    pub fn arrived(&mut self, at: Side, stamp: Stamp) {
        let received = &mut self.received[at as usize];
        *received = (*received).max(stamp.0);
    }

    /// Bytes of both directions.
    #[must_use]
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Messages of both directions.
    #[must_use]
    pub const fn messages(&self) -> u64 {
        self.messages
    }

    /// One-way steps from the first message to the last.
    #[must_use]
    pub const fn steps(&self) -> u32 {
        self.steps
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_that_do_not_wait_for_each_other_are_one_step() {
        let mut wire = Wire::default();
        let both = [wire.sent(Side::Here, 10), wire.sent(Side::There, 10)];
        assert_eq!(wire.steps(), 1);
        wire.arrived(Side::There, both[0]);
        let answers = [wire.sent(Side::There, 10), wire.sent(Side::There, 10)];
        assert_eq!((wire.steps(), wire.messages(), wire.bytes()), (2, 4, 56));
        wire.arrived(Side::Here, answers[1]);
        wire.sent(Side::Here, 10);
        assert_eq!(wire.steps(), 3);
    }
}
