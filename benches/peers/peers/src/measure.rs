//! CPU time and memory of one step.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};

use crate::ALLOCATOR;

/// What a step cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cost {
    /// CPU time of all threads of the process, both peers together.
    pub cpu: Duration,
    /// How far the heap rose above where it stood before the step, both peers together.
    pub peak: u64,
}

/// A step that is being measured.
pub struct Measure {
    cpu: Duration,
    heap: usize,
}

impl Measure {
    /// Starts here.
    #[must_use]
    pub fn start() -> Self {
        ALLOCATOR.reset_peak_usage();
        Self { heap: ALLOCATOR.current_usage(), cpu: cpu() }
    }

    /// What it cost from the start to here.
    #[must_use]
    pub fn stop(self) -> Cost {
        let cpu = cpu().saturating_sub(self.cpu);
        Cost { cpu, peak: ALLOCATOR.peak_usage().saturating_sub(self.heap) as u64 }
    }

    /// Measures a step.
    pub fn of<T>(step: impl FnOnce() -> T) -> (T, Cost) {
        let measure = Self::start();
        let result = step();
        (result, measure.stop())
    }
}

fn cpu() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    let [seconds, nanos] = [time.tv_sec, time.tv_nsec].map(|part| u64::try_from(part).unwrap_or(0));
    Duration::from_secs(seconds) + Duration::from_nanos(nanos)
}
