//! From verdicts on controls to verdicts on levels.
//!
//! Levels are cumulative. The map is the standard's own; plain-text copies of its table lose their
//! blank cells and read differently.

use crate::model::{ControlId, ControlVerdict, Level, LevelStatus, LevelVerdict, Status};

/// The verdict on each level. No component means no level.
pub fn levels(controls: &[ControlVerdict], components: u64) -> Vec<LevelVerdict> {
    Level::ALL
        .into_iter()
        .map(|level| {
            let of_level = controls.iter().filter(|verdict| verdict.level <= level);
            let (verdict, blocking) = judge(of_level, components);
            LevelVerdict {
                level,
                verdict,
                blocking,
            }
        })
        .collect()
}

fn judge<'a>(
    controls: impl Iterator<Item = &'a ControlVerdict>,
    components: u64,
) -> (LevelStatus, Vec<ControlId>) {
    let mut verdict = LevelStatus::Demonstrated;
    let mut blocking = Vec::new();
    for control in controls {
        let reached = reached(control.status);
        if !reached.is_reached() {
            blocking.push(control.control);
        }
        verdict = verdict.min(reached);
    }
    if components == 0 {
        verdict = LevelStatus::NothingAssessed;
    }
    (verdict, blocking)
}

const fn reached(status: Status) -> LevelStatus {
    match status {
        Status::Violated => LevelStatus::NotMet,
        Status::Unknown => LevelStatus::Undetermined,
        Status::Waived => LevelStatus::MetWithWaivers,
        Status::Declared | Status::Observed => LevelStatus::Supported,
        Status::Verified | Status::Enforced | Status::NotApplicable => LevelStatus::Demonstrated,
    }
}

#[cfg(test)]
mod tests {
    use super::super::CONTROLS;
    use super::*;

    fn all(status: Status) -> Vec<ControlVerdict> {
        CONTROLS
            .iter()
            .map(|control| ControlVerdict {
                control: control.id(),
                title: String::new(),
                subject: control.subject(),
                level: control.level(),
                status,
                detail: String::new(),
                modifiers: Vec::new(),
                conforming: None,
                counts: std::collections::BTreeMap::new(),
                evidence: serde_json::Value::Null,
            })
            .collect()
    }

    fn with(mut controls: Vec<ControlVerdict>, number: u8, status: Status) -> Vec<ControlVerdict> {
        controls[usize::from(number) - 1].status = status;
        controls
    }

    fn names(controls: &[ControlVerdict], components: u64) -> [LevelStatus; 3] {
        let verdicts = levels(controls, components);
        [
            verdicts[0].verdict,
            verdicts[1].verdict,
            verdicts[2].verdict,
        ]
    }

    #[test]
    fn the_table_of_levels() {
        use LevelStatus::{
            Demonstrated, MetWithWaivers, NotMet, NothingAssessed, Supported, Undetermined,
        };
        let good = all(Status::Enforced);
        assert_eq!(names(&good, 1), [Demonstrated; 3]);
        assert_eq!(names(&good, 0), [NothingAssessed; 3]);
        assert_eq!(names(&all(Status::Observed), 1), [Supported; 3]);
        // 4.12 is in levels 2 and 3, 4.17 in level 3 only, 4.2 in all.
        assert_eq!(
            names(&with(good.clone(), 12, Status::Violated), 1),
            [Demonstrated, NotMet, NotMet]
        );
        assert_eq!(
            names(&with(good.clone(), 17, Status::Unknown), 1),
            [Demonstrated, Demonstrated, Undetermined]
        );
        assert_eq!(
            names(&with(good.clone(), 2, Status::Waived), 1),
            [MetWithWaivers; 3]
        );
        let mixed = with(with(good, 2, Status::Unknown), 13, Status::Violated);
        assert_eq!(names(&mixed, 1), [NotMet; 3]);
        let blocking = &levels(&mixed, 1)[0].blocking;
        assert_eq!(blocking, &[ControlId::new(2), ControlId::new(13)]);
    }
}
