//! What the loopback registry answers: index documents, archives, advisories, and the faults.

use std::collections::BTreeMap;
use std::io::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::write::GzEncoder;
use hyper::Response;
use hyper::http::response::Builder;
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value, json};

use super::body::Reply;
use super::maven;
use super::package::sri_sha512;
use super::python;
use super::{Held, On, Seen, Shared, Statement, What};

const ABBREVIATED: &str = "application/vnd.npm.install-v1+json";

/// An answer, or none.
pub(super) enum Answer {
    /// Send this.
    Response(Response<Reply>),
    /// End the connection with a TCP reset.
    Reset,
    /// End the connection at once.
    Hangup,
}

/// What a path asks for.
enum Route {
    Packument(String),
    Version(String, String),
    Tags(String),
    Tarball(String, String),
    Advisories,
    Unknown,
}

/// Decides the answer to one request.
pub(super) fn answer(shared: &Shared, seen: &Seen, host: &str) -> Answer {
    let route = route(&seen.path);
    let fault = next_fault(shared, &route, &seen.path);
    if let Some(expected) = &shared.setup.token
        && seen.header("authorization") != Some(format!("Bearer {expected}").as_str())
    {
        return Answer::Response(status(401, "authentication required"));
    }
    if let Some((name, password)) = shared.setup.login {
        let expected = format!("Basic {}", STANDARD.encode(format!("{name}:{password}")));
        if seen.header("authorization") != Some(expected.as_str()) {
            let mut response = status(401, "authentication required");
            let value = "Basic realm=\"test\"".parse().unwrap();
            response.headers_mut().insert("www-authenticate", value);
            return Answer::Response(response);
        }
    }
    let scheme = if shared.setup.plain { "http" } else { "https" };
    let base = format!("{scheme}://{host}/");
    match fault {
        None => Answer::Response(
            python::answer(shared, &seen.path)
                .or_else(|| maven::answer(shared, &seen.path))
                .unwrap_or_else(|| healthy(shared, seen, &route, &base)),
        ),
        Some(What::Reset) => Answer::Reset,
        Some(What::Hangup) => Answer::Hangup,
        Some(What::Status(code)) => Answer::Response(status(code, "told to refuse")),
        Some(What::Bytes(bytes)) => Answer::Response(
            ok("application/octet-stream")
                .body(Reply::whole(bytes))
                .unwrap(),
        ),
        Some(What::Redirect(target)) => {
            let location = format!("{}{}", target.trim_end_matches('/'), seen.path);
            let response = Response::builder().status(302).header("location", location);
            Answer::Response(response.body(Reply::whole(Vec::new())).unwrap())
        }
        Some(What::Truncated) => {
            let (kind, content) = any_content(shared, &route, &base, seen);
            let response = ok(kind).header("content-length", content.len());
            Answer::Response(response.body(Reply::truncated(&content)).unwrap())
        }
        Some(What::Slow(pieces, pause)) => {
            let (kind, content) = any_content(shared, &route, &base, seen);
            let reply = Reply::slow(&content, pieces, pause);
            Answer::Response(ok(kind).body(reply).unwrap())
        }
        Some(What::Page(kind, text)) => {
            let reply = Reply::whole(text.into_bytes());
            Answer::Response(ok(kind).body(reply).unwrap())
        }
        Some(What::LongPage(kind, text, size)) => {
            let reply = Reply::padded(text.into_bytes(), size, Vec::new());
            Answer::Response(ok(kind).body(reply).unwrap())
        }
        Some(What::Padded(size)) => {
            let document = content(shared, &route, &base, seen);
            let mut head = document[..document.len() - 1].to_vec();
            head.extend_from_slice(b",\"readme\":\"");
            let reply = Reply::padded(head, size, b"\"}".to_vec());
            Answer::Response(ok("application/json").body(reply).unwrap())
        }
    }
}

/// The true body of any path, with its type.
fn any_content(shared: &Shared, route: &Route, base: &str, seen: &Seen) -> (&'static str, Vec<u8>) {
    let maven = |path: &str| Some(("application/octet-stream", maven::content(shared, path)?));
    python::content(shared, &seen.path)
        .or_else(|| maven(&seen.path))
        .unwrap_or_else(|| ("application/json", content(shared, route, base, seen)))
}

fn next_fault(shared: &Shared, route: &Route, path: &str) -> Option<What> {
    let mut faults = shared.faults.lock().unwrap();
    for fault in faults.iter_mut() {
        let matches = match (&fault.on, route) {
            (On::All, _) => true,
            (On::Path(ending), _) => path.ends_with(ending),
            (On::Packument(wanted), Route::Packument(name)) => wanted == name,
            (On::Tarball(wanted), Route::Tarball(name, _)) => wanted == name,
            _ => false,
        };
        if !matches || fault.left == 0 {
            continue;
        }
        if fault.skip > 0 {
            fault.skip -= 1;
            continue;
        }
        fault.left -= 1;
        return Some(fault.what.clone());
    }
    None
}

fn route(path: &str) -> Route {
    let path = path
        .split('?')
        .next()
        .unwrap_or_default()
        .trim_start_matches('/');
    let path = percent_decode_str(path).decode_utf8_lossy().into_owned();
    if path.starts_with("-/npm/v1/security/") {
        return Route::Advisories;
    }
    if let Some(rest) = path.strip_prefix("-/package/") {
        return match rest.strip_suffix("/dist-tags") {
            Some(name) => Route::Tags(name.into()),
            None => Route::Unknown,
        };
    }
    if let Some((name, file)) = path.split_once("/-/") {
        return Route::Tarball(name.into(), file.into());
    }
    let segments: Vec<&str> = path.split('/').collect();
    match segments.as_slice() {
        [scope, name] if scope.starts_with('@') => Route::Packument(format!("{scope}/{name}")),
        [scope, name, version] if scope.starts_with('@') => {
            Route::Version(format!("{scope}/{name}"), (*version).into())
        }
        [name, version] => Route::Version((*name).into(), (*version).into()),
        [name] if !name.is_empty() => Route::Packument((*name).into()),
        _ => Route::Unknown,
    }
}

/// The true body of a route, empty when there is none.
fn content(shared: &Shared, route: &Route, base: &str, seen: &Seen) -> Vec<u8> {
    let held = shared.held.lock().unwrap();
    match route {
        Route::Packument(name) => held.get(name).map_or_else(Vec::new, |versions| {
            let short = seen
                .header("accept")
                .is_some_and(|accept| accept.contains(ABBREVIATED));
            serde_json::to_vec(&packument(name, versions, base, short)).unwrap()
        }),
        Route::Version(name, version) => {
            let found = held.get(name).and_then(|versions| {
                let latest = versions.keys().next_back().cloned().unwrap_or_default();
                versions.get(if version == "latest" {
                    &latest
                } else {
                    version
                })
            });
            found.map_or_else(Vec::new, |held| {
                serde_json::to_vec(&manifest(held, base, false)).unwrap()
            })
        }
        Route::Tags(name) => held.get(name).map_or_else(Vec::new, |versions| {
            serde_json::to_vec(&tags(versions)).unwrap()
        }),
        Route::Tarball(name, file) => held
            .get(name)
            .and_then(|versions| {
                versions
                    .values()
                    .find(|held| held.published.path().rsplit('/').next() == Some(file.as_str()))
            })
            .map_or_else(Vec::new, |held| held.published.tarball.clone()),
        Route::Advisories => serde_json::to_vec(&*shared.advisories.lock().unwrap()).unwrap(),
        Route::Unknown => Vec::new(),
    }
}

fn healthy(shared: &Shared, seen: &Seen, route: &Route, base: &str) -> Response<Reply> {
    let writes = !matches!(seen.method.as_str(), "GET" | "HEAD");
    if writes && !matches!(route, Route::Advisories) {
        // A registry that takes anything: whether a write arrives is what the tests look at.
        return ok("application/json")
            .status(201)
            .body(Reply::whole(b"{}".to_vec()))
            .unwrap();
    }
    let body = content(shared, route, base, seen);
    if body.is_empty() {
        return status(404, "not found");
    }
    let kind = match route {
        Route::Tarball(..) => "application/octet-stream",
        Route::Packument(_)
            if seen
                .header("accept")
                .is_some_and(|accept| accept.contains(ABBREVIATED)) =>
        {
            ABBREVIATED
        }
        Route::Packument(_)
        | Route::Version(..)
        | Route::Tags(_)
        | Route::Advisories
        | Route::Unknown => "application/json",
    };
    let tag = format!("\"{}\"", &sri_sha512(&body)[7..27]);
    if seen.header("if-none-match") == Some(tag.as_str()) {
        let response = Response::builder().status(304).header("etag", tag);
        return response.body(Reply::whole(Vec::new())).unwrap();
    }
    let response = ok(kind)
        .header("etag", tag)
        .header("vary", "accept, accept-encoding");
    let packed = matches!(route, Route::Packument(_))
        && seen
            .header("accept-encoding")
            .is_some_and(|accepted| accepted.contains("gzip"));
    if packed {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(&body).unwrap();
        let body = encoder.finish().unwrap();
        return response
            .header("content-encoding", "gzip")
            .body(Reply::whole(body))
            .unwrap();
    }
    response.body(Reply::whole(body)).unwrap()
}

fn ok(kind: &str) -> Builder {
    Response::builder().status(200).header("content-type", kind)
}

fn status(code: u16, reason: &str) -> Response<Reply> {
    let body = serde_json::to_vec(&json!({ "error": reason })).unwrap();
    let mut response = Response::builder()
        .status(code)
        .header("content-type", "application/json");
    if code == 401 {
        response = response.header("www-authenticate", "Bearer");
    }
    if code == 429 {
        response = response.header("retry-after", "0");
    }
    response.body(Reply::whole(body)).unwrap()
}

fn tags(versions: &BTreeMap<String, Held>) -> Value {
    json!({ "latest": versions.keys().next_back() })
}

fn packument(name: &str, versions: &BTreeMap<String, Held>, base: &str, short: bool) -> Value {
    let manifests: Map<String, Value> = versions
        .iter()
        .map(|(version, held)| (version.clone(), manifest(held, base, short)))
        .collect();
    let mut document = json!({ "name": name, "dist-tags": tags(versions), "versions": manifests });
    let fields = document.as_object_mut().unwrap();
    if short {
        fields.insert("modified".into(), "2024-01-02T03:04:05.000Z".into());
    } else {
        let times: Map<String, Value> = versions
            .iter()
            .map(|(version, held)| {
                let stated = held.published.manifest.get("x-time").cloned();
                let time = stated.unwrap_or_else(|| "2024-01-02T03:04:05.000Z".into());
                (version.clone(), time)
            })
            .collect();
        fields.insert("_id".into(), name.into());
        fields.insert("time".into(), times.into());
    }
    document
}

fn manifest(held: &Held, base: &str, short: bool) -> Value {
    let published = &held.published;
    let mut manifest = published.manifest.clone();
    if short {
        manifest.remove("scripts");
        manifest.remove("license");
    }
    let url = held
        .tarball_url
        .clone()
        .unwrap_or_else(|| format!("{base}{}", published.path()));
    let mut dist = Map::new();
    dist.insert("tarball".into(), url.into());
    match &held.statement {
        Statement::Sha512 => {
            dist.insert("integrity".into(), published.sha512.clone().into());
            dist.insert("shasum".into(), published.shasum.clone().into());
        }
        Statement::ShasumOnly => {
            dist.insert("shasum".into(), published.shasum.clone().into());
        }
        Statement::Nothing => {}
        Statement::Text(text) => {
            dist.insert("integrity".into(), text.clone().into());
        }
    }
    manifest.insert("dist".into(), dist.into());
    manifest.into()
}
