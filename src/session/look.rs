//! The look into artifacts, beside the run.
//!
//! The session starts a helper before anything else of a run, tells it what the proxy released, and
//! collects what it saw before the record is sealed. What must always hold: nothing of the run waits
//! for it while it goes on; at the end it gets a share of the time that the run took and no more,
//! unless the policy wants everything; what was not looked at is counted. A helper that fails costs
//! its findings and nothing else, except where the policy refuses on them.

use std::collections::HashSet;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::children::{IDLE, LOOK, SELF, children};
use crate::examine::Question;
use crate::model::{Code, Digest, Event, Finding, LookMode, Looked, Released, Weight};
use crate::record::Recorded;
use crate::store::Directory;

/// Share of the run's time that the rest may take, in hundredths.
const SHARE: u32 = 3;
/// What it may always take, and at most.
const BOUNDS: (Duration, Duration) = (Duration::from_millis(30), Duration::from_secs(2));
/// What everything may take.
const WHOLE: Duration = Duration::from_secs(120);
/// Longest answer.
const LINE: u64 = 4 << 20;
/// Signs that are refused one by one.
const REFUSED: usize = 20;

#[derive(Debug, Default)]
struct Asked {
    queue: Option<Sender<Question>>,
    known: HashSet<Digest>,
}

/// Takes what was released; cheap, and it never waits.
#[derive(Clone, Debug, Default)]
pub(super) struct Feed(Arc<Mutex<Asked>>);

impl Feed {
    /// Asks about an artifact, once.
    pub(super) fn ask(&self, released: &Released) {
        let mut asked = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if asked.queue.is_none() || !asked.known.insert(released.sha256.clone()) {
            return;
        }
        let file = released.url.rsplit('/').next().unwrap_or_default();
        let question = Question {
            name: released.name.clone(),
            version: released.version.clone(),
            file: file.split(['?', '#']).next().unwrap_or_default().to_owned(),
            sha256: released.sha256.clone(),
            sha512: released.sha512.clone(),
        };
        if let Some(queue) = &asked.queue {
            // A helper that is gone answers nothing, and that is counted at the end.
            let _ = queue.send(question);
        }
    }

    fn open(&self, queue: Sender<Question>) {
        let mut asked = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        asked.queue = Some(queue);
    }

    /// No more questions; how many there were.
    fn close(&self) -> usize {
        let mut asked = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        asked.queue = None;
        asked.known.len()
    }
}

/// A running look.
#[derive(Debug)]
pub(super) struct Look {
    child: Child,
    mode: LookMode,
    feed: Feed,
    answers: Receiver<Looked>,
    started: Instant,
}

impl Look {
    /// Starts the helper, if there is to be one. It is there before the run's own processes, so that
    /// it is spared when these are ended. An error only where the policy refuses on what it sees.
    pub(super) fn start(store: &Path, mode: LookMode, feed: Feed) -> Result<Option<Self>, Finding> {
        if mode == LookMode::Off {
            return Ok(None);
        }
        let begun = Self::begin(store, mode, feed);
        if begun.is_none() && mode == LookMode::Refuse {
            let message = "the look into artifacts cannot be started, and the policy refuses on it";
            return Err(Finding::new(Code::HelperLost, "look", message));
        }
        Ok(begun)
    }

    fn begin(store: &Path, mode: LookMode, feed: Feed) -> Option<Self> {
        children().ok()?;
        // What it may read has to be there before it is confined: the objects, not the runs' folders.
        Directory::open(store).ok()?;
        let mut child = Command::new(SELF)
            .env_clear()
            .arg(LOOK)
            .arg(std::process::id().to_string())
            .arg(store.canonicalize().ok()?)
            .arg(match mode {
                LookMode::Off | LookMode::SpareTime => IDLE,
                // Somebody waits for it in the end.
                LookMode::Complete | LookMode::Refuse => "wanted",
            })
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        let (queue, questions) = channel::<Question>();
        let (told, answers) = channel();
        let (mut to, from) = (child.stdin.take()?, child.stdout.take()?);
        let asking = move || {
            for question in questions {
                let Ok(mut line) = serde_json::to_vec(&question) else {
                    return;
                };
                line.push(b'\n');
                if to.write_all(&line).is_err() {
                    return;
                }
            }
        };
        let listening = move || {
            let mut from = BufReader::new(from);
            let mut line = Vec::new();
            loop {
                line.clear();
                let read = (&mut from).take(LINE).read_until(b'\n', &mut line);
                let looked = match read {
                    Ok(0) | Err(_) => return,
                    Ok(_) => serde_json::from_slice(&line),
                };
                // The helper parses hostile bytes: what it says that cannot be read ends it.
                let Ok(looked) = looked else { return };
                if told.send(looked).is_err() {
                    return;
                }
            }
        };
        let named = |name: &str| std::thread::Builder::new().name(name.to_owned());
        named("look-ask").spawn(asking).ok()?;
        named("look-tell").spawn(listening).ok()?;
        feed.open(queue);
        Some(Self {
            child,
            mode,
            feed,
            answers,
            started: Instant::now(),
        })
    }

    /// Collects what was seen and records it.
    pub(super) fn finish(mut self, recorded: &mut Recorded) {
        let asked = self.feed.close();
        let mut looked = Vec::new();
        if asked > 0 {
            let allowed = match self.mode {
                LookMode::Complete | LookMode::Refuse => WHOLE,
                LookMode::Off | LookMode::SpareTime => {
                    let share = self.started.elapsed() * SHARE / 100;
                    share.clamp(BOUNDS.0, BOUNDS.1)
                }
            };
            let end = Instant::now() + allowed;
            while looked.len() < asked {
                let left = end.saturating_duration_since(Instant::now());
                match self.answers.recv_timeout(left) {
                    Ok(answer) => looked.push(answer),
                    Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => break,
                }
            }
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
        if asked == 0 {
            return;
        }
        let missing = asked.saturating_sub(looked.len());
        recorded.look(&looked, missing as u64);
        if self.mode == LookMode::Refuse {
            for finding in refused(&looked, missing) {
                recorded.push(Event::Found(finding));
            }
        }
    }
}

/// What a policy that refuses on signs refuses.
fn refused(looked: &[Looked], missing: usize) -> Vec<Finding> {
    let hint = Code::StaticLook.remedy();
    let mut findings = Vec::new();
    if missing > 0 {
        let message = format!("{missing} artifacts could not be looked at in time");
        findings.push(Finding::new(Code::StaticLook, "artifacts", message).with_hint(hint));
    }
    for one in looked {
        let subject = || format!("{}@{}", one.name, one.version);
        if let Some(left) = &one.left {
            let message = format!("not all of it could be looked at: {left}");
            findings.push(Finding::new(Code::StaticLook, subject(), message).with_hint(hint));
        }
        let heavy = one.signs.iter().filter(|sign| sign.weight == Weight::Error);
        for sign in heavy {
            let message = format!(
                "{} in `{}` line {}: {}; refused by `look` of the policy",
                sign.rule, sign.path, sign.line, sign.text
            );
            findings.push(Finding::new(Code::StaticLook, subject(), message).with_hint(hint));
        }
    }
    findings.truncate(REFUSED);
    findings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Algorithm, Sign};

    #[test]
    fn a_look_that_cannot_start_stops_a_run_that_refuses_on_it_only() {
        let guard = tempfile::tempdir().unwrap();
        let file = guard.path().join("file");
        std::fs::write(&file, "").unwrap();
        let start = |mode| Look::start(&file, mode, Feed::default());
        for mode in [LookMode::Off, LookMode::SpareTime, LookMode::Complete] {
            assert!(start(mode).unwrap().is_none(), "{mode:?}");
        }
        assert_eq!(start(LookMode::Refuse).unwrap_err().code, Code::HelperLost);
    }

    #[test]
    fn a_refusing_policy_refuses_heavy_signs_and_gaps_only() {
        let sign = |weight| Sign {
            rule: "r".into(),
            weight,
            path: "a.js".into(),
            line: 3,
            text: "t".into(),
        };
        let mut one = Looked {
            name: "a".into(),
            version: "1.0.0".into(),
            file: "a.tgz".into(),
            sha256: Digest::new(Algorithm::Sha256, vec![1; 32]).unwrap(),
            left: None,
            signs: vec![sign(Weight::Note), sign(Weight::Warning)],
        };
        assert!(refused(&[one.clone()], 0).is_empty());
        one.signs.push(sign(Weight::Error));
        one.left = Some("too long".into());
        assert_eq!(refused(&[one], 2).len(), 3);
    }
}
