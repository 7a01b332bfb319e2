use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// The CPU time that this process has taken so far: what else the machine does is not in it.
#[must_use]
pub fn cpu() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    let [seconds, nanos] = [time.tv_sec, time.tv_nsec].map(|part| u64::try_from(part).unwrap_or(0));
    Duration::from_secs(seconds) + Duration::from_nanos(nanos)
}
