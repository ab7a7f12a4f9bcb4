//! What a build uses: memory, processor time and disk space of all its processes together.
//!
//! Read from `/proc` and from the folders that it may write. The kernel's own limits are for one process each;
//! control groups are not to be had by everybody. Between two looks more may be used for a moment.
//! Kernel: proc_pid_stat(5).

use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::sys::resource::{UsageWho, getrusage};
use nix::unistd::{Pid, SysconfVar, sysconf};

use super::super::children::children;

/// What each entry of a directory takes at least.
const ENTRY: u64 = 4096;
/// Entries that are looked at; more are over any limit.
const ENTRIES: u64 = 1 << 20;

/// Memory in bytes and processor time of the living.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Living {
    pub(super) memory: u64,
    pub(super) processor: Duration,
}

/// Every process below this one but those that are spared, with what they use.
pub(super) fn living(spared: &[Pid]) -> Living {
    let mut found = BTreeSet::new();
    let mut pending: Vec<i32> = children()
        .unwrap_or_default()
        .into_iter()
        .filter(|child| !spared.contains(child))
        .map(Pid::as_raw)
        .collect();
    while let Some(process) = pending.pop() {
        if found.insert(process) {
            pending.extend(below(process));
        }
    }
    let ticks = constant(SysconfVar::CLK_TCK, 100);
    let page = constant(SysconfVar::PAGE_SIZE, 4096);
    let mut sum = Living::default();
    for process in found {
        let Some((time, pages)) = stat(process) else {
            continue;
        };
        sum.memory = sum.memory.saturating_add(pages.saturating_mul(page));
        sum.processor += Duration::from_millis(time.saturating_mul(1000) / ticks);
    }
    sum
}

fn constant(name: SysconfVar, otherwise: u64) -> u64 {
    let value = sysconf(name).ok().flatten();
    let value = value.and_then(|value| u64::try_from(value).ok());
    value.filter(|value| *value > 0).unwrap_or(otherwise)
}

fn below(process: i32) -> Vec<i32> {
    let tasks = std::fs::read_dir(format!("/proc/{process}/task"));
    let lists = tasks.into_iter().flatten().flatten();
    let lists = lists.filter_map(|task| std::fs::read_to_string(task.path().join("children")).ok());
    lists
        .flat_map(|list| {
            let numbers = list
                .split_ascii_whitespace()
                .filter_map(|id| id.parse().ok());
            numbers.collect::<Vec<i32>>()
        })
        .collect()
}

/// Ticks of a process and of its children that it waited for, and its resident pages.
fn stat(process: i32) -> Option<(u64, u64)> {
    let text = std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    let rest = text.rsplit_once(')')?.1;
    let fields: Vec<u64> = rest
        .split_ascii_whitespace()
        .map(|field| field.parse().unwrap_or_default())
        .collect();
    let time = fields.get(11..15)?.iter().sum();
    Some((time, *fields.get(21)?))
}

/// Processor time of all processes that this one has waited for.
pub(super) fn waited_for() -> Duration {
    let Ok(usage) = getrusage(UsageWho::RUSAGE_CHILDREN) else {
        return Duration::ZERO;
    };
    let duration = |time: nix::sys::time::TimeVal| {
        let seconds = u64::try_from(time.tv_sec()).unwrap_or_default();
        let rest = u64::try_from(time.tv_usec()).unwrap_or_default();
        Duration::from_secs(seconds) + Duration::from_micros(rest)
    };
    duration(usage.user_time()) + duration(usage.system_time())
}

/// Bytes on disk below these folders.
pub(super) fn disk(folders: &[PathBuf]) -> u64 {
    let mut entries = 0;
    let sizes = folders.iter().map(|folder| size(folder, &mut entries));
    let size = sizes.fold(0, u64::saturating_add);
    if entries > ENTRIES { u64::MAX } else { size }
}

fn size(folder: &Path, entries: &mut u64) -> u64 {
    let mut sum = 0_u64;
    let mut pending = vec![folder.to_path_buf()];
    while let Some(folder) = pending.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            *entries += 1;
            if *entries > ENTRIES {
                return sum;
            }
            // It may be gone by now.
            let Ok(data) = entry.metadata() else { continue };
            sum = sum.saturating_add((data.blocks() * 512).max(ENTRY));
            if data.is_dir() {
                pending.push(entry.path());
            }
        }
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_below_is_seen_with_its_memory() {
        let mut child = std::process::Command::new("sleep")
            .arg("30")
            .spawn()
            .unwrap();
        let id = child.id().cast_signed();
        let own = std::process::id().cast_signed();
        let (seen, used) = (below(own).contains(&id), stat(id));
        child.kill().unwrap();
        child.wait().unwrap();
        // The kernel counts the few pages of a small program only roughly.
        assert!(seen && used.is_some());
        assert!(stat(own).unwrap().1 > 0);
    }

    #[test]
    fn files_and_empty_entries_take_room() {
        let folder = tempfile::tempdir().unwrap();
        let place = [folder.path().to_path_buf()];
        assert_eq!(disk(&place), 0);
        std::fs::create_dir(folder.path().join("d")).unwrap();
        std::fs::write(folder.path().join("d/f"), vec![1; 100_000]).unwrap();
        let size = disk(&place);
        assert!((104_000..200_000).contains(&size), "{size}");
    }
}
