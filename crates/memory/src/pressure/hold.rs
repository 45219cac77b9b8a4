//! A level that changes only after what asks for it has lasted.

use kinglet_model::memory::AlarmLevel;

/// How long something must last, in milliseconds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lasting {
    pub(super) up: u64,
    pub(super) down: u64,
}

/// The level of one alarm.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Hold {
    pub(super) level: Option<AlarmLevel>,
    pub(super) since_ms: u64,
    /// Asked for since when, and the level nearest to the present one that was asked for.
    pending: Option<(Option<AlarmLevel>, u64)>,
}

impl Hold {
    /// Takes what is asked for now. `true` where the level changed.
    pub(super) fn step(
        &mut self,
        now_ms: u64,
        asked: Option<AlarmLevel>,
        lasting: Lasting,
    ) -> bool {
        if asked == self.level {
            self.pending = None;
            return false;
        }
        let up = asked > self.level;
        let (nearest, from_ms) = match self.pending {
            Some((level, from)) if (level > self.level) == up => (
                if up {
                    level.min(asked)
                } else {
                    level.max(asked)
                },
                from,
            ),
            _ => (asked, now_ms),
        };
        self.pending = Some((nearest, from_ms));
        let needed = if up { lasting.up } else { lasting.down };
        if now_ms.saturating_sub(from_ms) < needed {
            return false;
        }
        self.level = nearest;
        self.since_ms = now_ms;
        self.pending = None;
        true
    }
}

/// The highest level whose threshold a value reaches. A level that is reached already is kept until the
/// value falls to half of it.
pub(super) fn reached(
    value: f64,
    thresholds: &[(AlarmLevel, f64)],
    present: Option<AlarmLevel>,
) -> Option<AlarmLevel> {
    let holds = |(level, threshold): &&(AlarmLevel, f64)| {
        let kept = Some(*level) <= present;
        value >= if kept { threshold / 2.0 } else { *threshold }
    };
    thresholds
        .iter()
        .filter(holds)
        .map(|(level, _)| *level)
        .max()
}
