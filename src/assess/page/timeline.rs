//! The run's timeline: when which step was reached, and when artifacts came.

use std::time::{Duration, SystemTime};

use super::Page;
use super::markup::Html;
use crate::model::{Decision, Event, Severity};

/// Bars of the chart.
const BARS: usize = 60;
/// Width of a bar with its gap, in the chart's own units.
const WIDTH: usize = 10;
/// Height of the chart.
const HEIGHT: usize = 60;

/// A line of the journal with its time.
struct Timed<'a> {
    time: SystemTime,
    kind: &'a str,
    event: &'a Event,
}

/// The section.
pub(super) fn section(page: &Page<'_>, html: &mut Html) {
    let entries = page.reading.entries.iter();
    let timed: Vec<Timed<'_>> = entries
        .filter_map(|entry| {
            Some(Timed {
                time: humantime::parse_rfc3339(&entry.time).ok()?,
                kind: &entry.kind,
                event: entry.event.as_ref()?,
            })
        })
        .collect();
    let (Some(start), Some(end)) = (
        timed.first().map(|one| one.time),
        timed.iter().map(|one| one.time).max(),
    ) else {
        return;
    };
    let whole = end.duration_since(start).unwrap_or_default();
    html.raw("<section><h2>Timeline</h2>");
    chart(&timed, start, whole, html);
    html.raw("<ol class=\"steps\">");
    let mut seen: Vec<&'static str> = Vec::new();
    for one in &timed {
        let Some(step) = step(one.kind, one.event).filter(|step| !seen.contains(step)) else {
            continue;
        };
        seen.push(step);
        html.raw("<li>")
            .element("span", "time", &since(start, one.time));
        html.raw(" ").element("span", "", step).raw("</li>");
    }
    html.raw("</ol></section>");
}

/// The step that an event is the first sign of.
fn step(kind: &str, event: &Event) -> Option<&'static str> {
    let allowed = |decision: &Decision| *decision == Decision::Allowed;
    Some(match kind {
        "run-started" => "v4run started",
        "proxy-ready" => "proxy ready, certificate checks proven",
        "exec" if matches!(event, Event::Exec { decision, .. } if allowed(decision)) => {
            "package manager started"
        }
        "connected" => "first connection to a repository",
        "released" => "first artifact verified and handed on",
        "found" if is_refusal(event) => "first refusal",
        "manager-exited" => "package manager ended",
        "contained" => "nothing of the run left",
        "inspected" => "install tree read back",
        "assessed" => "controls assessed",
        "sealed" => "record sealed",
        _ => return None,
    })
}

fn is_refusal(event: &Event) -> bool {
    matches!(event, Event::Found(one) if one.code.severity() == Severity::Violation)
}

fn since(start: SystemTime, time: SystemTime) -> String {
    let passed = time.duration_since(start).unwrap_or_default();
    format!("+{}.{:03} s", passed.as_secs(), passed.subsec_millis())
}

/// Artifacts over time; refusals stand out.
fn chart(timed: &[Timed<'_>], start: SystemTime, whole: Duration, html: &mut Html) {
    let mut artifacts = [0_usize; BARS];
    let mut refusals = [0_usize; BARS];
    let span = whole.as_millis().max(1);
    for Timed { time, event, .. } in timed {
        let passed = time.duration_since(start).unwrap_or_default().as_millis();
        let place = usize::try_from(passed * (BARS as u128 - 1) / span).unwrap_or(BARS);
        let list = if matches!(event, Event::Released(_)) {
            &mut artifacts
        } else if is_refusal(event) {
            &mut refusals
        } else {
            continue;
        };
        if let Some(count) = list.get_mut(place) {
            *count += 1;
        }
    }
    let most = artifacts.iter().max().copied().unwrap_or(0);
    if most == 0 && refusals.iter().all(|count| *count == 0) {
        return;
    }
    html.raw("<svg class=\"chart\" viewBox=\"0 0 600 60\" preserveAspectRatio=\"none\" ")
        .raw("role=\"img\" aria-label=\"artifacts over the time of the run\">");
    for (place, (artifacts, refusals)) in artifacts.iter().zip(&refusals).enumerate() {
        let height = (artifacts * HEIGHT).div_ceil(most.max(1));
        if height > 0 {
            bar(place, height, "bar", html);
        }
        if *refusals > 0 {
            bar(place, HEIGHT, "bar refusal", html);
        }
    }
    let seconds = format!("{:.1} s", whole.as_secs_f64());
    html.raw("</svg><p class=\"axis\"><span>0</span><span>artifacts handed on over time</span>");
    html.element("span", "", &seconds).raw("</p>");
}

fn bar(place: usize, height: usize, class: &'static str, html: &mut Html) {
    html.raw("<rect class=\"").raw(class).raw("\" x=\"");
    html.text(&(place * WIDTH).to_string());
    html.raw("\" y=\"").text(&(HEIGHT - height).to_string());
    html.raw("\" width=\"8\" height=\"")
        .text(&height.to_string());
    html.raw("\"/>");
}
