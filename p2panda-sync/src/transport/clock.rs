use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use futures::future::BoxFuture;
use p2panda_core::schema;

use crate::node::Clock;

/// Tokio's timer. Its futures run on a tokio runtime with the time driver enabled.
#[derive(Clone, Copy, Debug)]
pub struct TokioClock(Instant);

impl Default for TokioClock {
    fn default() -> Self {
        Self(Instant::now())
    }
}

impl Clock for TokioClock {
    fn now(&self) -> Duration {
        self.0.elapsed()
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        Box::pin(tokio::time::sleep(duration))
    }

    fn wall(&self) -> Option<schema::Instant> {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).ok()?;
        Some(schema::Instant::from_millis(i64::try_from(since.as_millis()).ok()?))
    }
}
