//! What connects two peers, and what it does to frames.

use std::{collections::VecDeque, time::Duration};

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::Random;

/// What a transport adds to a frame: the length prefix, in bytes.
const FRAME_HEADER: u64 = 4;

/// How frames travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Carriage {
    /// In order or not at all: a frame that is lost ends the connection.
    Stream,
    /// In order, as TCP does it: a packet that is lost is sent again after a while, and each time
    /// after twice as long. So loss costs time and bytes, for all frames behind it too, and ends the
    /// connection only after many losses in a row.
    Retransmitting,
    /// Each for itself: frames may be lost, doubled and overtake each other.
    Datagram,
}

/// The bytes of a packet, where packets are sent again.
const PACKET: u64 = 1400;

/// How soon a packet is sent again at the earliest, and after how many losses no more.
const RESEND: Duration = Duration::from_millis(200);
const MAX_LOSSES: u32 = 12;

/// The nature of a link: how often its ends meet, and what happens to frames on the way.
///
/// ```
/// use std::time::Duration;
/// use p2panda_sync::sim::Link;
///
/// let flaky = Link { loss: 0.02, truncation: 0.01, ..Link::wlan() };
/// assert_eq!(flaky.latency, Duration::from_millis(4));
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Link {
    /// The time a frame travels, one way.
    pub latency: Duration,
    /// At most so much more, drawn for each frame.
    pub jitter: Duration,
    /// Bytes a second, each way.
    pub bandwidth: u64,
    /// Bytes on the way, beyond which nothing more is taken.
    pub window: usize,
    /// The share of frames that do not arrive; of packets, where they are sent again.
    pub loss: f64,
    /// The share of frames of which only the beginning arrives; a stream ends there.
    pub truncation: f64,
    /// The share of datagrams that arrive twice.
    pub duplication: f64,
    /// The share of datagrams that others overtake.
    pub reordering: f64,
    /// Whether frames travel in a stream or each for itself.
    pub carriage: Carriage,
    /// How often the first of the two peers connects to the other while there is no connection;
    /// `None` where only [`Change::Meet`](super::Change::Meet) does.
    pub every: Option<Duration>,
    /// Whether a connection stays, to push what either side learns.
    pub live: bool,
}

impl Link {
    /// A good wireless network: 4 ms, 2 MB/s, always connected.
    #[must_use]
    pub const fn wlan() -> Self {
        Self {
            latency: Duration::from_millis(4),
            jitter: Duration::from_millis(6),
            bandwidth: 2_000_000,
            window: 256 * 1024,
            loss: 0.0,
            truncation: 0.0,
            duplication: 0.0,
            reordering: 0.0,
            carriage: Carriage::Stream,
            every: Some(Duration::from_secs(10)),
            live: true,
        }
    }

    /// A mobile network: 80 ms, 100 kB/s, one frame in 200 lost, an exchange every minute or so.
    #[must_use]
    pub const fn mobile() -> Self {
        Self {
            latency: Duration::from_millis(80),
            jitter: Duration::from_millis(120),
            bandwidth: 100_000,
            loss: 0.005,
            every: Some(Duration::from_secs(60)),
            live: false,
            ..Self::wlan()
        }
    }

    /// Two phones that meet when the schedule says so: 30 ms, 50 kB/s, one frame in 50 lost.
    #[must_use]
    pub const fn encounter() -> Self {
        Self {
            latency: Duration::from_millis(30),
            jitter: Duration::from_millis(30),
            bandwidth: 50_000,
            loss: 0.02,
            every: None,
            live: false,
            ..Self::wlan()
        }
    }

    /// How much later a question is answered because one of the two was lost; `None` where that is
    /// the end of it.
    pub(crate) fn asks_and_answers(&self, random: &mut Random) -> Option<Duration> {
        let mut late = Duration::ZERO;
        for _ in 0..2 {
            if self.carriage == Carriage::Retransmitting {
                late += resend(0, self, random)?.0;
            } else if random.chance(self.loss) {
                return None;
            }
        }
        Some(late)
    }

    /// The same link without any losses, delays apart.
    #[must_use]
    pub(crate) fn healed(&self) -> Self {
        Self {
            loss: 0.0,
            truncation: 0.0,
            duplication: 0.0,
            reordering: 0.0,
            carriage: Carriage::Stream,
            ..self.clone()
        }
    }
}

/// One direction of a connection.
#[derive(Debug, Default)]
pub(crate) struct Lane {
    /// When the frame that was taken last is on its way.
    busy_until: Duration,
    last_arrival: Duration,
    /// Sizes of frames on the way that were taken but not read yet.
    in_flight: VecDeque<usize>,
    bytes_in_flight: usize,
    pub(crate) is_broken: bool,
}

/// What becomes of a frame.
#[derive(Debug, Default)]
pub(crate) struct Fate {
    /// When copies of it arrive, and what of it.
    pub(crate) arrivals: Vec<(Duration, Bytes)>,
    /// Whether the stream ends with it.
    pub(crate) breaks: bool,
    /// Bytes that were sent again.
    pub(crate) resent: u64,
}

impl Lane {
    /// When another frame is taken: at once, later, or `None` where frames have to be read before.
    pub(crate) fn ready_at(&self, link: &Link) -> Option<Duration> {
        (self.bytes_in_flight <= link.window).then_some(self.busy_until)
    }

    /// When everything that is on the way has arrived.
    pub(crate) const fn drained_at(&self) -> Duration {
        self.last_arrival
    }

    /// The frame that travels longest was read.
    pub(crate) fn read(&mut self) {
        self.bytes_in_flight -= self.in_flight.pop_front().unwrap_or_default();
    }

    /// Takes a frame. `lost` where the other side cannot be reached at all.
    pub(crate) fn send(
        &mut self,
        now: Duration,
        frame: Bytes,
        link: &Link,
        lost: bool,
        random: &mut Random,
    ) -> Fate {
        let size = frame.len() as u64 + FRAME_HEADER;
        let micros = size.saturating_mul(1_000_000) / link.bandwidth.max(1);
        self.busy_until = self.busy_until.max(now) + Duration::from_micros(micros);
        let datagram = link.carriage == Carriage::Datagram;
        let mut fate = Fate::default();
        if self.is_broken {
            return fate;
        }
        let mut delay = Duration::ZERO;
        let is_lost = if link.carriage == Carriage::Retransmitting && !lost {
            let Some((late, resent)) = resend(size, link, random) else {
                fate.breaks = true;
                self.is_broken = true;
                return fate;
            };
            (delay, fate.resent) = (late, resent);
            false
        } else {
            lost || random.chance(link.loss)
        };
        if is_lost {
            fate.breaks = !datagram;
            self.is_broken = fate.breaks;
            return fate;
        }
        let mut frame = frame;
        if random.chance(link.truncation) {
            frame.truncate(random.index(frame.len()));
            fate.breaks = !datagram;
            self.is_broken = fate.breaks;
        }
        let copies = if datagram && random.chance(link.duplication) { 2 } else { 1 };
        for _ in 0..copies {
            let mut arrival = self.busy_until
                + delay
                + link.latency
                + random.between(Duration::ZERO, link.jitter);
            if !datagram {
                arrival = arrival.max(self.last_arrival);
            } else if random.chance(link.reordering) {
                arrival += random.between(link.latency, link.latency * 4 + link.jitter);
            }
            self.last_arrival = self.last_arrival.max(arrival);
            self.in_flight.push_back(frame.len());
            self.bytes_in_flight += frame.len();
            fate.arrivals.push((arrival, frame.clone()));
        }
        fate
    }
}

/// How much later a frame arrives because packets of it were lost, and how many bytes were sent
/// again; `None` where one was lost too often.
fn resend(size: u64, link: &Link, random: &mut Random) -> Option<(Duration, u64)> {
    let first = RESEND.max((link.latency * 2 + link.jitter) * 2);
    let (mut delay, mut resent, mut left) = (Duration::ZERO, 0, size);
    loop {
        let packet = left.min(PACKET);
        left -= packet;
        let mut losses = 0;
        while random.chance(link.loss) {
            losses += 1;
            resent += packet;
            if losses == MAX_LOSSES {
                return None;
            }
        }
        // Packets of one frame are on the way together.
        delay = delay.max(first * ((1 << losses) - 1));
        if left == 0 {
            return Some((delay, resent));
        }
    }
}
